/* C = A @ X and C = A.T @ X for dense panels of any strides */
#include "driver.h"
#include "team.h"

/* Row-major copies of panels of at most this many columns stand in for operands of other strides. */
#define PACK_COLUMNS 32

/* Rows of a unit of work of copies and sums. */
#define PACK_ROWS 256

/* Every row of X is read this often at least before a copy of it in panels that fit L2 is worth its time. */
#define PACK_USES 64

/* Lines of X or C read between two looks at pending signals: tens of milliseconds even where each one misses. */
#define LINES_PER_POLL ((int64_t)1 << 22)

/* Entries ahead of their use that scattered rows of a panel are asked for. */
#define FAR 32

static char *at(const sc_dense *D, int64_t r, int64_t c, size_t size)
{
    return (char *)D->data + (ptrdiff_t)(r * D->row_stride + c * D->col_stride) * (ptrdiff_t)size;
}

static int row_major(const sc_dense *D) { return D->col_stride == 1 || D->cols <= 1; }

/* A panel of whole columns j0..j0+n of a dense matrix. */
static sc_dense columns(const sc_dense *D, int64_t j0, int64_t n, size_t size)
{
    sc_dense part = *D;
    part.data = at(D, 0, j0, size);
    part.cols = n;
    return part;
}

static inline __attribute__((always_inline)) void move(char *to, int64_t to_row, int64_t to_col, const char *from,
                                                       int64_t from_row, int64_t from_col, int64_t rows, int64_t cols,
                                                       const size_t size)
{
    /* Tiles of 8 columns: lines that a column order visits again and again stay in L1. */
    for (int64_t c0 = 0; c0 < cols; c0 += 8)
        for (int64_t r0 = 0; r0 < rows; r0 += 64)
            for (int64_t c = c0; c < SC_MIN(cols, c0 + 8); c++)
                for (int64_t r = r0; r < SC_MIN(rows, r0 + 64); r++)
                    memcpy(to + (r * to_row + c * to_col) * (int64_t)size,
                           from + (r * from_row + c * from_col) * (int64_t)size, size);
}

/* to[0:rows, 0:cols] = from[0:rows, 0:cols], strides in elements */
static void copy(char *to, int64_t to_row, int64_t to_col, const char *from, int64_t from_row, int64_t from_col,
                 int64_t rows, int64_t cols, size_t size)
{
    if (size == 4) move(to, to_row, to_col, from, from_row, from_col, rows, cols, 4);
    else if (size == 8) move(to, to_row, to_col, from, from_row, from_col, rows, cols, 8);
    else move(to, to_row, to_col, from, from_row, from_col, rows, cols, 16);
}

struct packing {
    const sc_dense *D;
    char *packed;
    size_t size;
    int into;
};

static void pack_rows(void *job_, int64_t k, int thread)
{
    const struct packing *job = job_;
    const sc_dense *D = job->D;
    (void)thread;
    int64_t r0 = k * PACK_ROWS, m = SC_MIN(PACK_ROWS, D->rows - r0), n = D->cols;
    char *mine = job->packed + (size_t)(r0 * n) * job->size, *theirs = at(D, r0, 0, job->size);
    if (job->into) copy(mine, n, 1, theirs, D->row_stride, D->col_stride, m, n, job->size);
    else copy(theirs, D->row_stride, D->col_stride, mine, n, 1, m, n, job->size);
}

/* Row-major copies: packed = D (into), or D = packed. */
static void pack(const sc_dense *D, char *packed, size_t size, int into, int threads)
{
    struct packing job = {D, packed, size, into};
    sc_team((D->rows + PACK_ROWS - 1) / PACK_ROWS, 4, threads, pack_rows, &job);
}

/* One product; every driver below uses what it needs. */
struct job {
    const sc_csr *A;
    const sc_dense *X, *C;
    sc_spmm_fn *kernel;
    size_t acc;
    int64_t ahead, parts, first;        /* parts of the rows; the first of this turn */
    int64_t grain;                      /* entries of a part */
    char *scratch;
    int64_t tile;                       /* elements of one thread's scratch, or of a private output */
    int64_t outputs, step;              /* transposed: blocks of columns or private outputs; parts of each in a turn */
    int status;
};

/* C[:, 0:n] += or = part k of A, n columns from X to c, rows ldc apart */
static void run_part(struct job *job, int64_t k, const void *x, char *c, int64_t ldc, int64_t n)
{
    int64_t r0 = sc_cut(job->A, k, job->parts), r1 = sc_cut(job->A, k + 1, job->parts);
    int found = sc_check_rows(job->A, r0, r1);
    if (found == SC_OK) job->kernel(job->A, r0, r1, x, job->X->row_stride, c, ldc, n, job->ahead);
    sc_report(&job->status, found);
}

