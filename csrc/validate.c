/* Full structural check: indptr rises from 0 to nnz, every index lies within the columns. */
#include "driver.h"

static int64_t col_at(const sc_csr *A, int64_t p)
{
    return A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p];
}

/* The place of the first fault: a slow second look, only on the way to an exception. */
static int locate(const sc_csr *A, int64_t *row, int64_t *pos)
{
    for (int64_t r = 0; r < A->rows; r++) {
        *row = r;
        *pos = -1;
        int64_t p0 = sc_ptr(A, r), p1 = sc_ptr(A, r + 1);
        if (p0 < 0 || p1 < p0 || p1 > A->nnz) return SC_BAD_INDPTR;
        for (int64_t p = p0; p < p1; p++)
            if (col_at(A, p) < 0 || col_at(A, p) >= A->cols) { *pos = p; return SC_BAD_INDEX; }
    }
    return SC_OK;
}

int sc_validate(const sc_csr *A, int threads, int64_t *row, int64_t *pos)
{
    int status = SC_OK;
    *row = *pos = -1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) > A->nnz) { *row = 0; status = SC_BAD_INDPTR; }
    int64_t parts = sc_parts(A, 1 << 16);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        sc_report(&status, sc_check_rows(A, sc_cut(A, k, parts), sc_cut(A, k + 1, parts)));
    if (status == SC_OK) return SC_OK;
    int found = locate(A, row, pos);
    return found != SC_OK ? found : status;
}
