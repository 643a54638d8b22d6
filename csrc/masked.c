/* Products of which only the entries of a pattern are wanted. */
#include "driver.h"
#include "side.h"
#include "spgemm.h"
#include "team.h"

/* Panels of rows with about this many products or entries, and this many panels between two looks at signals. */
#define PART 16384
#define WAVE 512

struct masked {
    const struct sc_side *A, *B, *M;
    sc_csr parts;
    int64_t n, first, columns;      /* panels, of this wave; scratch of a thread */
    char *acc, *out;
};

static void masked_panel(void *job, int64_t i, int thread)
{
    const struct masked *m = job;
    const sc_csr *A = &m->A->m;
    int64_t k = m->first + i;
    sc_kernels()->spgemm->masked[A->val](A, &m->B->m, &m->M->m, sc_cut(&m->parts, k, m->n),
                                         sc_cut(&m->parts, k + 1, m->n), m->B->canonical ? SC_CANONICAL : 0,
                                         m->acc + (size_t)(thread * m->columns) * sc_val_size(A->val), m->out);
}

static int masked(const struct sc_side *A, const struct sc_side *B, const struct sc_side *M, char *out, int threads)
{
    struct masked m = {.A = A, .B = B, .M = M, .columns = B->m.cols + 64, .out = out};
    int64_t rows = A->m.rows, *work = sc_alloc(rows + 1, 8), sum = 0;
    m.acc = sc_alloc(threads * m.columns, sc_val_size(A->m.val));
    int status = work && m.acc ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
        const int64_t *Mp = M->m.indptr;
        sc_count_work(&A->m, &B->m, work, threads);
        for (int64_t r = 0; r < rows; r++) {
            int64_t n = Mp[r] == Mp[r + 1] ? 0 : work[r] + Mp[r + 1] - Mp[r];
            work[r] = sum;
            sum += n;
        }
        work[rows] = sum;
    }
    m.parts = (sc_csr){.rows = rows, .nnz = sum, .indptr = work, .idx = SC_P64I32};
    m.n = sc_parts(&m.parts, PART);
    for (m.first = 0; m.first < m.n && status == SC_OK; m.first += WAVE) {
        int64_t n = SC_MIN(WAVE, m.n - m.first);
        sc_team(n, n / (8 * threads) + 1, threads, masked_panel, &m);
        status = sc_poll();
    }
    sc_free(work);
    sc_free(m.acc);
    return status;
}

int sc_masked_matmul(const sc_csr *A, const sc_csr *B, const sc_csr *M, void *out, int *wrong, int threads)
{
    *wrong = 0;
    if (A->cols != B->rows || M->rows != A->rows || M->cols != B->cols) return SC_BAD_SHAPE;
    if (A->val != B->val || !sc_kernels()->spgemm->masked[A->val]) return SC_BAD_TYPE;
    const sc_csr *in[3] = {A, B, M};
    struct sc_side side[3] = {0};
    int status = SC_OK;
    for (int i = 0; i < 3 && status == SC_OK; i++) {
        status = sc_side_open(&side[i], in[i], threads);
        *wrong = i;
    }
    if (status == SC_OK) status = masked(&side[0], &side[1], &side[2], out, threads);
    for (int i = 0; i < 3; i++) sc_side_close(&side[i]);
    return status;
}

struct sampled {
    const sc_csr *P;
    const struct sc_side *side;
    const void *X, *Y;
    int64_t columns, parts, first;
    int weights;
    void *out;
};

static void sampled_panel(void *job, int64_t i, int thread)
{
    const struct sampled *s = job;
    int64_t k = s->first + i;
    (void)thread;
    sc_kernels()->spgemm->sddmm[s->P->val](&s->side->m, sc_cut(s->P, k, s->parts), sc_cut(s->P, k + 1, s->parts),
                                           s->X, s->Y, s->columns, s->weights, s->out);
}

int sc_sddmm(const sc_csr *P, const void *X, const void *Y, int64_t n, int weights, void *out, int threads)
{
    struct sc_side side;
    if (!sc_kernels()->spgemm->sddmm[P->val]) return SC_BAD_TYPE;
    int status = sc_side_open(&side, P, threads);
    struct sampled s = {.P = P, .side = &side, .X = X, .Y = Y, .columns = n, .weights = weights, .out = out,
                        .parts = sc_parts(P, SC_MAX(64, (1 << 16) / SC_MAX(1, n)))};
    for (; s.first < s.parts && status == SC_OK; s.first += WAVE) {
        sc_team(SC_MIN(WAVE, s.parts - s.first), 1, threads, sampled_panel, &s);
        status = sc_poll();
    }
    sc_side_close(&side);
    return status;
}
