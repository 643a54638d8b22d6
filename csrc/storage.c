/* Products with Bitmask and N:M storage: the column numbers of a few rows at a time are decoded into a scratch that
 * stays in cache, and the kernel of the plain product runs on those rows.  Same values in the same order: same bits as
 * the product with the CSR matrix. */
#include "select.h"
#include "team.h"

#define PART_ENTRIES 8192

static int64_t start(const sc_storage *S, int64_t r) { return S->indptr ? S->indptr[r] : r * S->per_row; }

/* Rows of a part. */
static int64_t part_rows(const sc_storage *S)
{
    int64_t mean = S->nnz / SC_MAX(1, S->rows) + 1;
    return SC_MAX(1, SC_MIN(PART_ENTRIES / mean, 1024));
}

/* columns[0:], pointers[0:] of rows r0..r1 counted from their first entry */
static int decode(const sc_storage *S, int64_t r0, int64_t r1, int32_t *columns, int32_t *pointers)
{
    const struct sc_kernels *k = sc_kernels();
    int64_t p0 = start(S, r0), p1 = start(S, r1);
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = start(S, r), n = start(S, r + 1) - p;
        pointers[r - r0] = (int32_t)(p - p0);
        if (n < 0 || p < p0 || p + n > p1) return SC_BAD_INDPTR;
        if (S->words) {
            if (k->storage->columns_of_words(S->words + r * ((S->cols + 63) / 64), S->cols, columns + (p - p0), n) != n)
                return SC_BAD_INDPTR;
        } else {
            k->storage->columns_of_positions(S->positions + r * S->row_bytes, n, S->keep, S->group, S->bits,
                                             columns + (p - p0));
        }
    }
    pointers[r1 - r0] = (int32_t)(p1 - p0);
    return S->words || k->check->within[SC_I32](columns, 0, p1 - p0, S->cols) ? SC_OK : SC_BAD_INDEX;
}

/* The most entries of a part, or -1 where indptr does not rise from 0 to nnz. */
static int64_t largest_part(const sc_storage *S, int64_t height)
{
    int64_t most = 0;
    if (start(S, 0) != 0 || start(S, S->rows) != S->nnz) return -1;
    for (int64_t r = 0; r < S->rows; r += height) {
        int64_t p0 = start(S, r), p1 = start(S, SC_MIN(r + height, S->rows));
        if (p0 < 0 || p1 < p0 || p1 > S->nnz || p1 - p0 > INT32_MAX) return -1;
        most = SC_MAX(most, p1 - p0);
    }
    return most;
}

struct columns {
    const sc_storage *S;
    int64_t height;
    int32_t *columns, *pointers;
    int status;
};

static void columns_part(void *job_, int64_t part, int thread)
{
    struct columns *job = job_;
    const sc_storage *S = job->S;
    int64_t r = part * job->height;
    sc_report(&job->status, decode(S, r, SC_MIN(r + job->height, S->rows), job->columns + start(S, r),
                                   job->pointers + thread * (job->height + 1)));
}

int sc_storage_columns(const sc_storage *S, int32_t *columns, int threads)
{
    struct columns job = {S, part_rows(S), columns, 0, SC_OK};
    if (largest_part(S, job.height) < 0) return SC_BAD_INDPTR;
    job.pointers = sc_alloc((job.height + 1) * threads, sizeof *job.pointers);
    if (!job.pointers) return SC_NO_MEMORY;
    sc_team((S->rows + job.height - 1) / job.height, 1, threads, columns_part, &job);
    sc_free(job.pointers);
    return job.status;
}

/* One product: a part of the rows is decoded into the thread's own scratch and multiplied from there. */
struct product {
    const sc_storage *S;
    const sc_dense *X, *C;
    int64_t height, most;
    int32_t *columns, *pointers;
    int status;
};

static void multiply_part(void *job_, int64_t part, int thread)
{
    struct product *job = job_;
    const sc_storage *S = job->S;
    const sc_dense *X = job->X, *C = job->C;
    const struct sc_product_kernels *k = sc_kernels()->product;
    int64_t r = part * job->height, r1 = SC_MIN(r + job->height, S->rows);
    int32_t *columns = job->columns + thread * job->most, *pointers = job->pointers + thread * (job->height + 1);
    int found = decode(S, r, r1, columns, pointers);
    sc_csr A = {r1 - r, S->cols, start(S, r1) - start(S, r), pointers, columns,
                (const char *)S->data + (size_t)start(S, r) * sc_val_size(S->val), S->val, SC_I32};
    char *c = (char *)C->data + (size_t)(r * C->row_stride) * sc_acc_size(S->val);
    if (found == SC_OK)
        found = C->cols == 1 ? k->spmv[S->val][SC_I32](&A, 0, r1 - r, X->data, c, 0)
                             : k->spmm[S->val][SC_I32](&A, 0, r1 - r, X->data, X->row_stride, c, C->row_stride, C->cols,
                                                       0, SC_WRITE);
    sc_report(&job->status, found);
}

int sc_storage_matmul(const sc_storage *S, const sc_dense *X, const sc_dense *C, int threads)
{
    struct product job = {.S = S, .X = X, .C = C, .height = part_rows(S)};
    job.most = largest_part(S, job.height);
    if (job.most < 0) return SC_BAD_INDPTR;
    job.columns = sc_alloc(job.most * threads, sizeof *job.columns);
    job.pointers = sc_alloc((job.height + 1) * threads, sizeof *job.pointers);
    if (!job.columns || !job.pointers) job.status = SC_NO_MEMORY;
    else sc_team((S->rows + job.height - 1) / job.height, 1, threads, multiply_part, &job);
    sc_free(job.columns);
    sc_free(job.pointers);
    return job.status;
}

struct words {
    const sc_csr *A;
    uint64_t *words;
    int64_t parts;
    int status;
};

static void words_part(void *job_, int64_t k, int thread)
{
    struct words *job = job_;
    const sc_csr *A = job->A;
    int64_t r0 = sc_cut(A, k, job->parts), r1 = sc_cut(A, k + 1, job->parts), line = (A->cols + 63) / 64;
    int found = sc_check_rows(A, r0, r1);
    (void)thread;
    for (int64_t r = r0; r < r1 && found == SC_OK; r++)
        sc_kernels()->storage->words_of_columns[A->idx](A->indices, sc_ptr(A, r), sc_ptr(A, r + 1), A->cols,
                                                        job->words + r * line);
    sc_report(&job->status, found);
}

int sc_storage_words(const sc_csr *A, uint64_t *words, int threads)
{
    struct words job = {A, words, sc_parts(A, SC_PANEL), SC_OK};
    sc_team(job.parts, 1, threads, words_part, &job);
    return job.status;
}

struct positions {
    const sc_storage *S;
    const uint64_t *words;
    uint8_t *positions;
};

static void positions_of_row(void *job_, int64_t r, int thread)
{
    const struct positions *job = job_;
    const sc_storage *S = job->S;
    (void)thread;
    sc_kernels()->storage->positions_of_words(job->words + r * ((S->cols + 63) / 64), S->cols, S->group, S->bits,
                                              job->positions + r * S->row_bytes, S->row_bytes);
}

void sc_storage_positions(const sc_storage *S, const uint64_t *words, uint8_t *positions, int threads)
{
    struct positions job = {S, words, positions};
    sc_team(S->rows, S->rows / (8 * threads) + 1, threads, positions_of_row, &job);
}
