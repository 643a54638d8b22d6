/* C = A @ B, both sparse, in one pass.
 *
 * Rows are cut into parts of about the same number of products.  A part is computed into scratch that stays in cache;
 * its place in the result is known once the parts before it are done, and it is copied there (sequence.h).  The result
 * grows between waves of parts (large blocks grow by their page tables); what it does not fill is never touched, so
 * that the peak is inputs + result + a few parts. */
#include "driver.h"
#include "sequence.h"
#include "side.h"
#include "spgemm.h"
#include "team.h"

#define PART 32768                    /* products of a part */
#define WAVE ((int64_t)1 << 22)       /* products between two looks at signals */
#define SORT 2048                     /* products of a row that is sorted rather than summed in place */

struct job {
    struct sc_side A, B;
    sc_csr parts;          /* "entries" are products: sc_cut gives parts of equal work */
    int64_t *work;         /* rising sums of the number of products of the rows */
    int64_t *count;        /* entries of the rows of C */
    sc_spgemm_scratch *scratch;
    struct sc_sequence out;
    int64_t n_parts;
    size_t size;
    int threads, flags;
    sc_spgemm_fn *kernel;
    int64_t top;           /* most entries to keep of a row */
    double floor;
    sc_csr_result *C;
};

static int64_t most_entries(const struct job *j, int64_t r0, int64_t r1)
{
    int64_t n = 0;
    int64_t most = SC_MIN(j->B.m.cols, j->top);
    for (int64_t r = r0; r < r1; r++) n += SC_MIN(j->work[r + 1] - j->work[r], most);
    return n;
}

struct count {
    const sc_csr *A, *B;
    int64_t *work, parts;
};

static void count_part(void *job, int64_t k, int thread)
{
    const struct count *c = job;
    (void)thread;
    sc_kernels()->spgemm->work(c->A, c->B, sc_cut(c->A, k, c->parts), sc_cut(c->A, k + 1, c->parts), c->work);
}

void sc_count_work(const sc_csr *A, const sc_csr *B, int64_t *work, int threads)
{
    struct count c = {A, B, work, sc_parts(A, SC_PANEL)};
    sc_team(c.parts, c.parts / (8 * threads) + 1, threads, count_part, &c);
}

/* work[r] = products of the rows before r; the longest row comes back. */
static int64_t count_work(struct job *j)
{
    const sc_csr *A = &j->A.m;
    int64_t most = 0, sum = 0;
    sc_count_work(A, &j->B.m, j->work, j->threads);
    for (int64_t r = 0; r < A->rows; r++) {
        int64_t n = j->work[r];
        j->work[r] = sum;
        sum += n;
        most = SC_MAX(most, n);
    }
    j->work[A->rows] = sum;
    return most;
}

static int64_t longest_row(const sc_csr *A)
{
    int64_t n = 0;
    for (int64_t r = 0; r < A->rows; r++) n = SC_MAX(n, sc_ptr(A, r + 1) - sc_ptr(A, r));
    return n;
}

