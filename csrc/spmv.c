/* y = A @ x and y = A.T @ x */
#include "band.h"
#include "driver.h"
#include "range.h"
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
    sc_spmv_t_fn *scatter;
    const sc_csr *A;
    const void *x;
    char *y, *more;                    /* transposed: the first output, and the others one after the other */
    int64_t ahead, parts, first;       /* parts of the rows; the first of this turn */
    int64_t outputs, step;             /* transposed: private outputs; parts of each in a turn */
    struct sc_ranges ranges;
    struct sc_band band;
    int narrow;                        /* parts of the band */
    size_t acc;
    int status;
};

static void forward(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_csr *A = job->A;
    int64_t r0 = sc_cut(A, job->first + k, job->parts), r1 = sc_cut(A, job->first + k + 1, job->parts);
    (void)thread;
    sc_report(&job->status, job->kernel(A, r0, r1, job->x, job->y, job->ahead));
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
    int64_t n = 2;
    while (2 * n <= SC_MIN(16, SC_MIN(by_cache, by_work))) n *= 2;      /* even: two threads end together */
    return n;
}

static void add_entries(void *job_, int64_t first, const int32_t *row, const void *col, const void *val, int64_t n,
                        char *y)
{
    const struct job *job = job_;
    const char *x = (const char *)job->x + (size_t)first * job->acc;
    sc_kernels()->product->add_entries[job->A->val][job->A->idx](row, col, val, n, x, y);
}

/* Of an output, or a range of its columns: the next of its parts.  They are dealt out to and fro, 0 1 1 0 0 1 ...,
 * because rows that come by their length would leave one output with most of the work (email-Enron: halves of 0.33 and
 * 0.63 ms). */
static void scatter(void *job_, int64_t unit, int thread)
{
    struct job *job = job_;
    const sc_csr *A = job->A;
    const struct sc_ranges *R = &job->ranges;
    int64_t k = unit / R->n, i = unit % R->n, begin = sc_range_begin(R, i, A->cols);
    char *mine = k == 0 ? job->y : job->more + (size_t)(k - 1) * (size_t)A->cols * job->acc;
    if (job->first == 0)
        memset(mine + (size_t)begin * job->acc, 0, (size_t)(sc_range_begin(R, i + 1, A->cols) - begin) * job->acc);
    for (int64_t turn = job->first; turn < job->first + job->step; turn++) {
        int64_t part = turn * job->outputs + (turn & 1 ? job->outputs - 1 - k : k);
        if (part >= job->parts) continue;
        int64_t r0 = sc_cut(A, part, job->parts), r1 = sc_cut(A, part + 1, job->parts);
        int found = R->n > 1 ? sc_check_pointers(A, r0, r1) : job->scatter(A, r0, r1, job->x, mine, 0, job->ahead);
        if (R->n > 1 && found == SC_OK) found = sc_ranges_run(R, A, r0, r1, i, thread, add_entries, job, mine);
        sc_report(&job->status, found);
    }
}

static void add_block(void *job_, int64_t k, int thread)
{
    const struct job *job = job_;
    int64_t size = job->A->cols, n = SC_MIN(SUM_BLOCK, size - k * SUM_BLOCK);
    size_t at = (size_t)(k * SUM_BLOCK) * job->acc;
    (void)thread;
    sc_kernels()->product->add_parts[job->A->val](job->more + at, job->outputs - 1, size, n, job->y + at);
}

static void scatter_band(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    struct sc_band_part P = sc_band_part(job->A, &job->band, k, job->narrow);
    sc_csr A = *job->A;
    (void)thread;
    A.cols = P.c1;
    if (!job->narrow) memset(job->y + (size_t)P.c0 * job->acc, 0, (size_t)(P.clear - P.c0) * job->acc);
    if (sc_reported(&job->status) == SC_OK)
        sc_report(&job->status, job->scatter(&A, P.r0, P.r1, job->x, job->y, P.c0, 0));
}

/* Wide parts, then the narrow ones between them.  An entry outside its part is found when it is met. */
static int by_band(struct job *job, int threads)
{
    int64_t wave = SC_MAX(2 * threads, PANELS_PER_POLL * PANEL / (job->A->nnz / job->band.parts + 1));
    for (job->narrow = 0; job->narrow <= 1; job->narrow++) {
        int status = sc_team_waves(job->band.parts - job->narrow, wave, threads, scatter_band, job);
        if (status != SC_OK) return status;
    }
    return job->status;
}

int sc_spmv_t(const sc_csr *A, const void *x, void *y, int threads)
{
    struct job job = {.scatter = sc_kernels()->product->spmv_t[A->val][A->idx], .A = A, .x = x, .y = y,
                      .parts = sc_parts(A, PANEL), .acc = sc_acc_size(A->val)};
    if (A->cols * (int64_t)job.acc >= SC_BAND_BYTES) job.band = sc_band_find(A);
    if (job.band.parts && A->nnz / job.band.parts <= PANELS_PER_POLL * PANEL) {
        int status = by_band(&job, threads);
        if (status == SC_OK || status == SC_INTERRUPTED) return status;
        job.status = SC_OK;         /* not as banded as it seemed, or malformed, which the general way tells */
    }
    job.ahead = job.parts > 1 && sc_scattered(A, (int64_t)job.acc) ? FAR : 0;
    job.outputs = SC_MAX(1, SC_MIN(private_outputs(A, job.acc), A->rows));
    if (job.outputs > 1) job.parts = SC_MAX(job.parts, SC_MIN(A->rows, 8 * job.outputs));
    job.step = SC_MAX(1, PANELS_PER_POLL / job.outputs);
    if (job.outputs > 1 && !(job.more = sc_borrow((job.outputs - 1) * A->cols, job.acc))) return SC_NO_MEMORY;
    job.status = sc_ranges_open(&job.ranges, A, job.outputs, threads);
    for (; job.first * job.outputs < job.parts && job.status == SC_OK; job.first += job.step) {
        if (job.first > 0 && sc_poll() != SC_OK) job.status = SC_INTERRUPTED;
        else sc_team(job.outputs * job.ranges.n, 1, threads, scatter, &job);
    }
    if (job.outputs > 1) {
        int64_t blocks = (A->cols + SUM_BLOCK - 1) / SUM_BLOCK;
        if (job.status == SC_OK) sc_team(blocks, blocks / (8 * threads) + 1, threads, add_block, &job);
        sc_return(job.more);
    }
    sc_ranges_close(&job.ranges);
    return job.status;
}
