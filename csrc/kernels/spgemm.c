/* Products of two sparse matrices: instances for every value type, one index form (SC_P64I32). */
#include "isa.h"
#include "spgemm_sort.h"

#define AHEAD 16        /* entries of A between a prefetch and its use */
#define SPREAD 16       /* columns per product up to which sums in place beat sorting */
#define LONG 64         /* products of an entry of A and a tile of columns that pay for finding where they end */
#define FEW 12          /* products that are sorted, not marked */
#define NETWORK 2048    /* products that the sorting network takes */

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

/* slot[t] = the place in row r of C where product t of the row goes */
static void slots(const sc_csr *A, const sc_csr *B, const sc_csr *C, int64_t r0, int64_t r1, uint16_t *place,
                  const int64_t *work, uint16_t *slot)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr, *Cp = C->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices, *Cc = C->indices;
    for (int64_t r = r0; r < r1; r++) {
        uint16_t *s = slot + work[r];
        for (int64_t p = Cp[r]; p < Cp[r + 1]; p++) place[Cc[p]] = (uint16_t)(p - Cp[r]);
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++)
            for (int64_t q = Bp[Ac[p]], end = Bp[Ac[p] + 1]; q < end; q++) *s++ = place[Bc[q]];
    }
}

/* The first q in q0..q1 whose column is at least c, without a branch that would be mispredicted. */
static inline int64_t first_at_least(const int32_t *col, int64_t q0, int64_t q1, int64_t c)
{
    for (int64_t n = q1 - q0; n > 0; n /= 2) {
        int64_t half = (n + 1) / 2;
        q0 += half & -(int64_t)(col[q0 + half - 1] < c);
    }
    return q0;
}

#define SC_REAL_ONLY
#define SC_EACH "thin_body.h"
#include "each_value.h"
#undef SC_EACH
#undef SC_REAL_ONLY

#define SC_NO_HALF
#define SC_EACH "spgemm_body.h"
#include "each_value.h"
#undef SC_EACH

#define SC_REAL_ONLY
#define SC_EACH "topn_body.h"
#include "each_value.h"

#define SC_BY_FULL_VAL(f) {f##_f32, f##_f64, f##_c64, f##_c128}

const struct sc_spgemm_kernels SC_SYM(sc_spgemm) = {
    .work = work,
    .rows = SC_BY_FULL_VAL(spgemm),
    .topn = {topn_f32, topn_f64},
    .slots = slots,
    .planned = SC_BY_FULL_VAL(planned),
    .masked = SC_BY_FULL_VAL(masked),
    .sddmm = SC_BY_FULL_VAL(sddmm),
};
