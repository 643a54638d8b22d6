/* A.T of a CSR matrix as a CSR matrix, which is also CSC to CSR and back. */
#include "structure.h"
#include "team.h"

int sc_check_order(const sc_csr *A, int64_t r0, int64_t r1, int *canonical)
{
    int found = sc_check_rows(A, r0, r1);
    if (found == SC_OK && !sc_kernels()->check->canonical[A->idx](A->indptr, A->indices, r0, r1)) {
#pragma omp atomic write
        *canonical = 0;
    }
    return found;
}

/* Entries and rows before row r; wraps, because indptr is not checked yet. */
static uint64_t before_row(const sc_csr *A, int64_t r) { return (uint64_t)sc_ptr(A, r) + (uint64_t)r; }

int64_t sc_panel_end(const sc_csr *A, int64_t r, int64_t r1)
{
    uint64_t target = before_row(A, r) + SC_PANEL;
    int64_t step = 64, lo = r + 1, hi = SC_MIN(r1, r + step);
    while (hi < r1 && before_row(A, hi) < target) {
        lo = hi;
        step *= 2;
        hi = SC_MIN(r1, hi + step);
    }
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (before_row(A, mid) < target) lo = mid + 1; else hi = mid;
    }
    return lo;
}

#define LARGE_PAGE ((int64_t)2 << 20)

static void touch_page(void *p, int64_t k, int thread)
{
    (void)thread;
    ((volatile char *)p)[k * LARGE_PAGE] = 0;
}

void sc_touch(void *p, int64_t n, size_t size, int threads)
{
    int64_t bytes = n * (int64_t)size;
    if (threads > 1 && bytes >= 2 * LARGE_PAGE) sc_team((bytes - 1) / LARGE_PAGE + 1, 1, threads, touch_page, p);
}

struct check {
    const sc_csr *A;
    int64_t parts;
    int *canonical, status;
};

static void check_part(void *job, int64_t k, int thread)
{
    struct check *c = job;
    (void)thread;
    sc_report(&c->status, sc_check_order(c->A, sc_cut(c->A, k, c->parts), sc_cut(c->A, k + 1, c->parts), c->canonical));
}

int sc_check(const sc_csr *A, int threads, int *canonical)
{
    struct check c = {A, sc_parts(A, SC_PANEL), canonical, SC_OK};
    *canonical = 1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) != A->nnz) return SC_BAD_INDPTR;
    int status = sc_team_waves(c.parts, 4096, threads, check_part, &c);
    return status == SC_OK ? c.status : status;
}

struct narrow {
    const sc_csr *A;
    int32_t *indptr, *indices;
};

/* Pointers and indices of block k. */
static void narrow_block(void *job, int64_t k, int thread)
{
    const struct narrow *n = job;
    const sc_csr *A = n->A;
    const int64_t *wide = A->idx == SC_I64 ? A->indices : NULL;
    (void)thread;
    int64_t begin = k * SC_PANEL, end = begin + SC_PANEL;
    for (int64_t r = begin; r < SC_MIN(A->rows + 1, end); r++) n->indptr[r] = (int32_t)sc_ptr(A, r);
    if (wide)
        for (int64_t p = begin; p < SC_MIN(A->nnz, end); p++) n->indices[p] = (int32_t)wide[p];
}

int sc_narrow(const sc_csr *A, int32_t *indptr, int32_t *indices, int threads)
{
    struct narrow n = {A, indptr, indices};
    sc_team(SC_MAX(A->rows, A->nnz) / SC_PANEL + 1, 8, threads, narrow_block, &n);
    return SC_OK;
}

#define LARGE ((int64_t)12 << 20)      /* bytes of a result that no cache of a core keeps */
#define WIDE 2048                       /* columns between the ends of a row: a line for each is more than L1 has */
#define SAMPLE 64

/* Fewer entries are one thread's: two write the same lines in turns (64875 entries, stocfor3: 0.26 ms by one, 0.38 by
 * two; AVX2). */
#define SERIAL (1 << 17)

/* Unsigned, as nobody has checked it yet. */
static uint64_t column(const sc_csr *A, int64_t p)
{
    return (uint64_t)(A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p]);
}

/* Are rows wide?  A sample of them, of which nothing is known yet: this is a hint. */
static int is_wide(const sc_csr *A)
{
    int64_t step = A->rows / SAMPLE + 1, wide = 0, seen = 0;
    for (int64_t r = step / 2; r < A->rows; r += step) {
        int64_t p = sc_ptr(A, r), end = sc_ptr(A, r + 1);
        if (p < 0 || p >= end || end > A->nnz) continue;
        seen++;
        wide += (int64_t)(column(A, end - 1) - column(A, p)) >= WIDE;
    }
    return 2 * wide > seen;
}

/* Do a few neighbouring columns hold a large share of the entries?  By a sample; their places stay in cache. */
static int is_skewed(const sc_csr *A)
{
    int64_t ranges[SAMPLE] = {0}, most = 0, step = A->nnz / (16 * SAMPLE) + 1;
    for (int64_t p = step / 2; p < A->nnz; p += step) {
        double range = (double)column(A, p) / (double)A->cols * SAMPLE;
        if (range < SAMPLE) most = SC_MAX(most, ++ranges[(int)range]);
    }
    return most > 4 * SAMPLE;
}

struct job {
    const sc_csr *A;
    const sc_out *out;
    int *canonical, status;
    int64_t parts, panels;      /* part k: panels k * panels / parts and on */
    int64_t cols;
    char *counts;               /* direct: [part][column], of the type of pointers */
    int64_t *sums;              /* of a block of columns, then of all before it */
    struct sc_scatter *S;       /* through buckets */
};

