/* alpha A + beta B and A * B by elements. */
#include "sequence.h"
#include "structure.h"
#include "team.h"

/* Entries of both matrices in a part.  Its result lies in scratch, in the L2 cache, until its place in out is known.
 * (Writing where it would begin if nothing coincided, and closing up behind, touches half as many pages again and moves
 * half of the result on one thread.) */
#define PART 16384
#define WAVE ((int64_t)1024)          /* parts between which signals are looked at: some 100 ms of one thread */

/* Entries of both and rows before row r; wraps where an indptr is unsound. */
static int64_t both(const sc_csr *A, const sc_csr *B, int64_t r)
{
    return (int64_t)((uint64_t)sc_ptr(A, r) + (uint64_t)sc_ptr(B, r) + (uint64_t)r);
}

/* sc_cut by the entries of both; rising in i for the same reason. */
static int64_t cut(const sc_csr *A, const sc_csr *B, int64_t i, int64_t n)
{
    if (i <= 0) return 0;
    if (i >= n) return A->rows;
    int64_t target = (int64_t)((__int128)(A->nnz + B->nnz + A->rows) * i / n), lo = 0, hi = A->rows;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (both(A, B, mid) < target) lo = mid + 1; else hi = mid;
    }
    return lo;
}

struct work {
    const sc_csr *A, *B;
    const void *alpha, *beta;           /* NULL: the product by elements */
    const sc_out *out;
    int *canonical;
    int64_t parts, *row;                /* part k: rows row[k] .. row[k + 1] */
    int64_t room;                       /* most entries of both in a part */
    const int64_t *begin;               /* of the result of part k */
};

static void cut_at(void *job, int64_t k, int thread)
{
    const struct work *w = job;
    (void)thread;
    w->row[k] = cut(w->A, w->B, k, w->parts);
}

/* Cuts the rows into parts, in parallel because each cut is a search in memory. */
static int cut_parts(struct work *w, int threads)
{
    const sc_csr *A = w->A, *B = w->B;
    w->parts = SC_MAX(1, SC_MIN(A->rows, (A->nnz + B->nnz + A->rows) / PART));
    w->row = sc_alloc(w->parts + 1, sizeof *w->row);
    if (!w->row) return SC_NO_MEMORY;
    sc_team(w->parts + 1, 64, threads, cut_at, w);
    for (int64_t k = 0; k < w->parts; k++) {
        int64_t a0 = sc_ptr(A, w->row[k]), a1 = sc_ptr(A, w->row[k + 1]), b0 = sc_ptr(B, w->row[k]),
                b1 = sc_ptr(B, w->row[k + 1]);
        if (a0 < 0 || a1 < a0 || a1 > A->nnz || b0 < 0 || b1 < b0 || b1 > B->nnz) return SC_BAD_INDPTR;
        w->room = SC_MAX(w->room, a1 - a0 + b1 - b0);
    }
    return SC_OK;
}

static int check_pointers(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1)
{
    int status = sc_check_pointers(A, r0, r1);
    return status == SC_OK ? sc_check_pointers(B, r0, r1) : status;
}

static int check_order(const struct work *w, int64_t r0, int64_t r1)
{
    int status = sc_check_order(w->A, r0, r1, w->canonical);
    return status == SC_OK ? sc_check_order(w->B, r0, r1, w->canonical) : status;
}

/* Rows of part k; their lengths stand where their pointers will. */
static int compute(void *job, int thread, int64_t k, void *col, void *val, int64_t *n)
{
    (void)thread;
    const struct work *w = job;
    const sc_csr *A = w->A, *B = w->B;
    const struct sc_elementwise_kernels *kernels = sc_kernels()->elementwise;
    int64_t r0 = w->row[k], r1 = w->row[k + 1];
    int status = check_pointers(A, B, r0, r1);
    if (status != SC_OK) return status;
    if (both(A, B, r1) - both(A, B, r0) > w->room + r1 - r0) return SC_CHANGED;
    void *length = sc_at(w->out->indptr, r0, A->idx == SC_I32 ? 4 : 8);
    *n = w->alpha ? kernels->add[A->val][A->idx](A, B, w->alpha, w->beta, r0, r1, length, col, val)
                  : kernels->multiply[A->val][A->idx](A, B, r0, r1, length, col, val);
    if (*n >= 0) return SC_OK;
    /* Something is wrong with the result, so with A or B: only now is it worth looking what. */
    *n = 0;
    status = check_order(w, r0, r1);
    return status == SC_OK && __atomic_load_n(w->canonical, __ATOMIC_RELAXED) ? SC_CHANGED : status;
}

