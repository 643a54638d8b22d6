/* C = P @ X for a prepared layout, and chains of such products.
 *
 * X is packed once into panels of a few vectors' width, C is summed in tiles of block_rows that stay in cache, and a
 * tile of C belongs to one task that adds its blocks of columns in order: the same bits on any number of threads. */
#include "driver.h"
#include "team.h"

#define TILE_BYTES (1 << 16)
/* Packed panels of X that are worked on at once. */
#define GROUP_BYTES ((int64_t)8 << 20)

struct job {
    const sc_prepared *P;
    const sc_dense *X, *C;
    const sc_finish *finish;
    const struct sc_prepared_kernels *k;
    int val;                /* 0: f32, 1: f64 */
    int64_t lanes, widest;  /* columns in the widest panel */
    int64_t row_blocks, blocks, depth;   /* depth: rows of a packed panel */
    size_t size;
    char *packed;           /* NULL: X is a packed panel already */
    int64_t first;          /* panel of this turn */
};

static int64_t up(int64_t n, int64_t block) { return (n + block - 1) / block; }

/* Columns of storage of the panel with n columns. */
static int64_t panel_width(const struct job *job, int64_t n) { return n == 1 ? 1 : up(n, job->lanes) * job->lanes; }

/* Columns of X in a panel of this turn, from *j on. */
static int64_t panel_columns(const struct job *job, int64_t panel, int64_t *j)
{
    *j = (job->first + panel) * job->widest;
    return SC_MIN(job->widest, job->X->cols - *j);
}

/* A block of block_cols rows of a panel of X, packed */
static void pack(void *job_, int64_t i, int thread)
{
    const struct job *job = job_;
    (void)thread;
    int64_t panel = i / job->blocks, kb = i % job->blocks, j, n = panel_columns(job, panel, &j);
    int64_t k0 = kb * job->P->block_cols, k1 = SC_MIN(job->P->cols, k0 + job->P->block_cols);
    int64_t width = panel_width(job, n);
    char *to = job->packed + (size_t)(panel * job->depth * job->widest + k0 * width) * job->size;
    job->k->pack[job->val](job->X, k0, k1, j, n, width, to);
    if (job->depth > job->P->cols && kb == job->blocks - 1)     /* what SLICED and LISTED fill up with */
        memset(to + (size_t)((k1 - k0) * width) * job->size, 0, (size_t)width * job->size);
}

/* A block of block_rows rows of C, the columns of a panel */
static void tile(void *job_, int64_t i, int thread)
{
    const struct job *job = job_;
    const sc_prepared *P = job->P;
    (void)thread;
    int64_t panel = i / job->row_blocks, rb = i % job->row_blocks, j, n = panel_columns(job, panel, &j);
    int64_t width = panel_width(job, n), r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    sc_tile_fn *run = job->k->tile[job->val][P->layout][n == 1 ? 0 : width / job->lanes];
    const char *x = job->packed ? job->packed + (size_t)(panel * job->depth * job->widest) * job->size
                                : (const char *)job->X->data;
    char sums[TILE_BYTES] __attribute__((aligned(64)));
    memset(sums, 0, (size_t)(P->block_rows * width) * job->size);
    for (int64_t kb = 0; kb < job->blocks; kb++)
        run(P, rb, kb, x + (size_t)(kb * P->block_cols * width) * job->size, sums);
    if (job->finish) {
        const char *bias = job->finish->bias;
        job->k->finish[job->val](sums, r1 - r0, width, bias ? bias + (size_t)r0 * job->size : NULL, job->finish->relu);
    }
    job->k->unpack[job->val](job->C, r0, r1, j, n, width, sums);
}

