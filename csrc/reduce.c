/* Reductions over rows, columns and everything. */
#include "range.h"
#include "team.h"

static int is_complex(enum sc_val val) { return val == SC_C64 || val == SC_C128; }

/* a[i] joined with b[i], i < n */
static void join(enum sc_reduce what, double *a, const double *b, int64_t n)
{
    if (what == SC_ABSMAX)
        for (int64_t i = 0; i < n; i++) a[i] = b[i] > a[i] || b[i] != b[i] ? b[i] : a[i];
    else
        for (int64_t i = 0; i < n; i++) a[i] += b[i];
}

struct job {
    const sc_csr *A;
    enum sc_reduce what;
    const void *mean;
    double *y;
    int *canonical, status;
    int64_t parts, words;       /* panels of the rows; doubles of a result */
    double *P;                  /* partial results */
    int64_t outputs, n;         /* of columns: so many, each n long */
    int64_t first, step;        /* of an output's panels: this turn's */
    struct sc_ranges ranges;    /* of an output */
};

/* Panels between two looks at signals: 4 million entries, a tenth of a second where every one misses the caches. */
#define WAVE ((1 << 22) / SC_PANEL)

/* Entries ahead that rows are asked for where they are read once */
#define AHEAD 512

/* Rows r0..r1, each by itself or `whole` as one row, to y.  Where their order has to be looked at, that comes first,
 * and the next panel is asked for meanwhile; else columns are looked at in passing. */
static int reduce_rows(const struct job *j, int64_t r0, int64_t r1, int whole, double *y)
{
    const sc_csr *A = j->A;
    int found = j->canonical ? sc_check_order(A, r0, r1, j->canonical) : sc_check_pointers(A, r0, r1);
    if (found != SC_OK) return found;
    int64_t wide[2] = {sc_ptr(A, r0), sc_ptr(A, r1)};
    int32_t narrow[2] = {(int32_t)wide[0], (int32_t)wide[1]};
    sc_csr rows = *A;
    if (whole) {
        rows.indptr = A->idx == SC_I32 ? (const void *)narrow : wide;
        r0 = 0;
        r1 = 1;
    }
    uint64_t top = sc_kernels()->reduce->rows[j->what][A->val][A->idx](&rows, r0, r1, j->mean, y,
                                                                       j->canonical ? SC_PANEL : AHEAD);
    return j->canonical || wide[0] == wide[1] || top < (uint64_t)A->cols ? SC_OK : SC_BAD_INDEX;
}

static void row_part(void *job, int64_t k, int thread)
{
    struct job *j = job;
    (void)thread;
    for (int64_t r = sc_cut(j->A, k, j->parts), r1 = sc_cut(j->A, k + 1, j->parts), next; r < r1; r = next) {
        next = sc_panel_end(j->A, r, r1);
        sc_report(&j->status, reduce_rows(j, r, next, 0, j->y));
    }
}

static int per_row(struct job *j, int threads)
{
    j->parts = sc_parts(j->A, 16 * SC_PANEL);
    int status = sc_team_waves(j->parts, WAVE / 16, threads, row_part, j);
    return status == SC_OK ? j->status : status;
}

/* Rows r0..r1, and where `canonical` asks for it their order. */
static int check(struct job *j, int64_t r0, int64_t r1)
{
    return j->canonical ? sc_check_order(j->A, r0, r1, j->canonical) : sc_check_rows(j->A, r0, r1);
}

static void add_entries(void *job, int64_t first, const int32_t *row, const void *col, const void *val, int64_t n,
                        char *P)
{
    const struct job *j = job;
    int64_t wide[2] = {0, n};
    int32_t narrow[2] = {0, (int32_t)n};
    (void)first;
    (void)row;
    sc_csr one = {1, j->A->cols, n, j->A->idx == SC_I32 ? (const void *)narrow : wide, col, val, j->A->val, j->A->idx};
    sc_kernels()->reduce->columns[j->what][one.val][one.idx](&one, 0, 1, j->mean, P);
}

