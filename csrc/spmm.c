/* C = A @ X and C = A.T @ X for dense panels of any strides */
#include <stdatomic.h>

#include "band.h"
#include "driver.h"
#include "range.h"
#include "team.h"

/* Row-major copies of panels of at most this many columns stand in for operands of other strides; of more where A is
 * turned for each of them. */
#define PACK_COLUMNS 32
#define TURN_COLUMNS 128

/* Rows of a unit of work of copies and sums. */
#define PACK_ROWS 256

/* Every row of X is read this often at least before a copy of it in panels that fit L2 is worth its time. */
#define PACK_USES 64

/* Lines of X or C read between two looks at pending signals: tens of milliseconds even where each one misses. */
#define LINES_PER_POLL ((int64_t)1 << 22)

/* Fewer entries than that are scattered straight into one output. */
#define SMALL (1 << 12)

/* Entries of a panel that is turned in cache, and of all panels of one turn; bytes of a row of X from which on that
 * pays (pruned at 95 %, 64 columns: 6.8 ms instead of 8.3; 32 columns, 128 bytes: 5.7 instead of 3.7). */
#define TURN_ENTRIES 32768
#define ENTRIES_PER_TURN (1 << 18)
#define TURN_BYTES 256
/* Where rows share their columns with their neighbours, the lines of C stay in cache by themselves (bcsstk16, 32
 * columns: 1.8 ms scattered, 2.5 turned).  Columns of more entries than that are scattered where a panel of X leaves
 * the L2 cache: terms of documents come by Zipf's law and the rows of the frequent ones stay in cache (32 columns:
 * 17 ms instead of 40); columns of few entries are not worth private outputs. */
#define TURN_COLUMN_ENTRIES 32
#define TURN_PANEL_BYTES (1 << 20)

/* For a C of more bytes, gone over once for every panel, a matrix whose columns have few entries is transposed as a
 * whole instead (AVX2, two threads: power law 32 columns 162 to 138 ms, wing_adj 256 columns 71 to 64; a C of 40 MB:
 * level). */
#define TRANSPOSE_BYTES ((int64_t)64 << 20)

/* Where neighbouring rows share their columns: bytes of a strip of their rows of X and C, and of a strip of C at most
 * (bcsstk16, 256 columns, AVX2, two threads: 15.6 to 10.6 ms). */
#define STRIP 256
#define STRIP_BYTES ((int64_t)4 << 20)

/* A longer row of C, in bytes, is computed by itself from its beginning to its end: the kernel would take a few lines
 * of all rows before the next few (256 columns: stocfor3 23.8 to 10.7 ms, email-Enron 56 to 33; 64 columns: none). */
#define ROW_BYTES 512

/* A C of more bytes, by whole lines, is written past the caches, which saves reading it first (AVX2, two threads:
 * stocfor3 256 columns 17.1 to 15.0 ms, Slashdot 64 columns 27.9 to 25.9). */
#define PAST_BYTES ((int64_t)32 << 20)

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
    sc_spmm_fn *gather;
    sc_spmm_t_fn *scatter;
    size_t acc;
    int64_t ahead, parts, first;        /* parts of the rows; the first of this turn */
    struct sc_ranges ranges;            /* transposed: columns of a private output */
    struct sc_band band;                /* transposed, banded: other parts */
    int narrow;                         /* of the band */
    int64_t grain;                      /* entries of a part */
    char *scratch;
    int64_t tile;                       /* elements of one thread's scratch, or of a private output */
    int64_t outputs, step;              /* transposed: private outputs; parts of each in a turn */
    int direct;                         /* 1 if the first of them is C */
    int status;
};

static void rows_direct(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_dense *X = job->X, *C = job->C;
    (void)thread;
    int64_t r0 = sc_cut(job->A, job->first + k, job->parts), r1 = sc_cut(job->A, job->first + k + 1, job->parts);
    int found = sc_check_pointers(job->A, r0, r1);
    int64_t step = C->cols * (int64_t)job->acc > ROW_BYTES ? 1 : r1 - r0, row = C->row_stride * (int64_t)job->acc;
    int past = row % 64 == 0 && (uintptr_t)C->data % 64 == 0 && C->rows > PAST_BYTES / SC_MAX(1, row);
    for (int64_t r = r0; r < r1 && found == SC_OK; r += step)
        found = job->gather(job->A, r, r + step, X->data, X->row_stride, C->data, C->row_stride, C->cols, job->ahead,
                            past ? SC_WRITE_PAST : SC_WRITE);
    if (past) atomic_thread_fence(memory_order_seq_cst);
    sc_report(&job->status, found);
}

