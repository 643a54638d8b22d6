/* Dense to sparse and back. */
#include "structure.h"
#include "team.h"

struct job {
    const sc_dense *D;
    const sc_csr *A;
    enum sc_idx idx;
    int64_t *indptr;
    const sc_out *out;
    int64_t block, parts;       /* rows of a part of D; parts of A */
    int status;
};

static void count_block(void *job_, int64_t k, int thread)
{
    const struct job *job = job_;
    const sc_dense *W = job->D;
    (void)thread;
    for (int64_t r = k * job->block; r < SC_MIN(W->rows, (k + 1) * job->block); r++) {
        const char *row = (const char *)W->data + (ptrdiff_t)(r * W->row_stride) * (ptrdiff_t)sc_val_size(W->val);
        job->indptr[r + 1] = sc_kernels()->entries->count_dense[W->val](row, W->col_stride, W->cols);
    }
}

static void fill_block(void *job_, int64_t k, int thread)
{
    const struct job *job = job_;
    const sc_dense *W = job->D;
    const sc_out *out = job->out;
    (void)thread;
    sc_kernels()->entries->from_dense[W->val][job->idx](W, k * job->block, SC_MIN(W->rows, (k + 1) * job->block),
                                                        out->indptr, out->indices, out->data);
}

/* Elements, or entries, between two looks at signals: at most a tenth of a second. */
#define WAVE ((int64_t)1 << 22)

/* Blocks of rows of about a panel. */
static int by_blocks(struct job *job, int threads, sc_part_fn *part)
{
    job->block = SC_MAX(1, SC_PANEL / (job->D->cols + 1));
    int64_t wave = WAVE / (job->block * (job->D->cols + 1)) + threads;
    return sc_team_waves((job->D->rows + job->block - 1) / job->block, wave, threads, part, job);
}

int sc_from_dense_count(const sc_dense *W, int64_t *indptr, int threads)
{
    struct job job = {.D = W, .indptr = indptr};
    indptr[0] = 0;
    int status = by_blocks(&job, threads, count_block);
    for (int64_t r = 0; r < W->rows && status == SC_OK; r++) indptr[r + 1] += indptr[r];
    return status;
}

int sc_from_dense(const sc_dense *W, enum sc_idx idx, const sc_out *out, int threads)
{
    struct job job = {.D = W, .idx = idx, .out = out};
    return by_blocks(&job, threads, fill_block);
}

static void spread_part(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_csr *A = job->A;
    int64_t r0 = sc_cut(A, k, job->parts), r1 = sc_cut(A, k + 1, job->parts);
    int found = sc_check_rows(A, r0, r1);
    (void)thread;
    if (found == SC_OK) sc_kernels()->entries->to_dense[A->val][A->idx](A, r0, r1, job->D);
    sc_report(&job->status, found);
}

int sc_to_dense(const sc_csr *A, const sc_dense *D, int threads)
{
    struct job job = {.A = A, .D = D, .parts = sc_parts(A, SC_PANEL)};
    int status = sc_team_waves(job.parts, WAVE / SC_PANEL, threads, spread_part, &job);
    return status == SC_OK ? job.status : status;
}
