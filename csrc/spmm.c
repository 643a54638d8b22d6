/* C = A @ X and C = A.T @ X for dense panels of any strides */
#include "driver.h"

/* Row-major copies of panels of at most this many columns stand in for operands of other strides. */
#define PACK_COLUMNS 32

static char *at(const sc_dense *D, int64_t r, int64_t c, size_t size)
{
    return (char *)D->data + (ptrdiff_t)(r * D->row_stride + c * D->col_stride) * (ptrdiff_t)size;
}

static int row_major(const sc_dense *D) { return D->col_stride == 1 || D->cols <= 1; }

/* to[r, 0:n] = D[r, j0:j0+n] (into = 1), or back (into = 0), by tiles of rows that stay in L1. */
static void pack(const sc_dense *D, int64_t j0, int64_t n, char *to, size_t size, int into, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t r0 = 0; r0 < D->rows; r0 += 64)
        for (int64_t j = 0; j < n; j++)
            for (int64_t r = r0; r < SC_MIN(r0 + 64, D->rows); r++) {
                char *a = at(D, r, j0 + j, size), *b = to + (size_t)(r * n + j) * size;
                if (into) memcpy(b, a, size); else memcpy(a, b, size);
            }
}

static int forward(const sc_csr *A, const char *X, int64_t ldx, char *C, int64_t ldc, int64_t n, int threads)
{
    sc_spmm_fn *kernel = sc_kernels()->product->spmm[A->val][A->idx];
    int64_t parts = sc_parts(A, SC_MAX(256, SC_PANEL / SC_MAX(1, n / 8)));
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_rows(A, r0, r1);
        if (found == SC_OK) kernel(A, r0, r1, X, ldx, C, ldc, n);
        sc_report(&status, found);
    }
    return status;
}

/* Columns of C are independent: each thread scatters into its own block of them, no reduction is needed. */
static int transposed(const sc_csr *A, const char *X, int64_t ldx, char *C, int64_t ldc, int64_t n, int threads)
{
    sc_spmm_fn *kernel = sc_kernels()->product->spmm_t[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t panels = sc_parts(A, SC_PANEL), block = 16;
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t j = 0; j < n; j += block) {
        int64_t w = SC_MIN(block, n - j);
        for (int64_t r = 0; r < A->cols; r++) memset(C + (size_t)(r * ldc + j) * acc, 0, (size_t)w * acc);
        for (int64_t i = 0; i < panels; i++) {
            int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
            int found = sc_check_rows(A, r0, r1);
            if (found == SC_OK) kernel(A, r0, r1, X + (size_t)j * acc, ldx, C + (size_t)j * acc, ldc, w);
            sc_report(&status, found);
        }
    }
    return status;
}

static int product(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads,
                   int (*run)(const sc_csr *, const char *, int64_t, char *, int64_t, int64_t, int))
{
    size_t acc = sc_acc_size(A->val);
    if (row_major(X) && row_major(C))
        return run(A, X->data, X->row_stride, C->data, C->row_stride, C->cols, threads);
    int64_t width = SC_MIN(PACK_COLUMNS, C->cols);
    char *x = row_major(X) ? 0 : sc_alloc(X->rows * width, acc), *c = row_major(C) ? 0 : sc_alloc(C->rows * width, acc);
    int status = (!row_major(X) && !x) || (!row_major(C) && !c) ? SC_NO_MEMORY : SC_OK;
    for (int64_t j = 0; j < C->cols && status == SC_OK; j += width) {
        int64_t n = SC_MIN(width, C->cols - j);
        if (x) pack(X, j, n, x, acc, 1, threads);
        status = run(A, x ? x : at(X, 0, j, acc), x ? n : X->row_stride, c ? c : at(C, 0, j, acc), c ? n : C->row_stride,
                     n, threads);
        if (c && status == SC_OK) pack(C, j, n, c, acc, 0, threads);
    }
    sc_free(x);
    sc_free(c);
    return status;
}

int sc_spmm(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return product(A, X, C, threads, forward);
}

int sc_spmm_t(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return product(A, X, C, threads, transposed);
}
