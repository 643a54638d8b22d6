/* A.T of a CSR matrix as a CSR matrix, which is also CSC to CSR and back. */
#include "structure.h"

int sc_check_order(const sc_csr *A, int64_t r0, int64_t r1, int *canonical)
{
    int found = sc_check_rows(A, r0, r1);
    if (found == SC_OK && !sc_kernels()->check->canonical[A->idx](A->indptr, A->indices, r0, r1)) {
#pragma omp atomic write
        *canonical = 0;
    }
    return found;
}

/* Entries and rows before row r; wraps, because indptr is not checked yet. */
static uint64_t before_row(const sc_csr *A, int64_t r) { return (uint64_t)sc_ptr(A, r) + (uint64_t)r; }

int64_t sc_panel_end(const sc_csr *A, int64_t r, int64_t r1)
{
    uint64_t target = before_row(A, r) + SC_PANEL;
    int64_t step = 64, lo = r + 1, hi = SC_MIN(r1, r + step);
    while (hi < r1 && before_row(A, hi) < target) {
        lo = hi;
        step *= 2;
        hi = SC_MIN(r1, hi + step);
    }
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (before_row(A, mid) < target) lo = mid + 1; else hi = mid;
    }
    return lo;
}

void sc_touch(void *p, int64_t n, size_t size, int threads)
{
    int64_t bytes = n * (int64_t)size, page = (int64_t)2 << 20;
    if (threads == 1 || bytes < 2 * page) return;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t i = 0; i < bytes; i += page) ((volatile char *)p)[i] = 0;
}

int sc_check(const sc_csr *A, int threads, int *canonical)
{
    int status = SC_OK;
    int64_t parts = sc_parts(A, SC_PANEL);
    *canonical = 1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) != A->nnz) return SC_BAD_INDPTR;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        sc_report(&status, sc_check_order(A, sc_cut(A, k, parts), sc_cut(A, k + 1, parts), canonical));
    return status;
}

int sc_narrow(const sc_csr *A, int32_t *indptr, int32_t *indices, int threads)
{
    const int64_t *wide = A->idx == SC_I64 ? A->indices : NULL;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static) nowait
        for (int64_t r = 0; r <= A->rows; r++) indptr[r] = (int32_t)sc_ptr(A, r);
        if (wide) {
#pragma omp for schedule(static)
            for (int64_t p = 0; p < A->nnz; p++) indices[p] = (int32_t)wide[p];
        }
    }
    return SC_OK;
}

/* Do neighbouring entries share lines of the result?  A fixed sample of windows of entries: marks their columns by
 * lines of 16 and counts the lines.  Scattered columns give nearly a line each. */
static int scattered(const sc_csr *A)
{
    enum { WINDOW = 2048, WINDOWS = 16 };
    uint64_t seen[1024];
    int64_t lines = 0, entries = 0;
    for (int64_t w = 0; w < WINDOWS; w++) {
        int64_t p = (A->nnz - WINDOW) / WINDOWS * w;
        memset(seen, 0, sizeof seen);
        for (int64_t end = p + WINDOW; p < end; p++, entries++) {
            uint64_t line = (uint64_t)(A->idx == SC_I64 ? ((const int64_t *)A->indices)[p]
                                                        : ((const int32_t *)A->indices)[p]) >> 4;
            uint64_t bit = (line * 0x9e3779b97f4a7c15u) >> 48, *word = &seen[bit >> 6];
            lines += !(*word >> (bit & 63) & 1);
            *word |= (uint64_t)1 << (bit & 63);
        }
    }
    return lines * 4 > entries;
}

/* counts [part][column] become the places where the parts write, column by column and then part by part. */
static void places(int64_t *counts, int64_t parts, int64_t cols, int64_t *sums, enum sc_idx idx, void *indptr,
                   int threads)
{
    enum { BLOCK = 4096 };
    int64_t blocks = (cols + BLOCK - 1) / BLOCK;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t n = 0;
            for (int64_t k = 0; k < parts; k++)
                for (int64_t c = b * BLOCK; c < SC_MIN(cols, (b + 1) * BLOCK); c++) n += counts[k * cols + c];
            sums[b] = n;
        }