int sc_prepared_matmul(const sc_prepared *P, const sc_dense *X, const sc_finish *finish, const sc_dense *C, int threads)
{
    if (X->rows != P->cols || C->rows != P->rows || X->cols != C->cols) return SC_BAD_SHAPE;
    if (X->val != P->val || C->val != P->val) return SC_BAD_TYPE;
    if (C->rows == 0 || C->cols == 0) return SC_OK;
    struct job job = {.P = P, .X = X, .C = C, .finish = finish, .k = sc_kernels()->prepared, .val = P->val,
                      .size = sc_val_size(P->val)};
    /* One column: SLICED and LISTED go by eight lanes, CSR16 has none for AVX-512 (90 % zeros, two threads, AVX-512:
     * 0.47 to 0.28 ms); bitmasks are expanded. */
    if (C->cols == 1 && P->layout != SC_BITMASK) job.k = sc_short_kernels()->prepared;
    sc_tile_fn *const *kernels = job.k->tile[job.val][P->layout];
    int64_t vectors = SC_PREPARED_VECTORS - 1, n = C->cols;
    job.lanes = job.k->lanes[job.val];
    while (!kernels[vectors] || P->block_rows * vectors * job.lanes * (int64_t)job.size > TILE_BYTES) vectors--;
    int64_t panels = up(n, vectors * job.lanes);
    job.widest = n == 1 ? 1 : up(up(n, panels), job.lanes) * job.lanes;      /* panels of about the same width */
    panels = up(n, job.widest);
    job.row_blocks = up(P->rows, P->block_rows);
    job.blocks = up(P->cols, P->block_cols);
    job.depth = P->cols + (P->layout == SC_SLICED || P->layout == SC_LISTED);
    /* A row-major X as wide as the panel, or one contiguous column, is a packed panel (of P->cols rows). */
    int direct = n == job.widest && X->row_stride == n && (X->col_stride == 1 || n == 1) && job.depth == P->cols;
    int64_t group = SC_MAX(1, SC_MIN(panels, GROUP_BYTES / (job.depth * job.widest * (int64_t)job.size + 1)));
    if (!direct && !(job.packed = sc_alloc(group * job.depth * job.widest, job.size))) return SC_NO_MEMORY;
    int status = SC_OK;
    for (; job.first < panels && status == SC_OK; job.first += group) {
        int64_t now = SC_MIN(group, panels - job.first);
        if (job.first > 0 && (status = sc_poll()) != SC_OK) break;
        if (job.packed) sc_team(now * job.blocks, now * job.blocks / (8 * threads) + 1, threads, pack, &job);
        sc_team(now * job.row_blocks, 1, threads, tile, &job);
    }
    sc_free(job.packed);
    return status;
}

int sc_prepared_chain(int64_t n, const sc_prepared *P, const sc_finish *finish, const sc_dense *X, const sc_dense *C,
                      const int *parallel, int threads)
{
    /* Results go to two buffers in turn, row by row as the next product likes its operand. */
    int64_t rows[2] = {0, 0};
    if (n < 1) return SC_BAD_SHAPE;
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && P[i].cols != P[i - 1].rows) return SC_BAD_SHAPE;
        if (P[i].val != P[0].val) return SC_BAD_TYPE;
        if (i < n - 1) rows[i & 1] = SC_MAX(rows[i & 1], P[i].rows);
    }
    size_t size = sc_val_size(P[0].val);
    sc_dense from = *X;
    int status = SC_OK;
    char *buffer[2] = {0};
    for (int k = 0; k < 2 && status == SC_OK; k++)
        if (rows[k] && !(buffer[k] = sc_alloc(rows[k] * SC_MAX(X->cols, 1), size))) status = SC_NO_MEMORY;
    for (int64_t i = 0; i < n && status == SC_OK; i++) {
        sc_dense to = {.data = buffer[i & 1], .rows = P[i].rows, .cols = X->cols, .row_stride = X->cols,
                       .col_stride = 1, .val = X->val};
        if (i == n - 1) to = *C;
        status = sc_prepared_matmul(P + i, &from, finish + i, &to, parallel[i] ? threads : 1);
        from = to;
    }
    sc_free(buffer[0]);
    sc_free(buffer[1]);
    return status;
}
