/* A @ B for one pair of patterns and many values: where each product goes is written down once. */
#include "driver.h"
#include "side.h"
#include "team.h"

#define PART 16384      /* products of a panel */
#define WAVE 512        /* panels between two looks at signals */

static void count(const sc_csr *A, const sc_csr *B, int64_t *work, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL), sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        sc_kernels()->spgemm->work(A, B, sc_cut(A, k, parts), sc_cut(A, k + 1, parts), work);
    for (int64_t r = 0; r < A->rows; r++) {
        int64_t n = work[r];
        work[r] = sum;
        sum += n;
    }
    work[A->rows] = sum;
}

static int open_sides(struct sc_side *side, const sc_csr *const *in, int n, int *wrong, int threads)
{
    int status = SC_OK;
    for (int i = 0; i < n && status == SC_OK; i++) {
        status = sc_side_open(&side[i], in[i], threads);
        *wrong = i;
    }
    return status;
}

int sc_count_products(const sc_csr *A, const sc_csr *B, int64_t *work, int *wrong, int threads)
{
    *wrong = 0;
    if (A->cols != B->rows) return SC_BAD_SHAPE;
    struct sc_side side[2] = {0};
    int status = open_sides(side, (const sc_csr *[]){A, B}, 2, wrong, threads);
    if (status == SC_OK) count(&side[0].m, &side[1].m, work, threads);
    for (int i = 0; i < 2; i++) sc_side_close(&side[i]);
    return status;
}

/* Is `work` what the patterns of A and B give? */
static int same_work(const sc_csr *A, const sc_csr *B, const int64_t *work, int threads)
{
    int64_t *now = sc_alloc(A->rows + 1, 8);
    if (!now) return SC_NO_MEMORY;
    count(A, B, now, threads);
    int same = memcmp(now, work, (size_t)(A->rows + 1) * 8) == 0;
    sc_free(now);
    return same ? SC_OK : SC_CHANGED;
}

int sc_plan_slots(const sc_csr *A, const sc_csr *B, const sc_csr *C, const int64_t *work, uint16_t *slot, int *wrong,
                  int threads)
{
    *wrong = 0;
    if (A->cols != B->rows || C->rows != A->rows || C->cols != B->cols) return SC_BAD_SHAPE;
    struct sc_side side[3] = {0};
    int status = open_sides(side, (const sc_csr *[]){A, B, C}, 3, wrong, threads);
    if (status == SC_OK) status = same_work(&side[0].m, &side[1].m, work, threads);
    int64_t columns = B->cols + 64;
    uint16_t *place = status == SC_OK ? sc_calloc(threads * columns, sizeof *place) : 0;
    if (status == SC_OK && !place) status = SC_NO_MEMORY;
    sc_csr parts = {.rows = A->rows, .nnz = work[A->rows], .indptr = work, .idx = SC_P64I32};
    int64_t n = sc_parts(&parts, PART);
    for (int64_t k0 = 0; k0 < n && status == SC_OK; k0 += WAVE) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = k0; k < SC_MIN(k0 + WAVE, n); k++)
            sc_kernels()->spgemm->slots(&side[0].m, &side[1].m, &side[2].m, sc_cut(&parts, k, n),
                                        sc_cut(&parts, k + 1, n), place + sc_thread() * columns, work, slot);
        status = sc_poll();
    }
    sc_free(place);
    for (int i = 0; i < 3; i++) sc_side_close(&side[i]);
    return status;
}

int sc_plan_multiply(const sc_csr *A, const sc_csr *B, const int64_t *Cp, const int64_t *work, const uint16_t *slot,
                     void *out, int *wrong, int threads)
{
    *wrong = 0;
    if (A->cols != B->rows) return SC_BAD_SHAPE;
    if (A->val != B->val || !sc_kernels()->spgemm->planned[A->val]) return SC_BAD_TYPE;
    struct sc_side side[2] = {0};
    int status = open_sides(side, (const sc_csr *[]){A, B}, 2, wrong, threads);
    if (status == SC_OK) status = same_work(&side[0].m, &side[1].m, work, threads);
    sc_csr parts = {.rows = A->rows, .nnz = work[A->rows], .indptr = work, .idx = SC_P64I32};
    int64_t n = sc_parts(&parts, PART);
    for (int64_t k0 = 0; k0 < n && status == SC_OK; k0 += WAVE) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = k0; k < SC_MIN(k0 + WAVE, n); k++)
            sc_kernels()->spgemm->planned[A->val](&side[0].m, &side[1].m, Cp, sc_cut(&parts, k, n),
                                                  sc_cut(&parts, k + 1, n), side[1].canonical ? SC_CANONICAL : 0, work,
                                                  slot, out);
        status = sc_poll();
    }
    for (int i = 0; i < 2; i++) sc_side_close(&side[i]);
    return status;
}
