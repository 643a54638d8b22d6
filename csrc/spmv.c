/* y = A @ x and y = A.T @ x */
#include "driver.h"

int sc_spmv(const sc_csr *A, const void *x, void *y, int threads)
{
    sc_spmv_fn *kernel = sc_kernels()->product->spmv[A->val][A->idx];
    int64_t parts = sc_parts(A, SC_PANEL);
    int status = SC_OK;
    /* Static blocks of parts: neighbouring panels on one thread read x and the matrix in order. */
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_rows(A, r0, r1);
        if (found == SC_OK) kernel(A, r0, r1, x, y);
        sc_report(&status, found);
    }
    return status;
}

/* The number of private outputs of a transposed product with n columns: enough for the threads of a large machine,
 * while all of them stay within a few megabytes and below the reading of A itself. */
static int64_t private_outputs(const sc_csr *A, int64_t n, size_t acc)
{
    int64_t bytes = A->cols * n * (int64_t)acc + 1;
    int64_t by_cache = ((int64_t)16 << 20) / bytes, by_work = A->nnz / (4 * A->cols + 1);
    int64_t parts = SC_MIN(SC_MIN(by_cache, by_work), 16);
    if (A->nnz < 1 << 15) return 1;
    return SC_MAX(parts, 2);
}

int sc_spmv_t(const sc_csr *A, const void *x, void *y, int threads)
{
    sc_spmv_fn *kernel = sc_kernels()->product->spmv_t[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t outputs = private_outputs(A, 1, acc), panels = sc_parts(A, SC_PANEL);
    outputs = SC_MIN(outputs, panels);
    int status = SC_OK;
    char *P = outputs > 1 ? sc_alloc(outputs * A->cols, acc) : y;
    if (!P) return SC_NO_MEMORY;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < outputs; k++) {
            char *mine = P + (size_t)(k * A->cols) * acc;
            memset(mine, 0, (size_t)A->cols * acc);
            for (int64_t i = k * panels / outputs; i < (k + 1) * panels / outputs; i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                int found = sc_check_rows(A, r0, r1);
                if (found == SC_OK) kernel(A, r0, r1, x, mine);
                sc_report(&status, found);
            }
        }
        if (outputs > 1) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < A->cols; i += 4096)
                sc_kernels()->product->sum_parts[A->val](P + (size_t)i * acc, outputs, A->cols,
                                                         SC_MIN(4096, A->cols - i), (char *)y + (size_t)i * acc);
        }
    }
    if (outputs > 1) sc_free(P);
    return status;
}
