/* Checks an operand and brings it into 64-bit pointers over 32-bit columns. */
#include "side.h"

#include "driver.h"

int sc_side_open(struct sc_side *side, const sc_csr *A, int threads)
{
    *side = (struct sc_side){.m = *A, .canonical = 1};
    side->m.idx = SC_P64I32;
    if (A->cols > INT32_MAX) return SC_TOO_LARGE;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) > A->nnz) return SC_BAD_INDPTR;
    int64_t *ptr = 0;
    int32_t *col = 0;
    if (A->idx == SC_I32) {
        side->m.indptr = side->pointers = ptr = sc_alloc(A->rows + 1, 8);
        if (!ptr) return SC_NO_MEMORY;
        ptr[A->rows] = sc_ptr(A, A->rows);
    } else if (A->idx == SC_I64) {
        side->m.indices = side->columns = col = sc_alloc(A->nnz, 4);
        if (!col) return SC_NO_MEMORY;
    }
    const struct sc_check_kernels *check = sc_kernels()->check;
    int64_t parts = sc_parts(A, 4 * SC_PANEL);
    int status = SC_OK, loose = 0;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_rows(A, r0, r1);
        sc_report(&status, found);
        if (found != SC_OK) continue;
        if (ptr)
            for (int64_t r = r0; r < r1; r++) ptr[r] = ((const int32_t *)A->indptr)[r];
        if (col)
            for (int64_t p = sc_ptr(A, r0); p < sc_ptr(A, r1); p++) col[p] = (int32_t)((const int64_t *)A->indices)[p];
        if (!check->canonical[A->idx](A->indptr, A->indices, r0, r1)) {
#pragma omp atomic write
            loose = 1;
        }
    }
    side->canonical = !loose;
    return status;
}

void sc_side_close(struct sc_side *side)
{
    sc_free(side->pointers);
    sc_free(side->columns);
}