static void rows_direct(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    run_part(job, job->first + k, job->X->data, job->C->data, job->C->row_stride, job->C->cols);
}

static void rows_by_tiles(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_dense *C = job->C;
    int64_t r0 = sc_cut(job->A, job->first + k, job->parts), r1 = sc_cut(job->A, job->first + k + 1, job->parts);
    int64_t n = C->cols, most = 2 * job->grain;
    char *mine = job->scratch + (size_t)(thread * job->tile) * job->acc;
    int found = sc_check_rows(job->A, r0, r1);
    sc_report(&job->status, found);
    for (int64_t r = r0; r < r1 && found == SC_OK; r += most) {
        int64_t m = SC_MIN(most, r1 - r);
        /* The kernel writes row r of C: step back so that row r is the first of the scratch. */
        job->kernel(job->A, r, r + m, job->X->data, job->X->row_stride, mine - (ptrdiff_t)(r * n) * (ptrdiff_t)job->acc,
                    n, n, job->ahead);
        copy(at(C, r, 0, job->acc), C->row_stride, C->col_stride, mine, n, 1, m, n, job->acc);
    }
}

/* X is row-major; C is, or is filled tile by tile through a row-major scratch that stays in cache. */
static int forward(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    struct job job = {.A = A, .X = X, .C = C, .kernel = sc_kernels()->product->spmm[A->val][A->idx],
                      .acc = sc_acc_size(A->val)};
    int64_t lines = C->cols * (int64_t)job.acc / 64 + 1, direct = row_major(C);
    job.grain = direct ? SC_MAX(512, SC_PANEL / lines) : 512;
    job.parts = sc_parts(A, job.grain);
    job.ahead = job.parts > 1 && sc_scattered(A, C->cols * (int64_t)job.acc) ? FAR : 0;
    job.tile = 2 * job.grain * C->cols;      /* a part's rows and entries together are grain and a little */
    if (!direct && !(job.scratch = sc_alloc(threads * job.tile, job.acc))) return SC_NO_MEMORY;
    int64_t step = LINES_PER_POLL / (job.grain * lines) + 1;
    for (; job.first < job.parts && job.status == SC_OK; job.first += step) {
        int64_t n = SC_MIN(job.parts - job.first, step);
        if (job.first > 0 && sc_poll() != SC_OK) job.status = SC_INTERRUPTED;
        else sc_team(n, n / (8 * threads) + 1, threads, direct ? rows_direct : rows_by_tiles, &job);
    }
    sc_free(job.scratch);
    return job.status;
}

/* The next parts of the rows, for block k of columns of C. */
static void scatter_columns(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    int64_t line = 64 / (int64_t)job->acc, lines = (job->C->cols + line - 1) / line;
    int64_t j = k * lines / job->outputs * line, n = SC_MIN(job->C->cols, (k + 1) * lines / job->outputs * line) - j;
    char *c = at(job->C, 0, j, job->acc);
    if (job->first == 0)
        for (int64_t r = 0; r < job->C->rows; r++)
            memset(c + (size_t)(r * job->C->row_stride) * job->acc, 0, (size_t)n * job->acc);
    for (int64_t i = job->first; i < SC_MIN(job->parts, job->first + job->step); i++)
        run_part(job, i, at(job->X, 0, j, job->acc), c, job->C->row_stride, n);
}

/* The next parts of the rows of private output k. */
static void scatter_rows(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    char *mine = job->scratch + (size_t)(k * job->tile) * job->acc;
    int64_t first = k * job->parts / job->outputs + job->first, end = (k + 1) * job->parts / job->outputs;
    if (job->first == 0) memset(mine, 0, (size_t)job->tile * job->acc);
    for (int64_t i = first; i < SC_MIN(end, first + job->step); i++)
        run_part(job, i, job->X->data, mine, job->C->cols, job->C->cols);
}

static void sum_rows(void *job_, int64_t k, int thread)
{
    const struct job *job = job_;
    const sc_dense *C = job->C;
    (void)thread;
    int64_t r = k * PACK_ROWS, m = SC_MIN(PACK_ROWS, C->rows - r), n = C->cols;
    char *mine = job->scratch + (size_t)(r * n) * job->acc;
    sc_kernels()->product->sum_parts[job->A->val](mine, job->outputs, job->tile, m * n, mine);
    copy(at(C, r, 0, job->acc), C->row_stride, C->col_stride, mine, n, 1, m, n, job->acc);
}