static int take_scratch(struct job *j, int64_t longest)
{
    const sc_csr *B = &j->B.m;
    int64_t entries = longest_row(&j->A.m), row = SC_MIN(longest, B->cols);
    /* A sum per column, as long as that is little beside the matrices; else wide rows are sorted whatever their
     * length. */
    int64_t span = B->cols, sort = SC_MIN(longest, SORT), room = 0;
    if (B->cols > (j->A.m.nnz + B->nnz) / 8 + (1 << 18)) {
        span = j->B.canonical ? SC_MIN(B->cols, 16 * longest) : 0;
        sort = longest;
    }
    if (sort > UINT32_MAX) return SC_TOO_LARGE;
    for (int64_t k = 0; k < j->n_parts; k++)
        room = SC_MAX(room, most_entries(j, sc_cut(&j->parts, k, j->n_parts), sc_cut(&j->parts, k + 1, j->n_parts)));
    j->scratch = sc_calloc(j->threads, sizeof *j->scratch);
    j->out = (struct sc_sequence){.index = sizeof(int32_t), .value = j->size, .threads = j->threads};
    int status = sc_sequence_open(&j->out, j->n_parts, room);
    if (!j->scratch || status != SC_OK) return SC_NO_MEMORY;
    for (int i = 0; i < j->threads; i++) {
        sc_spgemm_scratch *s = &j->scratch[i];
        s->span = span;
        s->sort = sort;
        s->top = j->top;
        s->floor = j->floor;
        if (!(s->acc = sc_calloc(span + 64, j->size)) || !(s->flag = sc_calloc(span + 64, 1)) ||
            !(s->product = sc_alloc(sort + 64, j->size)) || !(s->key = sc_alloc(sort + 512, 8)) ||
            !(s->spare = sc_alloc(sort + 64, 8)) || !(s->segment = sc_alloc(entries, 16)))
            return SC_NO_MEMORY;
        if (j->top < INT64_MAX &&
            (!(s->row_col = sc_alloc(row + 64, sizeof *s->row_col)) || !(s->row_val = sc_alloc(row + 64, j->size)) ||
             !(s->pick = sc_alloc(row + 64, j->size))))
            return SC_NO_MEMORY;
    }
    return SC_OK;
}

static void give_back(struct job *j)
{
    for (int i = 0; j->scratch && i < j->threads; i++) {
        sc_spgemm_scratch *s = &j->scratch[i];
        sc_free(s->acc);
        sc_free(s->flag);
        sc_free(s->product);
        sc_free(s->key);
        sc_free(s->spare);
        sc_free(s->segment);
        sc_free(s->row_col);
        sc_free(s->row_val);
        sc_free(s->pick);
    }
    sc_free(j->scratch);
    sc_sequence_close(&j->out);
    sc_free(j->work);
    sc_side_close(&j->A);
    sc_side_close(&j->B);
}

static int resize(struct job *j, int64_t room)
{
    void *p = sc_keep_resize(j->C->indices, (size_t)room * sizeof(int32_t));
    if (!p) return SC_NO_MEMORY;
    j->C->indices = p;
    if (!(p = sc_keep_resize(j->C->data, (size_t)room * j->size))) return SC_NO_MEMORY;
    j->C->data = p;
    j->out.col = j->C->indices;
    j->out.val = j->C->data;
    j->out.limit = room;
    return SC_OK;
}

/* Room for the parts of the next wave, and for what the rest will need if it goes on like the past. */
static int grow(struct job *j, int64_t r0, int64_t r1)
{
    int64_t need = j->C->nnz + most_entries(j, r0, r1), done = j->work[r0], all = j->work[j->A.m.rows];
    if (need <= j->out.limit) return SC_OK;
    if (done > 0) need = SC_MAX(need, (int64_t)(1.1 * (double)j->C->nnz / (double)done * (double)all));
    return resize(j, SC_MIN(need, j->C->nnz + most_entries(j, r0, j->A.m.rows)));
}

static int part(void *job, int thread, int64_t k, void *col, void *val, int64_t *n)
{
    struct job *j = job;
    *n = j->kernel(&j->A.m, &j->B.m, sc_cut(&j->parts, k, j->n_parts), sc_cut(&j->parts, k + 1, j->n_parts), j->flags,
                   &j->scratch[thread], col, val, j->count);
    return SC_OK;
}

