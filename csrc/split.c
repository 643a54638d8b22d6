/* Cuts by nonzeros, and the check of a panel before a kernel trusts it. */
#include "split.h"

#include <string.h>

#include "kernels.h"

/* Entries and rows before row r; wraps where indptr is unsound. */
static int64_t before(const sc_csr *A, int64_t r) { return (int64_t)((uint64_t)sc_ptr(A, r) + (uint64_t)r); }

int64_t sc_cut(const sc_csr *A, int64_t i, int64_t n)
{
    if (i <= 0) return 0;
    if (i >= n) return A->rows;
    /* smallest r with indptr[r] + r >= target; indptr[r] + r rises strictly in a sound matrix.  In an unsound one
     * the search still ends within 0..rows, but two targets could give falling cuts, so search by prefix bits:
     * the path of a larger target never leaves below that of a smaller one. */
    int64_t total = A->nnz + A->rows;
    int64_t target = (int64_t)((__int128)total * i / n), lo = 0, hi = A->rows;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (before(A, mid) < target) lo = mid + 1; else hi = mid;
    }
    return lo;
}

int64_t sc_parts(const sc_csr *A, int64_t grain)
{
    int64_t n = (A->nnz + A->rows) / grain + 1;
    return n < 1 ? 1 : n > A->rows ? (A->rows ? A->rows : 1) : n;
}

int sc_check_pointers(const sc_csr *A, int64_t r0, int64_t r1)
{
    int64_t p0 = sc_ptr(A, r0), p1 = sc_ptr(A, r1);
    if (p0 < 0 || p1 < p0 || p1 > A->nnz) return SC_BAD_INDPTR;
    return sc_kernels()->check->rising[A->idx](A->indptr, r0, r1) ? SC_OK : SC_BAD_INDPTR;
}

int sc_check_rows(const sc_csr *A, int64_t r0, int64_t r1)
{
    int found = sc_check_pointers(A, r0, r1);
    if (found != SC_OK) return found;
    int within = sc_kernels()->check->within[A->idx](A->indices, sc_ptr(A, r0), sc_ptr(A, r1), A->cols);
    return within ? SC_OK : SC_BAD_INDEX;
}

enum { WINDOWS = 16, ENTRIES = 256, SLOTS = 1024 };

/* How many of WINDOWS * ENTRIES entries have a column whose line, of so many bytes a column, was not just met. */
static int fresh_lines(const sc_csr *A, int64_t bytes)
{
    uint64_t seen[SLOTS];
    int fresh = 0;
    for (int w = 0; w < WINDOWS; w++) {
        int64_t p0 = w * ((A->nnz - ENTRIES) / WINDOWS);
        memset(seen, 0xff, sizeof seen);
        for (int64_t p = p0; p < p0 + ENTRIES; p++) {
            uint64_t col = A->idx == SC_I64 ? ((const uint64_t *)A->indices)[p] : ((const uint32_t *)A->indices)[p];
            uint64_t line = col * (uint64_t)bytes / 64, *slot = &seen[(line ^ line >> 10) % SLOTS];
            fresh += *slot != line;
            *slot = line;
        }
    }
    return fresh;
}

/* More than a few times an L2 cache, and not one line of two is an old one: asking for lines that are near costs more
 * than it gains (stencil, SpMM 8 on AVX2: 85 against 36 ms). */
int sc_scattered(const sc_csr *A, int64_t bytes)
{
    if ((double)A->cols * (double)bytes < 3e6 || A->nnz < WINDOWS * ENTRIES) return 0;
    return fresh_lines(A, bytes) > WINDOWS * ENTRIES / 2;
}

int sc_local(const sc_csr *A)
{
    return A->nnz >= WINDOWS * ENTRIES && fresh_lines(A, 64) < WINDOWS * ENTRIES / 2;
}

size_t sc_val_size(enum sc_val val)
{
    static const size_t size[SC_NVAL] = {4, 8, 8, 16, 2, 2};
    return size[val];
}

size_t sc_index_size(enum sc_idx idx) { return idx == SC_I64 ? 8 : 4; }
