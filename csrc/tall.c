/* Tall matrices V (n x 8p) and W (n x 8q) in panels of 8 columns (kernels/tall_body.h), real values.
 * Rows are cut into chunks that depend on n only, and sums over chunks are taken in their order. */
#include "driver.h"

/* Rows of a chunk: a panel's share stays in L1 while all panels of the other side pass by. */
#define CHUNK 256
/* A rotation reads all panels of its rows many times: they should stay in L2. */
#define ROTATE_CHUNK 64
/* Parts with sums of their own. */
#define PARTS 32

static int real(enum sc_val val) { return val == SC_F32 || val == SC_F64; }

/* C = V.T @ W */
int sc_panels_inner(enum sc_val val, int64_t n, const void *V, int64_t p, const void *W, int64_t q, void *C,
                    int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t chunks = (n + CHUNK - 1) / CHUNK, parts = SC_MAX(1, SC_MIN(PARTS, chunks / 4)), entries = 64 * p * q;
    char *sums = sc_calloc(parts * entries, size);
    if (!sums) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t c = chunks * part / parts; c < chunks * (part + 1) / parts; c++)
            k->inner[val](V, p, 8 * n, W, q, 8 * n, c * CHUNK, SC_MIN(n, (c + 1) * CHUNK),
                          sums + (size_t)(part * entries) * size);
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
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) if (threads > 1)
    for (int64_t c = 0; c < chunks; c++)
        k->subtract[val](V, p, 8 * n, C, q, 8 * n, c * CHUNK, SC_MIN(n, (c + 1) * CHUNK), W);
    return SC_OK;
}

/* out[:, 0:columns] = (V @ Q)[:, 0:columns]; element (i, 8 b + c) of out lies at i*row + b*panel + c*column.
 * out may be V itself, if it is in panels too. */
int sc_panels_rotate(enum sc_val val, int64_t n, const void *V, int64_t p, const void *Q, int64_t q, void *out,
                     int64_t columns, int64_t row, int64_t panel, int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t chunks = (n + ROTATE_CHUNK - 1) / ROTATE_CHUNK, tile = ROTATE_CHUNK * 8 * q;
    int64_t parts = SC_MAX(1, SC_MIN(threads, chunks));
    char *scratch = sc_alloc(parts * tile, size);
    if (!scratch) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int64_t part = 0; part < parts; part++) {
        char *T = scratch + (size_t)(part * tile) * size;
        for (int64_t c = chunks * part / parts; c < chunks * (part + 1) / parts; c++) {
            int64_t i0 = c * ROTATE_CHUNK, i1 = SC_MIN(n, i0 + ROTATE_CHUNK);
            k->rotate[val](V, p, 8 * n, Q, q, i0, i1, T);
            for (int64_t j = 0; j < columns; j += 8) {
                int64_t w = SC_MIN(8, columns - j);
                char *to = (char *)out + (size_t)(j / 8 * panel) * size;
                const char *from = T + (size_t)j * size;
                if (column == 1) {
                    for (int64_t i = i0; i < i1; i++)
                        memcpy(to + (size_t)(i * row) * size, from + (size_t)((i - i0) * 8 * q) * size, (size_t)w * size);
                } else {
                    for (int64_t l = 0; l < w; l++)
                        for (int64_t i = i0; i < i1; i++)
                            memcpy(to + (size_t)(i * row + l * column) * size,
                                   from + (size_t)((i - i0) * 8 * q + l) * size, size);
                }
            }
        }
    }
    sc_free(scratch);
    return SC_OK;
}
