/* A @ B for one pair of patterns and many values: where each product goes is written down once. */
#include "driver.h"
#include "side.h"
#include "spgemm.h"
#include "team.h"

#define PART 16384      /* products of a panel */
#define WAVE 512        /* panels between two looks at signals */

static void count(const sc_csr *A, const sc_csr *B, int64_t *work, int threads)
{
    int64_t sum = 0;
    sc_count_work(A, B, work, threads);
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

struct panels {
    const struct sc_side *side;
    sc_csr parts;
    int64_t n, first, columns;      /* panels, of this wave; scratch of a thread */
    const int64_t *Cp, *work;
    uint16_t *place, *slots;
    const uint16_t *slot;
    void *out;
};

static void slots_panel(void *job, int64_t i, int thread)
{
    const struct panels *p = job;
    int64_t k = p->first + i;
    sc_kernels()->spgemm->slots(&p->side[0].m, &p->side[1].m, &p->side[2].m, sc_cut(&p->parts, k, p->n),
                                sc_cut(&p->parts, k + 1, p->n), p->place + thread * p->columns, p->work, p->slots);
}

static void numbers_panel(void *job, int64_t i, int thread)
{
    const struct panels *p = job;
    const sc_csr *A = &p->side[0].m;
    int64_t k = p->first + i;
    (void)thread;
    sc_kernels()->spgemm->planned[A->val](A, &p->side[1].m, p->Cp, sc_cut(&p->parts, k, p->n),
                                          sc_cut(&p->parts, k + 1, p->n), p->side[1].canonical ? SC_CANONICAL : 0,
                                          p->work, p->slot, p->out);
}

static int run_panels(struct panels *p, int64_t rows, sc_part_fn *panel, int threads)
{
    int status = SC_OK;
    p->parts = (sc_csr){.rows = rows, .nnz = p->work[rows], .indptr = p->work, .idx = SC_P64I32};
    p->n = sc_parts(&p->parts, PART);
    for (p->first = 0; p->first < p->n && status == SC_OK; p->first += WAVE) {
        int64_t n = SC_MIN(WAVE, p->n - p->first);
        sc_team(n, n / (8 * threads) + 1, threads, panel, p);
        status = sc_poll();
    }
    return status;
}

int sc_plan_slots(const sc_csr *A, const sc_csr *B, const sc_csr *C, const int64_t *work, uint16_t *slot, int *wrong,
                  int threads)
{
    *wrong = 0;
    if (A->cols != B->rows || C->rows != A->rows || C->cols != B->cols) return SC_BAD_SHAPE;
    struct sc_side side[3] = {0};
    struct panels p = {.side = side, .columns = B->cols + 64, .work = work, .slots = slot};
    int status = open_sides(side, (const sc_csr *[]){A, B, C}, 3, wrong, threads);
    if (status == SC_OK) status = same_work(&side[0].m, &side[1].m, work, threads);
    if (status == SC_OK && !(p.place = sc_calloc(threads * p.columns, sizeof *p.place))) status = SC_NO_MEMORY;
    if (status == SC_OK) status = run_panels(&p, A->rows, slots_panel, threads);
    sc_free(p.place);
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
    struct panels p = {.side = side, .Cp = Cp, .work = work, .slot = slot, .out = out};
    int status = open_sides(side, (const sc_csr *[]){A, B}, 2, wrong, threads);
    if (status == SC_OK) status = same_work(&side[0].m, &side[1].m, work, threads);
    if (status == SC_OK) status = run_panels(&p, A->rows, numbers_panel, threads);
    for (int i = 0; i < 2; i++) sc_side_close(&side[i]);
    return status;
}