/* Of an output, or a range of its columns: its share of the panels, whose order the ranges look at in turn. */
static void column_part(void *job, int64_t unit, int thread)
{
    struct job *j = job;
    const sc_csr *A = j->A;
    int64_t k = unit / j->ranges.n, range = unit % j->ranges.n, c0 = sc_range_begin(&j->ranges, range, A->cols);
    double *P = j->P + k * j->n;
    int64_t i = k * j->parts / j->outputs + j->first, end = SC_MIN((k + 1) * j->parts / j->outputs, i + j->step);
    if (j->first == 0)
        memset(P + c0 * j->words, 0,
               (size_t)((sc_range_begin(&j->ranges, range + 1, A->cols) - c0) * j->words) * sizeof *P);
    for (; i < end; i++) {
        int64_t r0 = sc_cut(A, i, j->parts), r1 = sc_cut(A, i + 1, j->parts);
        int found = i % j->ranges.n == range ? check(j, r0, r1) : sc_check_pointers(A, r0, r1);
        if (found == SC_OK && j->ranges.n > 1)
            found = sc_ranges_run(&j->ranges, A, r0, r1, range, thread, add_entries, j, (char *)P);
        else if (found == SC_OK) sc_kernels()->reduce->columns[j->what][A->val][A->idx](A, r0, r1, j->mean, P);
        sc_report(&j->status, found);
    }
}

#define BLOCK 4096      /* columns whose outputs are joined at once */

static void join_block(void *job, int64_t k, int thread)
{
    const struct job *j = job;
    int64_t i = k * BLOCK, m = SC_MIN(BLOCK, j->n - i);
    (void)thread;
    memcpy(j->y + i, j->P + i, (size_t)m * sizeof *j->y);
    for (int64_t o = 1; o < j->outputs; o++) join(j->what, j->y + i, j->P + o * j->n + i, m);
}

/* Fixed parts of the rows with an output each, which are joined in order. */
static int per_column(struct job *j, int threads)
{
    const sc_csr *A = j->A;
    int64_t n = j->n = A->cols * j->words;
    /* An output more is cleared and read once: eight entries a column make up for that. */
    int64_t outputs = SC_MIN(((int64_t)16 << 20) / (n * 8 + 1), A->nnz / (8 * n + 1));
    j->parts = sc_parts(A, SC_PANEL);
    j->outputs = A->nnz < 1 << 15 || A->nnz < A->cols ? 1 : SC_MIN(j->parts, SC_MAX(2, SC_MIN(16, outputs)));
    j->P = j->outputs > 1 ? sc_alloc(j->outputs * n, sizeof *j->P) : j->y;
    if (!j->P) return SC_NO_MEMORY;
    j->status = sc_ranges_open(&j->ranges, A, j->outputs, threads);
    j->step = SC_MAX(1, WAVE / j->outputs);
    for (; j->first * j->outputs < j->parts + j->outputs && j->status == SC_OK; j->first += j->step) {
        if (j->first > 0 && sc_poll() != SC_OK) j->status = SC_INTERRUPTED;
        else sc_team(j->outputs * j->ranges.n, 1, threads, column_part, j);
    }
    sc_ranges_close(&j->ranges);
    if (j->outputs > 1) {
        if (j->status == SC_OK) sc_team((n + BLOCK - 1) / BLOCK, 1, threads, join_block, j);
        sc_free(j->P);
    }
    return j->status;
}

static void all_part(void *job, int64_t k, int thread)
{
    struct job *j = job;
    (void)thread;
    int64_t r0 = sc_cut(j->A, k, j->parts), r1 = sc_cut(j->A, k + 1, j->parts);
    sc_report(&j->status, reduce_rows(j, r0, r1, 1, j->P + k * j->words));
}

/* Panels of entries are rows of their own: one partial result each, joined in order. */
static int everything(struct job *j, int threads)
{
    j->parts = sc_parts(j->A, SC_PANEL);
    j->P = sc_calloc(j->parts * j->words, sizeof *j->P);
    if (!j->P) return SC_NO_MEMORY;
    int status = sc_team_waves(j->parts, WAVE, threads, all_part, j);
    memset(j->y, 0, (size_t)j->words * sizeof *j->y);
    for (int64_t k = 0; k < j->parts && status == SC_OK; k++) join(j->what, j->y, j->P + k * j->words, j->words);
    sc_free(j->P);
    return status == SC_OK ? j->status : status;
}

int sc_reduce(const sc_csr *A, enum sc_reduce what, enum sc_axis axis, const void *mean, void *y, int *canonical,
              int threads)
{
    struct job j = {.A = A, .what = what, .mean = mean, .y = y, .canonical = canonical,
                    .words = what == SC_SUM && is_complex(A->val) ? 2 : 1};
    if (canonical) *canonical = 1;
    if (axis == SC_OVER_COLUMNS) return per_row(&j, threads);
    if (axis == SC_OVER_ROWS) return per_column(&j, threads);
    return everything(&j, threads);
}
