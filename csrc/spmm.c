/* C = A @ X and C = A.T @ X for dense panels of any strides */
#ifdef _OPENMP
#include <omp.h>
#else
#define omp_get_thread_num() 0
#endif

#include "driver.h"

/* Row-major copies of panels of at most this many columns stand in for operands of other strides. */
#define PACK_COLUMNS 32

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

/* Row-major copies: to = D (into), or D = to. */
static void pack(const sc_dense *D, char *to, size_t size, int into, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t r0 = 0; r0 < D->rows; r0 += 256) {
        int64_t m = SC_MIN(256, D->rows - r0), n = D->cols;
        char *mine = to + (size_t)(r0 * n) * size;
        if (into) copy(mine, n, 1, at(D, r0, 0, size), D->row_stride, D->col_stride, m, n, size);
        else copy(at(D, r0, 0, size), D->row_stride, D->col_stride, mine, n, 1, m, n, size);
    }
}

/* X is row-major; C is, or is filled tile by tile through a row-major scratch that stays in cache. */
static int forward(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    sc_spmm_fn *kernel = sc_kernels()->product->spmm[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t n = C->cols, lines = n * (int64_t)acc / 64 + 1, direct = row_major(C);
    int64_t grain = direct ? SC_MAX(512, SC_PANEL / lines) : 512, parts = sc_parts(A, grain);
    if (direct && parts == 1) {
        int found = sc_check_rows(A, 0, A->rows);
        if (found == SC_OK) kernel(A, 0, A->rows, X->data, X->row_stride, C->data, C->row_stride, n, 0);
        return found;
    }
    int64_t ahead = sc_scattered(A, n * (int64_t)acc) ? FAR : 0, step = LINES_PER_POLL / (grain * lines) + 1;
    int64_t tile = 2 * grain * n;      /* a part has fewer rows than entries and rows together, grain and a little */
    char *scratch = direct ? 0 : sc_alloc(threads * tile, acc);
    if (!direct && !scratch) return SC_NO_MEMORY;
    int status = SC_OK;
    for (int64_t k0 = 0; k0 < parts && status == SC_OK; k0 += step) {
        int64_t k1 = SC_MIN(parts, k0 + step);
        if (k0 > 0 && (status = sc_poll()) != SC_OK) break;
        int chunk = (int)((k1 - k0) / (8 * threads) + 1);
#pragma omp parallel for num_threads(threads) schedule(dynamic, chunk) if (threads > 1)
        for (int64_t k = k0; k < k1; k++) {
            int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
            int found = sc_check_rows(A, r0, r1);
            sc_report(&status, found);
            if (found != SC_OK) continue;
            if (direct) {
                kernel(A, r0, r1, X->data, X->row_stride, C->data, C->row_stride, n, ahead);
                continue;
            }
            char *mine = scratch + (size_t)(omp_get_thread_num() * tile) * acc;
            for (int64_t r = r0; r < r1; r += 2 * grain) {
                int64_t m = SC_MIN(2 * grain, r1 - r);
                /* The kernel writes row r of C: step back so that row r is the first of the scratch. */
                kernel(A, r, r + m, X->data, X->row_stride, mine - (ptrdiff_t)(r * n) * (ptrdiff_t)acc, n, n, ahead);
                copy(at(C, r, 0, acc), C->row_stride, C->col_stride, mine, n, 1, m, n, acc);
            }
        }
    }
    sc_free(scratch);
    return status;
}

/* Columns of C are independent: each thread scatters into its own block of them, and every sum keeps its order. */
static int by_columns(const sc_csr *A, const sc_dense *X, const sc_dense *C, int64_t ahead, int threads)
{
    sc_spmm_fn *kernel = sc_kernels()->product->spmm_t[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t line = 64 / (int64_t)acc, lines = (C->cols + line - 1) / line;
    int64_t blocks = SC_MIN(threads, lines), panels = sc_parts(A, SC_PANEL), step = LINES_PER_POLL / SC_PANEL / lines + 1;
    int status = SC_OK;
    for (int64_t i0 = 0; i0 < panels && status == SC_OK; i0 += step) {
        if (i0 > 0 && (status = sc_poll()) != SC_OK) break;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t j = b * lines / blocks * line, n = SC_MIN(C->cols, (b + 1) * lines / blocks * line) - j;
            char *c = at(C, 0, j, acc);
            if (i0 == 0)
                for (int64_t r = 0; r < A->cols; r++) memset(c + (size_t)(r * C->row_stride) * acc, 0, (size_t)n * acc);
            for (int64_t i = i0; i < SC_MIN(panels, i0 + step); i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                int found = sc_check_rows(A, r0, r1);
                if (found == SC_OK) kernel(A, r0, r1, at(X, 0, j, acc), X->row_stride, c, C->row_stride, n, ahead);
                sc_report(&status, found);
            }
        }
    }
    return status;
}

/* Few columns: fixed parts of the rows scatter into outputs of their own, added in order. */
static int by_parts(const sc_csr *A, const sc_dense *X, const sc_dense *C, int64_t ahead, int64_t outputs, int threads)
{
    const struct sc_product_kernels *product = sc_kernels()->product;
    sc_spmm_fn *kernel = product->spmm_t[A->val][A->idx];
    size_t acc = sc_acc_size(A->val);
    int64_t n = C->cols, size = A->cols * n, panels = sc_parts(A, SC_PANEL), longest = (panels + outputs - 1) / outputs;
    int64_t step = LINES_PER_POLL / SC_PANEL / outputs + 1;
    char *P = sc_alloc(outputs * size, acc);
    if (!P) return SC_NO_MEMORY;
    int status = SC_OK;
    for (int64_t i0 = 0; i0 < longest && status == SC_OK; i0 += step) {
        if (i0 > 0 && (status = sc_poll()) != SC_OK) break;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = 0; k < outputs; k++) {
            char *mine = P + (size_t)(k * size) * acc;
            int64_t first = k * panels / outputs, end = (k + 1) * panels / outputs;
            if (i0 == 0) memset(mine, 0, (size_t)size * acc);
            for (int64_t i = first + i0; i < SC_MIN(end, first + i0 + step); i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                int found = sc_check_rows(A, r0, r1);
                if (found == SC_OK) kernel(A, r0, r1, X->data, X->row_stride, mine, n, n, ahead);
                sc_report(&status, found);
            }
        }
    }
    if (status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
        for (int64_t r = 0; r < A->cols; r += 256) {
            int64_t m = SC_MIN(256, A->cols - r);
            char *mine = P + (size_t)(r * n) * acc;
            product->sum_parts[A->val](mine, outputs, size, m * n, mine);
            copy(at(C, r, 0, acc), C->row_stride, C->col_stride, mine, n, 1, m, n, acc);
        }
    }
    sc_free(P);
    return status;
}

/* X is row-major. */
static int transposed(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads)
{
    size_t acc = sc_acc_size(A->val);
    int64_t bytes = C->cols * (int64_t)acc, small = A->nnz < 1 << 12;
    int64_t ahead = sc_scattered(A, bytes) ? FAR : 0;
    if (!small && (bytes < 256 || !row_major(C))) {
        int64_t by_work = A->nnz / (16 * A->cols + 1), by_cache = ((int64_t)32 << 20) / (A->cols * bytes + 1);
        return by_parts(A, X, C, ahead, SC_MAX(2, SC_MIN(16, SC_MIN(by_cache, by_work))), threads);
    }
    if (row_major(C)) return by_columns(A, X, C, ahead, threads);
    return by_parts(A, X, C, ahead, 1, threads);
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