static void rows_by_tiles(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_dense *C = job->C;
    int64_t r0 = sc_cut(job->A, job->first + k, job->parts), r1 = sc_cut(job->A, job->first + k + 1, job->parts);
    int64_t n = C->cols, most = 2 * job->grain;
    char *mine = job->scratch + (size_t)(thread * job->tile) * job->acc;
    int found = sc_check_pointers(job->A, r0, r1);
    for (int64_t r = r0; r < r1 && found == SC_OK; r += most) {
        int64_t m = SC_MIN(most, r1 - r);
        /* The kernel writes row r of C: step back so that row r is the first of the scratch. */
        found = job->gather(job->A, r, r + m, job->X->data, job->X->row_stride,
                            mine - (ptrdiff_t)(r * n) * (ptrdiff_t)job->acc, n, n, job->ahead, SC_WRITE);
        if (found == SC_OK) copy(at(C, r, 0, job->acc), C->row_stride, C->col_stride, mine, n, 1, m, n, job->acc);
    }
    sc_report(&job->status, found);
}

/* Rows of X and C of less than 64 bytes: parts of such a vector, stored and then loaded again, would wait for the
 * store to leave the processor (50 % zeros, 8 columns of f32, transposed, two threads: 20.2 to 5.7 ms on AVX-512). */
static const struct sc_product_kernels *kernels_of(int64_t bytes)
{
    return (bytes < 64 ? sc_short_kernels() : sc_kernels())->product;
}