static void point_part(void *job, int64_t k, int thread)
{
    const struct work *w = job;
    sc_csr C = {.rows = w->A->rows, .indptr = w->out->indptr, .idx = w->A->idx};
    int64_t p = w->begin[k];
    (void)thread;
    for (int64_t r = w->row[k]; r < w->row[k + 1]; r++) {
        int64_t n = sc_ptr(&C, r);
        sc_put_ptr(w->out->indptr, C.idx, r, p);
        p += n;
    }
}

/* Lengths of rows become row pointers; `length` of parts: where they begin. */
static void point(struct work *w, int64_t *length, int threads)
{
    int64_t at = 0;
    for (int64_t k = 0; k < w->parts; k++) {
        int64_t n = length[k];
        length[k] = at;
        at += n;
    }
    w->begin = length;
    sc_team(w->parts, 16, threads, point_part, w);
    sc_put_ptr(w->out->indptr, w->A->idx, w->A->rows, at);
}

/* A row is computed by itself, so there is one result, whatever the parts and whoever computes them. */
static int run(struct work *w, int64_t *nnz, int threads)
{
    const sc_csr *A = w->A;
    struct sc_sequence S = {.col = w->out->indices, .val = w->out->data, .limit = A->nnz + w->B->nnz,
                            .index = sc_index_size(A->idx), .value = sc_val_size(A->val), .threads = threads};
    *w->canonical = 1;
    int status = cut_parts(w, threads);
    if (status == SC_OK) status = sc_sequence_open(&S, w->parts, w->room);
    for (int64_t k = 0; k < w->parts && status == SC_OK; k += WAVE) {
        status = sc_sequence_run(&S, k, SC_MIN(k + WAVE, w->parts), compute, w);
        if (status == SC_OK) status = sc_poll();
    }
    if (status == SC_OK) point(w, S.length, threads);
    *nnz = S.filled;
    sc_sequence_close(&S);
    sc_free(w->row);
    return status;
}

int sc_add(const sc_csr *A, const sc_csr *B, const void *alpha, const void *beta, const sc_out *out, int64_t *nnz,
           int *canonical, int threads)
{
    struct work w = {.A = A, .B = B, .alpha = alpha, .beta = beta, .out = out, .canonical = canonical};
    return run(&w, nnz, threads);
}

int sc_multiply(const sc_csr *A, const sc_csr *B, const sc_out *out, int64_t *nnz, int *canonical, int threads)
{
    struct work w = {.A = A, .B = B, .out = out, .canonical = canonical};
    return run(&w, nnz, threads);
}

/* out = left[r] * data * right[c], or data * D[r, c], by panels. */
struct scale {
    const sc_csr *A;
    const void *left, *right;
    const sc_dense *D;
    void *out;
    int64_t parts;
    int *canonical, status;
};

static void scale_part(void *job, int64_t k, int thread)
{
    struct scale *s = job;
    const sc_csr *A = s->A;
    const struct sc_elementwise_kernels *kernels = sc_kernels()->elementwise;
    int64_t r0 = sc_cut(A, k, s->parts), r1 = sc_cut(A, k + 1, s->parts);
    int found = sc_check_order(A, r0, r1, s->canonical);
    (void)thread;
    if (found == SC_OK && s->D) kernels->times_dense[A->val][A->idx](A, r0, r1, s->D, s->out);
    else if (found == SC_OK) kernels->scale[A->val][A->idx](A, r0, r1, s->left, s->right, s->out);
    sc_report(&s->status, found);
}

static int scale(struct scale *s, int threads)
{
    s->parts = sc_parts(s->A, SC_PANEL);
    *s->canonical = 1;
    sc_team(s->parts, s->parts / (8 * threads) + 1, threads, scale_part, s);
    return s->status;
}

int sc_scale(const sc_csr *A, const void *left, const void *right, void *out, int *canonical, int threads)
{
    struct scale s = {.A = A, .left = left, .right = right, .out = out, .canonical = canonical};
    return scale(&s, threads);
}

int sc_times_dense(const sc_csr *A, const sc_dense *D, void *out, int *canonical, int threads)
{
    struct scale s = {.A = A, .D = D, .out = out, .canonical = canonical};
    return scale(&s, threads);
}
