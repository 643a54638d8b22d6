/* Tall matrices V (n x w p) and W (n x w q) in panels of w = 16 (f32) or 8 (f64) columns (kernels/tall_body.h), real values.
 * Rows are cut into chunks that depend on n only, and sums over chunks are taken in their order. */
#include "driver.h"

/* Rows of a chunk: a panel's share stays in L1 while all panels of the other side pass by. */
#define CHUNK 256
/* A rotation reads all panels of its rows many times: they should stay in L2. */
#define ROTATE_CHUNK 64
/* Parts with sums of their own. */
#define PARTS 32

static int real(enum sc_val val) { return val == SC_F32 || val == SC_F64; }

static int64_t width(enum sc_val val) { return val == SC_F32 ? 16 : 8; }

/* to[0:rows, 0:columns] = from, rows of `from` ld apart */
static void move(char *to, int64_t row, int64_t column, const char *from, int64_t ld, int64_t rows, int64_t columns,
                 size_t size)
{
    if (column == 1) {
        for (int64_t i = 0; i < rows; i++)
            memcpy(to + (size_t)(i * row) * size, from + (size_t)(i * ld) * size, (size_t)columns * size);
        return;
    }
    for (int64_t l = 0; l < columns; l++)
        for (int64_t i = 0; i < rows; i++) {
            char *a = to + (size_t)(i * row + l * column) * size;
            const char *b = from + (size_t)(i * ld + l) * size;
            if (size == 4) memcpy(a, b, 4);
            else memcpy(a, b, 8);
        }
}

/* C = V.T @ W */
int sc_panels_inner(enum sc_val val, int64_t n, const void *V, int64_t p, const void *W, int64_t q, void *C,
                    int half, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t w = width(val), chunks = (n + CHUNK - 1) / CHUNK, parts = SC_MAX(1, SC_MIN(PARTS, chunks / 4));
    int64_t entries = w * w * p * q;
    char *sums = sc_calloc(parts * entries, size);
    if (!sums) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t c = chunks * part / parts; c < chunks * (part + 1) / parts; c++)
            k->inner[val](V, half ? 1 : p, half, w * n, W, q, w * n, c * CHUNK, SC_MIN(n, (c + 1) * CHUNK),
                          sums + (size_t)(part * entries) * size, w * w * p);
    sc_kernels()->product->sum_parts[val](sums, parts, entries, entries, C);
    sc_free(sums);
    return SC_OK;
}

/* W -= V @ C */
int sc_panels_subtract(enum sc_val val, int64_t n, const void *V, int64_t p, const void *C, void *W, int64_t q,
                       int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t w = width(val), chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) if (threads > 1)
    for (int64_t c = 0; c < chunks; c++)
        k->subtract[val](V, p, w * n, C, q, w * n, c * CHUNK, SC_MIN(n, (c + 1) * CHUNK), W);
    return SC_OK;
}

/* out[:, 0:columns] = (V @ Q)[:, 0:columns]; element (i, w b + c) of out lies at i*row + b*panel + c*column.
 * out may be V itself, if it is in panels too. */
int sc_panels_rotate(enum sc_val val, int64_t n, const void *V, int64_t p, const void *Q, int64_t q, void *out,
                     int64_t columns, int64_t row, int64_t panel, int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t w = width(val), chunks = (n + ROTATE_CHUNK - 1) / ROTATE_CHUNK, tile = ROTATE_CHUNK * w * q;
    int64_t parts = SC_MAX(1, SC_MIN(threads, chunks));
    char *scratch = sc_alloc(parts * tile, size);
    if (!scratch) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int64_t part = 0; part < parts; part++) {
        char *T = scratch + (size_t)(part * tile) * size;
        for (int64_t c = chunks * part / parts; c < chunks * (part + 1) / parts; c++) {
            int64_t i0 = c * ROTATE_CHUNK, i1 = SC_MIN(n, i0 + ROTATE_CHUNK);
            k->rotate[val](V, p, w * n, Q, q, i0, i1, T);
            for (int64_t j = 0; j < columns; j += w)
                move((char *)out + (size_t)(i0 * row + j / w * panel) * size, row, column, T + (size_t)j * size, w * q,
                     i1 - i0, SC_MIN(w, columns - j), size);
        }
    }
    sc_free(scratch);
    return SC_OK;
}

/* out[:, 0:columns] = V[:, 0:columns], strides as above */
int sc_panels_copy(enum sc_val val, int64_t n, const void *V, void *out, int64_t columns, int64_t row, int64_t panel,
                   int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    int64_t w = width(val), chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t j = 0; j < columns; j += w)
            move((char *)out + (size_t)(c * CHUNK * row + j / w * panel) * size, row, column,
                 (const char *)V + (size_t)(j * n + c * CHUNK * w) * size, w, SC_MIN(CHUNK, n - c * CHUNK),
                 SC_MIN(w, columns - j), size);
    return SC_OK;
}
