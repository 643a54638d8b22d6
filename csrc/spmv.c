/* y = A @ x and y = A.T @ x */
#include "driver.h"

/* Entries between two looks at pending signals: tens of milliseconds even where every entry misses the caches. */
#define PANELS_PER_POLL 256

/* Entries of a unit of work: the search for its cut must not show. */
#define PANEL 32768

/* Entries ahead of their use that scattered elements of a vector are asked for. */
#define FAR 128

static int run_part(sc_spmv_fn *kernel, const sc_csr *A, int64_t k, int64_t parts, const void *x, void *y,
                    int64_t ahead)
{
    return kernel(A, sc_cut(A, k, parts), sc_cut(A, k + 1, parts), x, y, ahead);
}

int sc_spmv(const sc_csr *A, const void *x, void *y, int threads)
{
    sc_spmv_fn *kernel = sc_kernels()->product->spmv[A->val][A->idx];
    int64_t parts = sc_parts(A, PANEL);
    if (parts == 1) return run_part(kernel, A, 0, 1, x, y, 0);
    int64_t ahead = sc_scattered(A, (int64_t)sc_acc_size(A->val)) ? FAR : 0;
    int status = SC_OK;
    for (int64_t k0 = 0; k0 < parts && status == SC_OK; k0 += PANELS_PER_POLL) {
        int64_t k1 = SC_MIN(parts, k0 + PANELS_PER_POLL);
        if (k0 > 0 && (status = sc_poll()) != SC_OK) break;
        /* Runs of neighbouring panels on one thread read x and the matrix in order. */
        int chunk = (int)((k1 - k0) / (8 * threads) + 1);
#pragma omp parallel for num_threads(threads) schedule(dynamic, chunk) if (threads > 1)
        for (int64_t k = k0; k < k1; k++) sc_report(&status, run_part(kernel, A, k, parts, x, y, ahead));
    }
    return status;
}

/* The number of private outputs of a transposed product: enough for the threads of a large machine, while all of them
 * stay within a few megabytes and clearing and adding them stays well below the reading of A. */
static int64_t private_outputs(const sc_csr *A, size_t acc)
{
    if (A->nnz < 1 << 15) return 1;
    int64_t by_cache = ((int64_t)16 << 20) / (A->cols * (int64_t)acc + 1), by_work = A->nnz / (16 * A->cols + 1);
    return SC_MAX(2, SC_MIN(16, SC_MIN(by_cache, by_work)));
}

int sc_spmv_t(const sc_csr *A, const void *x, void *y, int threads)
{
    sc_spmv_fn *kernel = sc_kernels()->product->spmv_t[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t panels = sc_parts(A, PANEL), outputs = SC_MIN(private_outputs(A, acc), panels);
    if (panels == 1) {
        memset(y, 0, (size_t)A->cols * acc);
        return run_part(kernel, A, 0, 1, x, y, 0);
    }
    int64_t ahead = sc_scattered(A, (int64_t)acc) ? FAR : 0, step = SC_MAX(1, PANELS_PER_POLL / outputs);
    int64_t longest = (panels + outputs - 1) / outputs;
    int status = SC_OK;
    char *P = outputs > 1 ? sc_alloc(outputs * A->cols, acc) : y;
    if (!P) return SC_NO_MEMORY;
    for (int64_t i0 = 0; i0 < longest && status == SC_OK; i0 += step) {
        if (i0 > 0 && (status = sc_poll()) != SC_OK) break;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = 0; k < outputs; k++) {
            char *mine = P + (size_t)(k * A->cols) * acc;
            int64_t first = k * panels / outputs, end = (k + 1) * panels / outputs;
            if (i0 == 0) memset(mine, 0, (size_t)A->cols * acc);
            for (int64_t i = first + i0; i < SC_MIN(end, first + i0 + step); i++)
                sc_report(&status, run_part(kernel, A, i, panels, x, mine, ahead));
        }
    }
    if (outputs > 1 && status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
        for (int64_t i = 0; i < A->cols; i += 4096)
            sc_kernels()->product->sum_parts[A->val](P + (size_t)i * acc, outputs, A->cols, SC_MIN(4096, A->cols - i),
                                                     (char *)y + (size_t)i * acc);
    }
    if (outputs > 1) sc_free(P);
    return status;
}
