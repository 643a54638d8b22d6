/* Checks an operand and brings it into 64-bit pointers over 32-bit columns. */
#include "side.h"

#include "driver.h"
#include "team.h"

struct open {
    const sc_csr *A;
    int64_t *ptr, parts;        /* wider pointers and narrower columns, where they are wanted */
    int32_t *col;
    int loose, status;
};

static void open_part(void *job, int64_t k, int thread)
{
    struct open *o = job;
    const sc_csr *A = o->A;
    int64_t r0 = sc_cut(A, k, o->parts), r1 = sc_cut(A, k + 1, o->parts);
    int found = sc_check_rows(A, r0, r1);
    (void)thread;
    sc_report(&o->status, found);
    if (found != SC_OK) return;
    if (o->ptr)
        for (int64_t r = r0; r < r1; r++) o->ptr[r] = ((const int32_t *)A->indptr)[r];
    if (o->col)
        for (int64_t p = sc_ptr(A, r0); p < sc_ptr(A, r1); p++) o->col[p] = (int32_t)((const int64_t *)A->indices)[p];
    if (!sc_kernels()->check->canonical[A->idx](A->indptr, A->indices, r0, r1)) {
#pragma omp atomic write
        o->loose = 1;
    }
}

int sc_side_open(struct sc_side *side, const sc_csr *A, int threads)
{
    *side = (struct sc_side){.m = *A, .canonical = 1};
    side->m.idx = SC_P64I32;
    if (A->cols > INT32_MAX) return SC_TOO_LARGE;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) > A->nnz) return SC_BAD_INDPTR;
    struct open o = {.A = A, .parts = sc_parts(A, 4 * SC_PANEL)};
    if (A->idx == SC_I32) {
        side->m.indptr = side->pointers = o.ptr = sc_alloc(A->rows + 1, 8);
        if (!o.ptr) return SC_NO_MEMORY;
        o.ptr[A->rows] = sc_ptr(A, A->rows);
    } else if (A->idx == SC_I64) {
        side->m.indices = side->columns = o.col = sc_alloc(A->nnz, 4);
        if (!o.col) return SC_NO_MEMORY;
    }
    sc_team(o.parts, o.parts / (8 * threads) + 1, threads, open_part, &o);
    side->canonical = !o.loose;
    return o.status;
}

void sc_side_close(struct sc_side *side)
{
    sc_free(side->pointers);
    sc_free(side->columns);
}