/* counts -> row pointers; everything in the narrowest width, cut to size */
static int finish(struct job *j)
{
    sc_csr_result *C = j->C;
    int64_t *ptr = C->indptr, sum = 0;
    int narrow = C->nnz <= INT32_MAX;
    for (int64_t r = 0; r <= C->rows; r++) {
        int64_t n = r < C->rows ? ptr[r] : 0;
        int32_t small = (int32_t)sum;
        if (narrow) memcpy((char *)ptr + 4 * r, &small, 4); else ptr[r] = sum;    /* never overtakes the reading */
        sum += n;
    }
    C->idx = narrow ? SC_I32 : SC_I64;
    int status = resize(j, C->nnz);
    if (narrow || status != SC_OK) return status;
    void *p = sc_keep_resize(C->indices, (size_t)C->nnz * 8);
    if (!p) return SC_NO_MEMORY;
    C->indices = p;
    for (int64_t i = C->nnz; i-- > 0;) {
        int32_t c;
        memcpy(&c, (char *)p + 4 * i, 4);
        ((int64_t *)p)[i] = c;
    }
    return SC_OK;
}

static int multiply(struct job *j)
{
    const sc_csr *A = &j->A.m;
    j->C->indptr = sc_keep_alloc((size_t)(A->rows + 1) * 8);
    j->work = sc_alloc(A->rows + 1, 8);
    if (!j->C->indptr || !j->work) return SC_NO_MEMORY;
    j->count = j->C->indptr;
    int64_t longest = count_work(j);
    j->parts = (sc_csr){.rows = A->rows, .nnz = j->work[A->rows], .indptr = j->work, .idx = SC_P64I32};
    j->n_parts = sc_parts(&j->parts, PART);
    int status = take_scratch(j, longest);
    /* The first wave is short: it tells how long the result will be. */
    int64_t step = SC_MAX(1, WAVE / PART);
    for (int64_t k = 0, next; k < j->n_parts && status == SC_OK; k = next) {
        next = SC_MIN(k ? k + step : SC_MAX(1, step / 16), j->n_parts);
        status = grow(j, sc_cut(&j->parts, k, j->n_parts), sc_cut(&j->parts, next, j->n_parts));
        if (status != SC_OK) break;
        status = sc_sequence_run(&j->out, k, next, part, j);
        j->C->nnz = j->out.filled;
        if (status == SC_OK) status = sc_poll();
    }
    return status == SC_OK ? finish(j) : status;
}

/* Opens the operands and multiplies. */
static int run(struct job *j, const sc_csr *A, const sc_csr *B, int *wrong)
{
    sc_csr_result *C = j->C;
    *C = (sc_csr_result){.rows = A->rows, .cols = B->cols};
    *wrong = 0;
    if (A->cols != B->rows) return SC_BAD_SHAPE;
    if (A->val != B->val || !j->kernel) return SC_BAD_TYPE;
    j->size = sc_val_size(A->val);
    int status = sc_side_open(&j->A, A, j->threads);
    if (status == SC_OK) {
        status = sc_side_open(&j->B, B, j->threads);
        *wrong = status != SC_OK;
    }
    if (status == SC_OK) {
        j->flags = j->B.canonical ? SC_CANONICAL : 0;
        status = multiply(j);
    }
    give_back(j);
    return status;
}

/* The buffers of a good result stay with the caller, who frees them by sc_keep_free. */
static int finished(int status, sc_csr_result *C)
{
    if (status == SC_OK) return SC_OK;
    sc_keep_free(C->indptr);
    sc_keep_free(C->indices);
    sc_keep_free(C->data);
    return status;
}

int sc_spgemm(const sc_csr *A, const sc_csr *B, sc_csr_result *C, int *wrong, int threads)
{
    struct job j = {.threads = threads, .C = C, .top = INT64_MAX, .kernel = sc_kernels()->spgemm->rows[A->val]};
    return finished(run(&j, A, B, wrong), C);
}

int sc_spgemm_topn(const sc_csr *A, const sc_csr *B, int64_t top, double floor, sc_csr_result *C, int *wrong,
                   int threads)
{
    /* No row has more entries than B has columns; four times a larger number might not be one. */
    struct job j = {.threads = threads, .C = C, .top = SC_MAX(1, SC_MIN(top, B->cols)), .floor = floor,
                    .kernel = sc_kernels()->spgemm->topn[A->val]};
    return finished(run(&j, A, B, wrong), C);
}
