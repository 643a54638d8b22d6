/* Everything of one value type: panels of X and C, the product of a tile with one column, and with 1..4 vectors. */

/* to[k * ldt] = from[k * ldf], not by calls of memcpy for single values (1,024 of them: 2.6 us) */
static void SC_PASTE(copy_column, VNAME)(const VAL *from, int64_t ldf, VAL *to, int64_t ldt, int64_t rows)
{
    if (ldf == 1 && ldt == 1) memcpy(to, from, (size_t)rows * sizeof(VAL));
    else
        for (int64_t k = 0; k < rows; k++) to[k * ldt] = from[k * ldf];
}

/* to[k, 0:width] = X[k0 + k, j0 : j0 + n], zeros beyond n */
static void SC_PASTE(pack, VNAME)(const sc_dense *X, int64_t k0, int64_t k1, int64_t j0, int64_t n, int64_t width,
                                  void *to_)
{
    const VAL *from = (const VAL *)X->data + k0 * X->row_stride + j0 * X->col_stride;
    VAL *restrict to = to_;
    int64_t rs = X->row_stride, cs = X->col_stride, rows = k1 - k0;
    if (width == 1) {
        SC_PASTE(copy_column, VNAME)(from, rs, to, 1, rows);
        return;
    }
    if (cs == 1 || n == 1) {
        for (int64_t k = 0; k < rows; k++, from += rs, to += width) {
            memcpy(to, from, (size_t)n * sizeof(VAL));
            for (int64_t j = n; j < width; j++) to[j] = 0;
        }
        return;
    }
    /* Squares of 8 x 8, down the columns: with strides of a power of two the lines of a row would evict each other. */
    if (n < width) memset(to, 0, (size_t)(rows * width) * sizeof(VAL));
    for (int64_t jj = 0; jj < n; jj += 8) {
        int64_t w = SC_MIN(8, n - jj);
        for (int64_t kk = 0; kk < rows; kk += 8) {
            int64_t m = SC_MIN(8, rows - kk);
            if (rs == 1 && m == 8 && w == 8) {
                SC_PASTE(transpose8, VNAME)(from + kk + jj * cs, cs, to + kk * width + jj, width);
                continue;
            }
            for (int64_t j = jj; j < jj + w; j++)
                for (int64_t k = kk; k < kk + m; k++) to[k * width + j] = from[k * rs + j * cs];
        }
    }
}

/* c[r, 0:width] += bias[r] (NULL: not); relu: where < 0 it becomes 0, so that NaN stays */
static void SC_PASTE(finish, VNAME)(void *c_, int64_t rows, int64_t width, const void *bias_, int relu)
{
    const VAL *restrict bias = bias_;
    VAL *restrict c = c_;
    if (bias && width == 1)
        for (int64_t r = 0; r < rows; r++) c[r] += bias[r];
    else if (bias)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < width; j++) c[r * width + j] += bias[r];
    if (relu)
        for (int64_t k = 0; k < rows * width; k++) c[k] = c[k] < 0 ? 0 : c[k];
}

/* C[r0 + r, j0 : j0 + n] = from[r, 0:n] */
static void SC_PASTE(unpack, VNAME)(const sc_dense *C, int64_t r0, int64_t r1, int64_t j0, int64_t n, int64_t width,
                                    const void *from_)
{
    const VAL *restrict from = from_;
    VAL *to = (VAL *)C->data + r0 * C->row_stride + j0 * C->col_stride;
    int64_t rs = C->row_stride, cs = C->col_stride, rows = r1 - r0;
    if (width == 1) {
        SC_PASTE(copy_column, VNAME)(from, 1, to, rs, rows);
        return;
    }
    if (cs == 1 || n == 1) {
        for (int64_t r = 0; r < rows; r++) memcpy(to + r * rs, from + r * width, (size_t)n * sizeof(VAL));
        return;
    }
    for (int64_t jj = 0; jj < n; jj += 8) {
        int64_t w = SC_MIN(8, n - jj);
        for (int64_t rr = 0; rr < rows; rr += 8) {
            int64_t m = SC_MIN(8, rows - rr);
            if (rs == 1 && m == 8 && w == 8) {
                SC_PASTE(transpose8, VNAME)(from + rr * width + jj, width, to + rr + jj * cs, cs);
                continue;
            }
            for (int64_t j = jj; j < jj + w; j++)
                for (int64_t r = rr; r < rr + m; r++) to[r * rs + j * cs] = from[r * width + j];
        }
    }
}

#include "prepared_vector_body.h"

#define V 1
#include "prepared_tile_body.h"
#undef V
#define V 2
#include "prepared_tile_body.h"
#undef V
#define V 3
#include "prepared_tile_body.h"
#undef V
#define V 4
#include "prepared_tile_body.h"
#undef V
