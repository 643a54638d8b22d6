/* Cuts of banded matrices into parts that share no columns */
#include "band.h"

#include "driver.h"

/* Fewer entries are not worth looking at a sample, and with fewer parts threads wait for each other. */
#define LEAST_ENTRIES (1 << 17)
#define LEAST_PARTS 8
/* Entries of a part, if the narrow parts are narrow; rows that are looked at; entries of a row at most. */
#define PART_ENTRIES (1 << 17)
#define SAMPLE 256
#define ROW_ENTRIES 512

/* The column of the diagonal in row r. */
static int64_t diagonal(const sc_csr *A, int64_t r) { return (int64_t)((__int128)r * A->cols / A->rows); }

/* Rows whose diagonal moves by at least so many columns, and one. */
static int64_t rows_of(const sc_csr *A, int64_t columns)
{
    return (int64_t)((__int128)(columns + 2) * A->rows / A->cols) + 2;
}

struct sc_band sc_band_find(const sc_csr *A)
{
    struct sc_band B = {0}, none = {0};
    if (A->nnz < LEAST_ENTRIES || A->rows < LEAST_ENTRIES / ROW_ENTRIES || A->cols == 0) return none;
    if (A->idx != SC_I64 && A->cols > INT32_MAX) return none;      /* kernels compare 32 bits */
    int64_t room = A->rows / (2 * LEAST_PARTS), n = SC_MIN(SAMPLE, 64 + A->nnz / 65536);
    for (int64_t i = 0; i <= n; i++) {
        int64_t r = SC_MIN(A->rows - 1, i * (A->rows / n)), p = sc_ptr(A, r), end = sc_ptr(A, r + 1);
        if (p < 0 || end < p || end > A->nnz || end - p > ROW_ENTRIES) return none;
        for (; p < end; p++) {
            int64_t c = A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p];
            if (c < 0 || c >= A->cols) return none;
            B.left = SC_MAX(B.left, diagonal(A, r) - c);
            B.right = SC_MAX(B.right, c - diagonal(A, r));
        }
        if (rows_of(A, B.left + B.right) > room) return none;
    }
    /* Other rows may reach farther: half as far again where there is room for it, less where there is not. */
    int64_t more = (B.left + B.right) / 4;
    while (more && rows_of(A, B.left + B.right + 2 * more) > room) more /= 2;
    B.left += more;
    B.right += more;
    B.narrow = rows_of(A, B.left + B.right);
    int64_t most = SC_MAX(LEAST_PARTS, A->nnz / PART_ENTRIES);
    B.parts = SC_MIN(most, A->rows / (2 * B.narrow)) / LEAST_PARTS * LEAST_PARTS;
    if (B.parts) B.period = A->rows / B.parts;
    return B;
}

struct sc_band_part sc_band_part(const sc_csr *A, const struct sc_band *B, int64_t k, int narrow)
{
    int64_t wide = B->period - B->narrow;
    int64_t first = k * B->period;
    struct sc_band_part P = {.r0 = first + (narrow ? wide : 0), .r1 = first + (narrow ? B->period : wide),
                             .clear = A->cols};
    if (k + 1 < B->parts) P.clear = SC_MAX(0, diagonal(A, (k + 1) * B->period) - B->left);
    else P.r1 = A->rows;
    P.c0 = k || narrow ? SC_MAX(0, diagonal(A, P.r0) - B->left) : 0;
    P.c1 = SC_MIN(A->cols, diagonal(A, P.r1 - 1) + B->right + 1);
    return P;
}