/* X is row-major; C is, or is filled tile by tile through a row-major scratch that stays in cache. */
static int forward(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    int64_t bytes = C->cols * (int64_t)sc_acc_size(A->val);
    struct job job = {.A = A, .X = X, .C = C, .gather = kernels_of(bytes)->spmm[A->val][A->idx],
                      .acc = sc_acc_size(A->val)};
    int64_t lines = bytes / 64 + 1, direct = row_major(C);
    job.grain = direct ? SC_MAX(512, SC_PANEL / lines) : 512;
    job.parts = sc_parts(A, job.grain);
    job.ahead = job.parts > 1 && sc_scattered(A, bytes) ? FAR : 0;
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

/* ---- C = A.T @ X ------------------------------------------------------------------------------------------------- */

static void add_entries(void *job_, int64_t first, const int32_t *row, const void *col, const void *val, int64_t n,
                        char *output)
{
    const struct job *job = job_;
    const sc_dense *X = job->X, *C = job->C;
    kernels_of(C->cols * (int64_t)job->acc)->add_entry_rows[job->A->val][job->A->idx](
        row, col, val, n, at(X, first, 0, job->acc), X->row_stride, output,
        output == C->data ? C->row_stride : C->cols, C->cols);
}

/* Of an output, or a range of its rows: the next of its parts of A, dealt out as in spmv.c.  The first output is C
 * itself where it is by rows. */
static void scatter_rows(void *job_, int64_t unit, int thread)
{
    struct job *job = job_;
    const sc_csr *A = job->A;
    const struct sc_ranges *R = &job->ranges;
    int64_t k = unit / R->n, i = unit % R->n, begin = sc_range_begin(R, i, A->cols), n = job->C->cols;
    char *mine = k < job->direct ? (char *)job->C->data
                                 : job->scratch + (size_t)((k - job->direct) * job->tile) * job->acc;
    int64_t ldc = k < job->direct ? job->C->row_stride : n, end = sc_range_begin(R, i + 1, A->cols);
    if (job->first == 0 && ldc == n)
        memset(mine + (size_t)(begin * n) * job->acc, 0, (size_t)((end - begin) * n) * job->acc);
    else if (job->first == 0)
        for (int64_t r = begin; r < end; r++) memset(mine + (size_t)(r * ldc) * job->acc, 0, (size_t)n * job->acc);
    for (int64_t turn = job->first; turn < job->first + job->step; turn++) {
        int64_t part = turn * job->outputs + (turn & 1 ? job->outputs - 1 - k : k);
        if (part >= job->parts) continue;
        int64_t r0 = sc_cut(A, part, job->parts), r1 = sc_cut(A, part + 1, job->parts);
        int found = sc_check_pointers(A, r0, r1);
        if (found == SC_OK && R->n > 1) found = sc_ranges_run(R, A, r0, r1, i, thread, add_entries, job, mine);
        else if (found == SC_OK)
            found = job->scatter(A, r0, r1, job->X->data, job->X->row_stride, mine, ldc, n, 0, job->ahead);
        sc_report(&job->status, found);
    }
}

static void add_rows(void *job_, int64_t k, int thread)
{
    const struct job *job = job_;
    const sc_dense *C = job->C;
    int64_t r = k * PACK_ROWS, m = SC_MIN(PACK_ROWS, C->rows - r), n = C->cols, others = job->outputs - job->direct;
    char *mine = job->scratch + (size_t)(r * n) * job->acc;
    const struct sc_product_kernels *kernels = sc_kernels()->product;
    (void)thread;
    if (!job->direct) {
        kernels->sum_parts[job->A->val](mine, others, job->tile, m * n, mine);
        copy(at(C, r, 0, job->acc), C->row_stride, C->col_stride, mine, n, 1, m, n, job->acc);
    } else if (C->row_stride == n) {
        kernels->add_parts[job->A->val](mine, others, job->tile, m * n, at(C, r, 0, job->acc));
    } else {
        for (int64_t i = 0; i < m; i++)
            kernels->add_parts[job->A->val](mine + (size_t)(i * n) * job->acc, others, job->tile, n,
                                            at(C, r + i, 0, job->acc));
    }
}

/* Few columns: fixed parts of the rows scatter into outputs of their own, added in order. */
static int by_scatter(struct job *job, int threads)
{
    const sc_csr *A = job->A;
    job->parts = sc_parts(A, SC_PANEL);
    job->tile = A->cols * job->C->cols;
    job->outputs = 1;
    job->direct = row_major(job->C) && job->C->row_stride == job->C->cols;
    if (A->nnz >= SMALL) {
        int64_t by_cache = ((int64_t)32 << 20) / (job->tile * (int64_t)job->acc + 1);
        int64_t most = SC_MIN(16, SC_MIN(by_cache, A->nnz / (16 * A->cols + 1)));
        for (job->outputs = 2; 2 * job->outputs <= most;) job->outputs *= 2;      /* even: two threads end together */
        job->parts = SC_MAX(job->parts, SC_MIN(A->rows, 8 * job->outputs));
    }
    job->step = LINES_PER_POLL / SC_PANEL / job->outputs + 1;
    int64_t others = job->outputs - job->direct;
    /* Borrowed: malloc gives as much as this back to the system every time, whose fresh pages then take a sixth of the
     * time (Slashdot, 8 columns). */
    if (others && !(job->scratch = sc_borrow(others * job->tile, job->acc))) return SC_NO_MEMORY;
    job->status = sc_ranges_open(&job->ranges, A, job->outputs, threads);
    for (; job->first * job->outputs < job->parts && job->status == SC_OK; job->first += job->step) {
        if (job->first > 0 && sc_poll() != SC_OK) job->status = SC_INTERRUPTED;
        else sc_team(job->outputs * job->ranges.n, 1, threads, scatter_rows, job);
    }
    if (job->status == SC_OK && others) sc_team((A->cols + PACK_ROWS - 1) / PACK_ROWS, 2, threads, add_rows, job);
    sc_ranges_close(&job->ranges);
    sc_return(job->scratch);
    return job->status;
}

/* The same straight into C, where parts of the rows share no column (band.h). */
static void scatter_band(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    const sc_dense *C = job->C;
    struct sc_band_part P = sc_band_part(job->A, &job->band, k, job->narrow);
    sc_csr A = *job->A;
    (void)thread;
    A.cols = P.c1;
    int64_t n = C->cols, ldc = C->row_stride;
    if (!job->narrow && ldc == n) memset(at(C, P.c0, 0, job->acc), 0, (size_t)((P.clear - P.c0) * n) * job->acc);
    else if (!job->narrow)
        for (int64_t c = P.c0; c < P.clear; c++) memset(at(C, c, 0, job->acc), 0, (size_t)n * job->acc);
    if (sc_reported(&job->status) != SC_OK) return;
    int found = sc_check_pointers(&A, P.r0, P.r1);
    if (found == SC_OK)
        found = job->scatter(&A, P.r0, P.r1, job->X->data, job->X->row_stride, C->data, ldc, n, P.c0, 0);
    sc_report(&job->status, found);
}

static int by_band(struct job *job, int threads)
{
    int64_t lines = (job->C->cols * (int64_t)job->acc / 64 + 1) * (job->A->nnz / job->band.parts + 1);
    int64_t wave = SC_MAX(2 * threads, LINES_PER_POLL / lines);
    for (job->narrow = 0; job->narrow <= 1; job->narrow++) {
        int status = sc_team_waves(job->band.parts - job->narrow, wave, threads, scatter_band, job);
        if (status != SC_OK) return status;
    }
    return job->status;
}

/* Many columns: panels of rows are turned in cache, then a block of columns of A gathers from one panel after the other
 * into its rows of C.  Turning costs some 2 ns an entry, about as much as 8 columns. */
struct turned {
    struct job *job;
    int64_t panels, first, now;         /* of all rows; the first and the number of this turn */
    int64_t block, blocks;              /* columns of A in a unit of work */
    int64_t begin, room;                /* the first entry of a turn, and for how many entries there is room */
    int32_t *start, *row;               /* A->cols + 2 for every panel of a turn; entries of all panels of a turn */
    char *val;
    char *tiles;                        /* block rows of C for every thread, where C is not row-major */
};

static int64_t panel_row(const struct turned *t, int64_t k) { return sc_cut(t->job->A, t->first + k, t->panels); }

static void turn_panel(void *turned_, int64_t k, int thread)
{
    struct turned *t = turned_;
    const sc_csr *A = t->job->A;
    (void)thread;
    int64_t r0 = panel_row(t, k), r1 = panel_row(t, k + 1), at = 0;
    int found = sc_check_rows(A, r0, r1);
    if (found == SC_OK) {
        /* Rising within this panel says nothing of those before it, which others look at. */
        at = sc_ptr(A, r0) - t->begin;
        if (at < 0 || sc_ptr(A, r1) - t->begin > t->room) found = SC_BAD_INDPTR;
    }
    if (found == SC_OK && !sc_kernels()->product->by_column[A->val][A->idx](
                              A, r0, r1, t->start + k * (A->cols + 2), t->row + at,
                              t->val + (size_t)at * sc_val_size(A->val)))
        found = SC_CHANGED;
    sc_report(&t->job->status, found);
}

static void gather_block(void *turned_, int64_t b, int thread)
{
    struct turned *t = turned_;
    struct job *job = t->job;
    const sc_csr *A = job->A;
    const sc_dense *X = job->X, *C = job->C;
    int64_t c0 = b * t->block, m = SC_MIN(t->block, A->cols - c0), n = C->cols;
    int64_t width = 256 / (int64_t)job->acc, step = m;
    if (n * (int64_t)job->acc > ROW_BYTES) {
        width = n;
        step = 1;
    }
    char *c = at(C, c0, 0, job->acc);
    int64_t ldc = C->row_stride;
    if (t->tiles) {
        c = t->tiles + (size_t)(thread * t->block * n) * job->acc;
        ldc = n;
        if (t->first > 0) copy(c, n, 1, at(C, c0, 0, job->acc), C->row_stride, C->col_stride, m, n, job->acc);
    }
    /* The kernel writes row c of C: step back so that row c0 is the first of this block. */
    char *base = c - (ptrdiff_t)(c0 * ldc) * (ptrdiff_t)job->acc;
    for (int64_t j = 0; j < n; j += width)
        for (int64_t k = 0; k < t->now; k++) {
            int64_t at = sc_ptr(A, panel_row(t, k)) - t->begin, end = sc_ptr(A, panel_row(t, k + 1)) - t->begin;
            sc_csr panel = {A->cols, A->rows, end - at, t->start + k * (A->cols + 2), t->row + at,
                            t->val + (size_t)at * sc_val_size(A->val), A->val, SC_I32};
            for (int64_t r = c0; r < c0 + m; r += step)
                job->gather(&panel, r, r + step, (const char *)X->data + (size_t)j * job->acc, X->row_stride,
                            base + (size_t)j * job->acc, ldc, SC_MIN(width, n - j), job->ahead,
                            t->first + k > 0 ? SC_ADD : SC_WRITE);
        }
    if (t->tiles) copy(at(C, c0, 0, job->acc), C->row_stride, C->col_stride, c, n, 1, m, n, job->acc);
}

/* The start of every column is read once for a panel: that should not show beside the entries. */
static int64_t turned_entries(const sc_csr *A) { return SC_MAX(TURN_ENTRIES, 4 * A->cols); }

static int64_t turned_panels(const sc_csr *A) { return SC_MAX(2, (A->nnz + A->rows) / turned_entries(A)); }

static int by_turning(struct job *job, int threads)
{
    const sc_csr *A = job->A;
    int64_t bytes = job->C->cols * (int64_t)job->acc, lines = (bytes + 63) / 64;
    struct turned t = {.job = job};
    int64_t entries = turned_entries(A);
    t.panels = turned_panels(A);
    int64_t turn = SC_MIN(t.panels, SC_MAX(4, SC_MIN(ENTRIES_PER_TURN, LINES_PER_POLL / lines) / entries));
    for (t.first = 0; t.first < t.panels; t.first += turn) {
        int64_t p0 = sc_ptr(A, panel_row(&t, 0)), p1 = sc_ptr(A, panel_row(&t, SC_MIN(turn, t.panels - t.first)));
        if (p0 < 0 || p1 < p0 || p1 > A->nnz) return SC_BAD_INDPTR;
        t.room = SC_MAX(t.room, p1 - p0);
    }
    if (t.room >= INT32_MAX || A->rows >= INT32_MAX) return by_scatter(job, threads);
    t.block = SC_MAX(8, SC_MIN(256, 16384 / bytes));
    t.blocks = (A->cols + t.block - 1) / t.block;
    job->gather = sc_kernels()->product->spmm[A->val][SC_I32];
    if (A->rows / t.panels * bytes < 1 << 19) job->ahead = 0;      /* a panel of X stays in cache */
    t.start = sc_borrow(turn * (A->cols + 2), sizeof *t.start);
    t.row = sc_borrow(t.room, sizeof *t.row);
    t.val = sc_borrow(t.room, sc_val_size(A->val));
    if (!row_major(job->C)) t.tiles = sc_alloc(threads * t.block * job->C->cols, job->acc);
    if (!t.start || !t.row || !t.val || (!row_major(job->C) && !t.tiles)) job->status = SC_NO_MEMORY;
    for (t.first = 0; t.first < t.panels && job->status == SC_OK; t.first += turn) {
        t.now = SC_MIN(turn, t.panels - t.first);
        t.begin = sc_ptr(A, panel_row(&t, 0));
        if (t.first > 0 && sc_poll() != SC_OK) job->status = SC_INTERRUPTED;
        if (job->status == SC_OK) sc_team(t.now, 1, threads, turn_panel, &t);
        if (job->status == SC_OK) sc_team(t.blocks, t.blocks / (8 * threads) + 1, threads, gather_block, &t);
    }
    sc_return(t.start);
    sc_return(t.row);
    sc_return(t.val);
    sc_free(t.tiles);
    return job->status;
}

/* Through a copy of A.T. */
static int by_transpose(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    if (A->idx != SC_I64 && A->rows > INT32_MAX) return SC_TOO_LARGE;
    sc_out out = {sc_borrow(A->cols + 1, sizeof(int64_t)), sc_borrow(A->nnz, sc_index_size(A->idx)),
                  sc_borrow(A->nnz, sc_val_size(A->val))};
    int unused, status = out.indptr && out.indices && out.data ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) status = sc_transpose(A, &out, &unused, threads);
    if (status == SC_OK) {
        sc_csr T = {A->cols, A->rows, A->nnz, out.indptr, out.indices, out.data, A->val, A->idx};
        status = forward(&T, X, C, threads);
    }
    sc_return(out.indptr);
    sc_return(out.indices);
    sc_return(out.data);
    return status;
}