static int64_t part_begin(const struct job *j, int64_t k) { return sc_cut(j->A, k * j->panels / j->parts, j->panels); }

static void *counts_of(const struct job *j, int64_t k)
{
    return j->counts + (size_t)(k * j->cols) * sc_ptr_size(j->A->idx);
}

/* The columns of part k, checked, by themselves or by buckets of 2^shift of them. */
static void count_part(void *job, int64_t k, int thread)
{
    struct job *j = job;
    const sc_csr *A = j->A;
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    int found = SC_OK;
    (void)thread;
    for (int64_t i = k * j->panels / j->parts; i < (k + 1) * j->panels / j->parts && found == SC_OK; i++) {
        int64_t r0 = sc_cut(A, i, j->panels), r1 = sc_cut(A, i + 1, j->panels), p0 = sc_ptr(A, r0), p1 = sc_ptr(A, r1);
        found = sc_check_order(A, r0, r1, j->canonical);
        if (found != SC_OK) break;
        if (j->S) kernels->count[A->idx](A->indices, p0, p1, j->S->shift, j->S->buckets, sc_scatter_counts(j->S, k));
        else kernels->count_columns[A->idx](A->indices, p0, p1, counts_of(j, k));
    }
    sc_report(&j->status, found);
}

#define BLOCK 4096      /* columns */

static void sum_block(void *job, int64_t b, int thread)
{
    const struct job *j = job;
    (void)thread;
    j->sums[b] = sc_kernels()->structure->sum_counts[j->A->idx](j->counts, j->parts, j->cols, b * BLOCK,
                                                                SC_MIN(j->cols, (b + 1) * BLOCK));
}

static void place_block(void *job, int64_t b, int thread)
{
    const struct job *j = job;
    (void)thread;
    sc_kernels()->structure->place_counts[j->A->idx](j->counts, j->parts, j->cols, b * BLOCK,
                                                     SC_MIN(j->cols, (b + 1) * BLOCK), j->sums[b], j->out->indptr);
}

static void flip_part(void *job, int64_t k, int thread)
{
    const struct job *j = job;
    (void)thread;
    sc_kernels()->structure->flip[sc_size_of(j->A->val)][j->A->idx](
        j->A, part_begin(j, k), part_begin(j, k + 1), counts_of(j, k), j->out->indices, j->out->data);
}

/* One step: count the columns, then every entry straight to its place. */
static void direct(struct job *j, int threads)
{
    int64_t blocks = (j->cols + BLOCK - 1) / BLOCK;
    j->counts = sc_calloc(j->parts * j->cols, sc_ptr_size(j->A->idx));
    j->sums = sc_alloc(blocks, sizeof *j->sums);
    if (!j->counts || !j->sums) j->status = SC_NO_MEMORY;
    if (j->status == SC_OK) sc_team(j->parts, 1, threads, count_part, j);
    if (j->status == SC_OK) j->status = sc_poll();
    if (j->status == SC_OK) {
        sc_team(blocks, 1, threads, sum_block, j);
        for (int64_t b = 0, at = 0; b < blocks; b++) {
            int64_t n = j->sums[b];
            j->sums[b] = at;
            at += n;
        }
        sc_team(blocks, 1, threads, place_block, j);
        sc_put_ptr(j->out->indptr, j->A->idx, j->cols, j->A->nnz);
        sc_team(j->parts, 1, threads, flip_part, j);
    }
    sc_free(j->counts);
    sc_free(j->sums);
}

static void bucket_part(void *job, int64_t k, int thread)
{
    const struct job *j = job;
    struct sc_buckets B = sc_scatter_part(j->S, k);
    (void)thread;
    sc_kernels()->structure->bucket[j->S->wide][sc_size_of(j->A->val)][j->A->idx](j->A, part_begin(j, k),
                                                                                  part_begin(j, k + 1), &B);
}

/* Two steps, through buckets. */
static void bucketed(struct job *j, int threads)
{
    const sc_csr *A = j->A;
    struct sc_scatter S;
    j->S = &S;
    j->status = sc_scatter_open(&S, A->cols, A->rows, A->nnz, j->parts, A->val, A->idx, threads);
    if (j->status == SC_OK) sc_team(j->parts, 1, threads, count_part, j);
    if (j->status == SC_OK) j->status = sc_poll();
    if (j->status == SC_OK) {
        sc_scatter_scan(&S);
        sc_team(j->parts, 1, threads, bucket_part, j);
        j->status = sc_poll();
    }
    if (j->status == SC_OK) sc_scatter_place(&S, A->val, A->idx, j->out, 0, threads);
    sc_scatter_close(&S);
}

int sc_transpose(const sc_csr *A, const sc_out *out, int *canonical, int threads)
{
    *canonical = 1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) != A->nnz) return SC_BAD_INDPTR;
    /* Parts may follow the threads here: entries keep their order, so there is only one result. */
    if (A->nnz < SERIAL) threads = 1;
    int64_t parts = SC_MAX(1, SC_MIN(threads, A->nnz / SC_PANEL));
    struct job j = {.A = A, .out = out, .canonical = canonical, .parts = parts, .panels = sc_parts(A, SC_PANEL),
                    .cols = A->cols};
    int64_t bytes = A->nnz * (int64_t)(sc_index_size(A->idx) + sc_val_size(A->val));
    if (bytes > LARGE && A->cols > 2 * WIDE && is_wide(A) && !sc_local(A) && !is_skewed(A)) {
        bucketed(&j, threads);
    } else {
        j.parts = SC_MIN(parts, A->nnz / (A->cols + 1) + 1);
        direct(&j, threads);
    }
    return j.status;
}
