/* y = A @ x and y = A.T @ x */
#include "driver.h"
#include "team.h"

/* Entries between two looks at pending signals: tens of milliseconds even where every entry misses the caches. */
#define PANELS_PER_POLL 256

/* Entries of a unit of work: the search for its cut must not show. */
#define PANEL 32768

/* Elements of a unit of work where private outputs are added. */
#define SUM_BLOCK 4096

/* Entries ahead of their use that scattered elements of a vector are asked for. */
#define FAR 128

struct job {
    sc_spmv_fn *kernel;
    const sc_csr *A;
    const void *x;
    char *y;
    int64_t ahead, parts, first;       /* parts of the rows; the first of this turn */
    int64_t outputs, step;             /* transposed: private outputs; parts of each in a turn */
    size_t acc;
    int status;
};

static void run_part(struct job *job, int64_t k, void *y)
{
    const sc_csr *A = job->A;
    int found = job->kernel(A, sc_cut(A, k, job->parts), sc_cut(A, k + 1, job->parts), job->x, y, job->ahead);
    sc_report(&job->status, found);
}

static void forward(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    run_part(job, job->first + k, job->y);
}

int sc_spmv(const sc_csr *A, const void *x, void *y, int threads)
{
    struct job job = {.kernel = sc_kernels()->product->spmv[A->val][A->idx], .A = A, .x = x, .y = y,
                      .parts = sc_parts(A, PANEL)};
    job.ahead = job.parts > 1 && sc_scattered(A, (int64_t)sc_acc_size(A->val)) ? FAR : 0;
    for (; job.first < job.parts && job.status == SC_OK; job.first += PANELS_PER_POLL) {
        int64_t n = SC_MIN(job.parts - job.first, PANELS_PER_POLL);
        if (job.first > 0 && sc_poll() != SC_OK) return SC_INTERRUPTED;
        /* Runs of neighbouring panels on one thread read x and the matrix in order. */
        sc_team(n, n / (8 * threads) + 1, threads, forward, &job);
    }
    return job.status;
}

/* The number of private outputs of a transposed product: enough for the threads of a large machine, while all of them
 * stay within a few megabytes and clearing and adding them stays well below the reading of A. */
static int64_t private_outputs(const sc_csr *A, size_t acc)
{
    if (A->nnz < 1 << 15) return 1;
    int64_t by_cache = ((int64_t)16 << 20) / (A->cols * (int64_t)acc + 1), by_work = A->nnz / (16 * A->cols + 1);
    return SC_MAX(2, SC_MIN(16, SC_MIN(by_cache, by_work)));
}

/* Of output k: the next parts of its rows. */
static void scatter(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    size_t bytes = (size_t)job->A->cols * job->acc;
    char *mine = job->y + (size_t)k * bytes;
    int64_t first = k * job->parts / job->outputs + job->first, end = (k + 1) * job->parts / job->outputs;
    if (job->first == 0) memset(mine, 0, bytes);
    for (int64_t i = first; i < SC_MIN(end, first + job->step); i++) run_part(job, i, mine);
}

struct sum {
    const char *from;
    char *to;
    int64_t outputs, size;
    enum sc_val val;
};

static void sum_block(void *sum_, int64_t k, int thread)
{
    const struct sum *sum = sum_;
    (void)thread;
    size_t acc = sc_acc_size(sum->val), at = (size_t)(k * SUM_BLOCK) * acc;
    int64_t n = SC_MIN(SUM_BLOCK, sum->size - k * SUM_BLOCK);
    sc_kernels()->product->sum_parts[sum->val](sum->from + at, sum->outputs, sum->size, n, sum->to + at);
}

int sc_spmv_t(const sc_csr *A, const void *x, void *y, int threads)
{
    struct job job = {.kernel = sc_kernels()->product->spmv_t[A->val][A->idx], .A = A, .x = x, .y = y,
                      .parts = sc_parts(A, PANEL), .acc = sc_acc_size(A->val)};
    job.outputs = SC_MIN(private_outputs(A, job.acc), job.parts);
    job.ahead = job.parts > 1 && sc_scattered(A, (int64_t)job.acc) ? FAR : 0;
    job.step = SC_MAX(1, PANELS_PER_POLL / job.outputs);
    if (job.outputs > 1 && !(job.y = sc_alloc(job.outputs * A->cols, job.acc))) return SC_NO_MEMORY;
    for (; job.first * job.outputs < job.parts && job.status == SC_OK; job.first += job.step) {
        if (job.first > 0 && sc_poll() != SC_OK) job.status = SC_INTERRUPTED;
        else sc_team(job.outputs, 1, threads, scatter, &job);
    }
    if (job.outputs > 1) {
        struct sum sum = {job.y, y, job.outputs, A->cols, A->val};
        int64_t blocks = (A->cols + SUM_BLOCK - 1) / SUM_BLOCK;
        /* Below some 100,000 additions a second team costs more than it brings. */
        if (job.status == SC_OK) sc_team(blocks, 4, sum.outputs * sum.size < 100000 ? 1 : threads, sum_block, &sum);
        sc_free(job.y);
    }
    return job.status;
}