/* Long rows of X and C of neighbours in A fall on few sets of the cache: STRIP bytes of them at a time, packed. */
static int by_strips(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    size_t acc = sc_acc_size(A->val);
    int64_t width = STRIP / (int64_t)acc;
    char *packed = sc_borrow(A->rows * width, acc);
    int status = packed ? SC_OK : SC_NO_MEMORY;
    for (int64_t j = 0; j < C->cols && status == SC_OK; j += width) {
        int64_t n = SC_MIN(width, C->cols - j);
        sc_dense from = columns(X, j, n, acc), c = columns(C, j, n, acc), x = {X->rows, n, n, 1, packed, X->val};
        struct job job = {.A = A, .X = &x, .C = &c, .scatter = sc_kernels()->product->spmm_t[A->val][A->idx],
                          .acc = acc};
        pack(&from, packed, acc, 1, threads);
        status = j > 0 && sc_poll() != SC_OK ? SC_INTERRUPTED : by_scatter(&job, threads);
    }
    sc_return(packed);
    return status;
}

/* X is row-major. */
static int transposed(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    int64_t bytes = C->cols * (int64_t)sc_acc_size(A->val);
    struct job job = {.A = A, .X = X, .C = C, .scatter = kernels_of(bytes)->spmm_t[A->val][A->idx],
                      .acc = sc_acc_size(A->val), .ahead = sc_scattered(A, bytes) ? FAR : 0};
    int local = bytes >= TURN_BYTES && sc_local(A);
    if (local && bytes > ROW_BYTES && A->cols * STRIP <= STRIP_BYTES) return by_strips(A, X, C, threads);
    if (row_major(C) && A->cols * bytes >= SC_BAND_BYTES) job.band = sc_band_find(A);
    if (job.band.parts && A->nnz / job.band.parts * (bytes / 64 + 1) <= 4 * LINES_PER_POLL) {
        int status = by_band(&job, threads);
        if (status == SC_OK || status == SC_INTERRUPTED) return status;
        job.status = SC_OK;         /* not as banded as it seemed, or malformed, which the general way tells */
    }
    if (bytes < TURN_BYTES || A->nnz < SMALL || local) return by_scatter(&job, threads);
    int64_t of_column = A->nnz / A->cols;
    if (of_column < TURN_COLUMN_ENTRIES && A->cols * bytes >= TRANSPOSE_BYTES) {
        int status = by_transpose(A, X, C, threads);
        if (status != SC_TOO_LARGE) return status;
    }
    int turn = of_column < TURN_COLUMN_ENTRIES || A->rows / turned_panels(A) * 256 < TURN_PANEL_BYTES;
    return turn ? by_turning(&job, threads) : by_scatter(&job, threads);
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

/* Row-major copies of panels of `most` columns stand in for an X of other strides. */
static int product(const sc_csr *A, const sc_dense *X, const sc_dense *C, int64_t most, int threads,
                   int (*run)(const sc_csr *, const sc_dense *, const sc_dense *, int))
{
    size_t acc = sc_acc_size(A->val);
    if (C->rows == 0 || C->cols == 0) return sc_check_rows(A, 0, A->rows);
    /* A wide X that is read again and again: panels of four lines a row, packed (a power of two between rows would
     * leave most sets of the cache empty). */
    int wide = run == forward && row_major(X) && C->cols * (int64_t)acc > 256 &&
               A->nnz / SC_MAX(1, X->rows) >= PACK_USES && (double)X->rows * (double)C->cols * (double)acc > 1e6;
    if (row_major(X) && !wide) return run(A, X, C, threads);
    int64_t width = SC_MIN(wide ? 256 / (int64_t)acc : most, C->cols);
    char *x = sc_borrow(X->rows * width, acc);
    int status = x ? SC_OK : SC_NO_MEMORY;
    for (int64_t j = 0; j < C->cols && status == SC_OK; j += width) {
        int64_t n = SC_MIN(width, C->cols - j);
        sc_dense from = columns(X, j, n, acc), to = columns(C, j, n, acc);
        sc_dense packed = {X->rows, n, n, 1, x, X->val};
        pack(&from, x, acc, 1, threads);
        status = run(A, &packed, &to, threads);
    }
    sc_return(x);
    return status;
}

int sc_spmm(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return C->cols == 1 ? one_column(A, X, C, threads, sc_spmv) : product(A, X, C, PACK_COLUMNS, threads, forward);
}

int sc_spmm_t(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    return C->cols == 1 ? one_column(A, X, C, threads, sc_spmv_t) : product(A, X, C, TURN_COLUMNS, threads, transposed);
}
