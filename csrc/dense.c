/* Dense to sparse and back. */
#include "structure.h"

int sc_from_dense_count(const sc_dense *W, int64_t *indptr, int threads)
{
    size_t size = sc_val_size(W->val);
    indptr[0] = 0;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t r = 0; r < W->rows; r++)
        indptr[r + 1] = sc_kernels()->entries->count_dense[W->val](
            (const char *)W->data + (ptrdiff_t)(r * W->row_stride) * (ptrdiff_t)size, W->col_stride, W->cols);
    for (int64_t r = 0; r < W->rows; r++) indptr[r + 1] += indptr[r];
    return SC_OK;
}

int sc_from_dense(const sc_dense *W, enum sc_idx idx, const sc_out *out, int threads)
{
    int64_t block = SC_MAX(1, SC_PANEL / (W->cols + 1));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t r = 0; r < W->rows; r += block)
        sc_kernels()->entries->from_dense[W->val][idx](W, r, SC_MIN(W->rows, r + block), out->indptr, out->indices,
                                                       out->data);
    return SC_OK;
}

int sc_to_dense(const sc_csr *A, const sc_dense *D, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL);
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_rows(A, r0, r1);
        if (found == SC_OK) sc_kernels()->entries->to_dense[A->val][A->idx](A, r0, r1, D);
        sc_report(&status, found);
    }
    return status;
}