/* X is row-major. */
static int transposed(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    struct job job = {.A = A, .X = X, .C = C, .kernel = sc_kernels()->product->spmm_t[A->val][A->idx],
                      .acc = sc_acc_size(A->val), .parts = sc_parts(A, SC_PANEL)};
    int64_t bytes = C->cols * (int64_t)job.acc, lines = (bytes + 63) / 64;
    job.ahead = sc_scattered(A, bytes) ? FAR : 0;
    /* Columns of C are independent: each thread scatters into its own block of them, and every sum keeps its order.
     * Few columns: fixed parts of the rows scatter into outputs of their own, added in order. */
    int by_columns = row_major(C) && (bytes >= 256 || A->nnz < 1 << 12);
    if (by_columns) {
        job.outputs = SC_MIN(threads, lines);
    } else if (A->nnz < 1 << 12) {
        job.outputs = 1;
    } else {
        int64_t by_work = A->nnz / (16 * A->cols + 1), by_cache = ((int64_t)32 << 20) / (A->cols * bytes + 1);
        job.outputs = SC_MAX(2, SC_MIN(16, SC_MIN(by_cache, by_work)));
    }
    int64_t longest = by_columns ? job.parts : (job.parts + job.outputs - 1) / job.outputs;
    job.step = LINES_PER_POLL / SC_PANEL / (by_columns ? lines : job.outputs) + 1;
    job.tile = A->cols * C->cols;
    if (!by_columns && !(job.scratch = sc_alloc(job.outputs * job.tile, job.acc))) return SC_NO_MEMORY;
    for (; job.first < longest && job.status == SC_OK; job.first += job.step) {
        if (job.first > 0 && sc_poll() != SC_OK) job.status = SC_INTERRUPTED;
        else sc_team(job.outputs, 1, threads, by_columns ? scatter_columns : scatter_rows, &job);
    }
    if (!by_columns && job.status == SC_OK) sc_team((A->cols + PACK_ROWS - 1) / PACK_ROWS, 2, threads, sum_rows, &job);
    sc_free(job.scratch);
    return job.status;
}

/* One column is a vector; a strided one is copied. */
static int one_column(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads,
                      int (*run)(const sc_csr *, const void *, void *, int))
{
    size_t acc = sc_acc_size(A->val);
    char *x = X->row_stride == 1 ? X->data : sc_alloc(X->rows, acc);
    char *y = C->row_stride == 1 ? C->data : sc_alloc(C->rows, acc);
    int status = x && y ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
        if (x != X->data) pack(X, x, acc, 1, threads);
        status = run(A, x, y, threads);
        if (y != C->data && status == SC_OK) pack(C, y, acc, 0, threads);
    }
    if (x != X->data) sc_free(x);
    if (y != C->data) sc_free(y);
    return status;
}

static int product(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads,
                   int (*run)(const sc_csr *, const sc_dense *, const sc_dense *, int))
{
    size_t acc = sc_acc_size(A->val);
    if (C->rows == 0 || C->cols == 0) return sc_check_rows(A, 0, A->rows);
    /* A wide X that is read again and again: panels of four lines a row, packed (a power of two between rows would leave
     * most sets of the cache empty). */
    int wide = row_major(X) && C->cols * (int64_t)acc > 256 && A->nnz / SC_MAX(1, X->rows) >= PACK_USES &&
               (double)X->rows * (double)C->cols * (double)acc > 1e6;
    if (row_major(X) && !wide) return run(A, X, C, threads);
    int64_t width = SC_MIN(wide ? 256 / (int64_t)acc : PACK_COLUMNS, C->cols);
    char *x = sc_alloc(X->rows * width, acc);
    int status = x ? SC_OK : SC_NO_MEMORY;
    for (int64_t j = 0; j < C->cols && status == SC_OK; j += width) {
        int64_t n = SC_MIN(width, C->cols - j);
        sc_dense from = columns(X, j, n, acc), to = columns(C, j, n, acc);
        sc_dense packed = {X->rows, n, n, 1, x, X->val};
        pack(&from, x, acc, 1, threads);
        status = run(A, &packed, &to, threads);
    }
    sc_free(x);
    return status;
}

int sc_spmm(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return C->cols == 1 ? one_column(A, X, C, threads, sc_spmv) : product(A, X, C, threads, forward);
}

int sc_spmm_t(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return C->cols == 1 ? one_column(A, X, C, threads, sc_spmv_t) : product(A, X, C, threads, transposed);
}
