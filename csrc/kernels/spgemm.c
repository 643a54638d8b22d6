/* Products of two sparse matrices: instances for every value type, one index form (SC_P64I32). */
#include "isa.h"
#include "spgemm_sort.h"

/* work[r] = sum over entries (r, k) of A of the length of row k of B */
static void work(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int64_t *work)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr;
    const int32_t *Ac = A->indices;
    for (int64_t r = r0; r < r1; r++) {
        int64_t n = 0;
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++) n += Bp[Ac[p] + 1] - Bp[Ac[p]];
        work[r] = n;
    }
}

#define SC_NO_HALF
#define SC_EACH "spgemm_body.h"
#include "each_value.h"

#define SC_BY_FULL_VAL(f) {f##_f32, f##_f64, f##_c64, f##_c128}

const struct sc_spgemm_kernels SC_SYM(sc_spgemm) = {
    .work = work,
    .rows = SC_BY_FULL_VAL(spgemm),
};
