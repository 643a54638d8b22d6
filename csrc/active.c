/* y = A.T @ x + bias for an x of many zeros, such as what a ReLU gives: only the rows of A that meet an x that is not
 * zero are read.  On one thread, in the order of the rows. */
#include "driver.h"

int sc_active_product(const sc_csr *A, const sc_dense *x, const float *bias, float *y, int relu, int64_t most,
                      int64_t *touched)
{
    *touched = 0;
    if (A->val != SC_F32 || A->idx != SC_I32 || x->val != SC_F32) return SC_BAD_TYPE;
    if (x->rows != A->rows || x->cols != 1) return SC_BAD_SHAPE;
    const int32_t *indptr = A->indptr, *indices = A->indices;
    const float *data = A->data, *from = x->data;
    for (int64_t r = 0; r < A->rows; r++)
        if (from[r * x->row_stride] != 0) *touched += (int64_t)indptr[r + 1] - indptr[r];
    if (*touched > most) return SC_OK;
    for (int64_t c = 0; c < A->cols; c++) y[c] = bias ? bias[c] : 0;
    for (int64_t r = 0; r < A->rows; r++) {
        float value = from[r * x->row_stride];
        if (value == 0) continue;
        if (indptr[r] < 0 || indptr[r + 1] < indptr[r] || indptr[r + 1] > A->nnz) return SC_BAD_INDPTR;
        for (int64_t p = indptr[r]; p < indptr[r + 1]; p++) {
            if ((uint32_t)indices[p] >= (uint64_t)A->cols) return SC_BAD_INDEX;
            y[indices[p]] += data[p] * value;
        }
    }
    if (relu)
        for (int64_t c = 0; c < A->cols; c++) y[c] = y[c] < 0 ? 0 : y[c];       /* a NaN stays one */
    return SC_OK;
}
