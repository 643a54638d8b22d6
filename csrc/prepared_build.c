/* From a compressed matrix to a layout for repeated products: counts, then contents.
 *
 * Parts are blocks of rows of A, whichever side is laid out: the layout of A.T is made from A, not transposed first. */
#include "driver.h"

#define WAVE_ENTRIES (1 << 22)      /* between two looks at signals: tens of milliseconds on one thread */

static int64_t up(int64_t n, int64_t block) { return (n + block - 1) / block; }

/* How many parts are laid out between two looks at signals. */
static int64_t wave_of(const sc_prepared *P, int64_t parts, int threads)
{
    int64_t waves = P->nnz / WAVE_ENTRIES + 1;
    return SC_MAX(up(parts, waves), threads);
}

/* Per-thread working memory of a part. */
static int64_t scratch_size(const sc_prepared *P)
{
    size_t value = sc_val_size(P->val);
    if (P->layout == SC_BLOCKED) return up(P->rows, P->block_rows) * P->block_rows * 8;
    if (P->layout == SC_LISTED) return up(P->cols * (int64_t)(4 * value + 1), 64) * 64;
    if (P->layout == SC_PATTERNED) return 256 * 8 + P->block_rows * P->block_cols * (int64_t)(value + 1);
    return 0;
}

/* Row numbers by falling count, then the counts in that order; returns their sum. */
static int64_t sort_rows(uint8_t *heads, int64_t rows)
{
    uint8_t count[256];
    int64_t first[257] = {0}, sum = 0;
    memcpy(count, heads + rows, (size_t)rows);
    for (int64_t i = 0; i < rows; i++) first[256 - count[i]]++;
    for (int i = 1; i < 257; i++) first[i] += first[i - 1];
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = first[255 - count[i]]++;
        heads[at] = (uint8_t)i;
        heads[rows + at] = count[i];
        sum += count[i];
    }
    return sum;
}

/* start[t * stride] = the sum of those before it, for t <= n; returns the last */
static int64_t sum_up(int64_t *start, int64_t stride, int64_t n)
{
    int64_t sum = 0;
    for (int64_t t = 0; t < n; t++, start += stride) {
        int64_t own = *start;
        *start = sum;
        sum += own;
    }
    return *start = sum;
}

int sc_prepare_count(const sc_csr *A, int by_columns, sc_prepared *P, int threads)
{
    sc_count_part_fn *count = sc_kernels()->prepared->count[P->val][P->layout][A->idx];
    int64_t parts = up(A->rows, by_columns ? P->block_cols : P->block_rows);
    if (!count) return SC_OK;       /* counted as it is filled */
    for (int64_t first = 0, wave = wave_of(P, parts, threads); first < parts; first += wave) {
        int64_t end = SC_MIN(parts, first + wave);
        if (first && sc_poll() != SC_OK) return SC_INTERRUPTED;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t part = first; part < end; part++) count(A, P, by_columns, part);
    }

    if (P->layout == SC_CSR16 || P->layout == SC_BITMASK) return P->start[P->rows] == P->nnz ? SC_OK : SC_CHANGED;
    if (P->layout == SC_SLICED) {
        sum_up(P->start, 1, parts * P->block_rows / SC_SLICE);
        return SC_OK;
    }
    if (P->layout == SC_LISTED) {
        sum_up(P->start, 2, parts);
        sum_up(P->start + 1, 2, parts);
        return SC_OK;
    }
    int64_t tiles = up(P->rows, P->block_rows) * up(P->cols, P->block_cols);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t t = 0; t < tiles; t++)
        P->start[t] = sort_rows((uint8_t *)P->heads + t * 2 * P->block_rows, P->block_rows);
    return sum_up(P->start, 1, tiles) == P->nnz ? SC_OK : SC_CHANGED;
}

int sc_prepare_fill(const sc_csr *A, int by_columns, const sc_prepared *P, int threads)
{
    sc_fill_part_fn *fill = sc_kernels()->prepared->fill[P->val][P->layout][A->idx];
    int64_t parts = up(A->rows, by_columns ? P->block_cols : P->block_rows), size = scratch_size(P);
    char *scratch = sc_alloc(size * threads, 1);
    int status = SC_OK;
    if (!scratch) return SC_NO_MEMORY;
    for (int64_t first = 0, wave = wave_of(P, parts, threads); first < parts && status == SC_OK; first += wave) {
        int64_t end = SC_MIN(parts, first + wave);
        if (first && (status = sc_poll()) != SC_OK) break;
        /* Thread t takes the wave's parts t, t + threads, ... with its own scratch. */
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t t = 0; t < threads; t++)
            for (int64_t part = first + t; part < end; part += threads)
                if (!fill(A, P, by_columns, part, scratch + t * size)) sc_report(&status, SC_CHANGED);
    }
    sc_free(scratch);
    return status;
}