#pragma omp single
        for (int64_t b = 0, at = 0; b < blocks; b++) {
            int64_t n = sums[b];
            sums[b] = at;
            at += n;
        }
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = sums[b];
            for (int64_t c = b * BLOCK; c < SC_MIN(cols, (b + 1) * BLOCK); c++) {
                sc_put_ptr(indptr, idx, c, at);
                for (int64_t k = 0; k < parts; k++) {
                    int64_t n = counts[k * cols + c];
                    counts[k * cols + c] = at;
                    at += n;
                }
            }
        }
    }
}

/* One step: count the columns, then every entry straight to its place. */
static int direct(const sc_csr *A, const sc_out *out, int *canonical, int64_t parts, int threads)
{
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    int64_t *counts = sc_calloc(parts * A->cols, sizeof *counts), *sums = sc_alloc(A->cols / 4096 + 1, sizeof *sums);
    int status = counts && sums ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            int64_t panels = sc_parts(A, SC_PANEL), found = SC_OK;
            for (int64_t i = k * panels / parts; i < (k + 1) * panels / parts && found == SC_OK; i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                found = sc_check_order(A, r0, r1, canonical);
                if (found == SC_OK)
                    kernels->count[A->idx](A->indices, sc_ptr(A, r0), sc_ptr(A, r1), 0, counts + k * A->cols);
            }
            sc_report(&status, (int)found);
        }
    }
    if (status == SC_OK) status = sc_poll();
    if (status == SC_OK) {
        places(counts, parts, A->cols, sums, A->idx, out->indptr, threads);
        sc_put_ptr(out->indptr, A->idx, A->cols, A->nnz);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            int64_t panels = sc_parts(A, SC_PANEL);
            kernels->flip[sc_size_of(A->val)][A->idx](A, sc_cut(A, k * panels / parts, panels),
                                                      sc_cut(A, (k + 1) * panels / parts, panels),
                                                      counts + k * A->cols, out->indices, out->data);
        }
    }
    sc_free(counts);
    sc_free(sums);
    return status;
}

/* Two steps, through buckets. */
static int bucketed(const sc_csr *A, const sc_out *out, int *canonical, int64_t parts, int threads)
{
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    struct sc_scatter S;
    int status = sc_scatter_open(&S, A->cols, A->rows, A->nnz, parts, A->val, A->idx, threads);
    if (status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            int64_t panels = sc_parts(A, SC_PANEL), found = SC_OK;
            for (int64_t i = k * panels / parts; i < (k + 1) * panels / parts && found == SC_OK; i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                found = sc_check_order(A, r0, r1, canonical);
                if (found == SC_OK)
                    kernels->count[A->idx](A->indices, sc_ptr(A, r0), sc_ptr(A, r1), S.shift, S.next + k * S.buckets);
            }
            sc_report(&status, (int)found);
        }
    }
    if (status == SC_OK) status = sc_poll();
    if (status == SC_OK) {
        sc_scatter_scan(&S);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            int64_t panels = sc_parts(A, SC_PANEL);
            struct sc_buckets B = sc_scatter_part(&S, k);
            kernels->bucket[S.wide][sc_size_of(A->val)][A->idx](A, sc_cut(A, k * panels / parts, panels),
                                                                sc_cut(A, (k + 1) * panels / parts, panels), &B);
        }
        status = sc_poll();
    }
    if (status == SC_OK) sc_scatter_place(&S, A->val, A->idx, out, 0, threads);
    sc_scatter_close(&S);
    return status;
}

int sc_transpose(const sc_csr *A, const sc_out *out, int *canonical, int threads)
{
    *canonical = 1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) != A->nnz) return SC_BAD_INDPTR;
    /* Parts may follow the threads here: entries keep their order, so there is only one result. */
    int64_t parts = SC_MAX(1, SC_MIN(threads, A->nnz / SC_PANEL));
    if (A->nnz > 1 << 16 && A->cols > 4096 && scattered(A)) return bucketed(A, out, canonical, parts, threads);
    return direct(A, out, canonical, SC_MIN(parts, A->nnz / (A->cols + 1) + 1), threads);
}
