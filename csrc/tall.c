/* Tall matrices V (n x w p) and W (n x w q) in panels of w = 16 (f32) or 8 (f64) columns (kernels/tall_body.h), real values.
 * Rows are cut into chunks that depend on n only, and sums over chunks are taken in their order. */
#include <float.h>
#include <math.h>

#include "driver.h"

/* Rows of a chunk: a panel's share stays in L1 while all panels of the other side pass by. */
#define CHUNK 256
/* A rotation reads all panels of its rows many times: they should stay in L2. */
#define ROTATE_CHUNK 64
/* Parts with sums of their own. */
#define PARTS 32

static int real(enum sc_val val) { return val == SC_F32 || val == SC_F64; }

static int64_t width(enum sc_val val) { return val == SC_F32 ? 16 : 8; }

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
                k->move[val]((char *)out + (size_t)(i0 * row + j / w * panel) * size, row, column,
                             T + (size_t)j * size, w * q, i1 - i0, SC_MIN(w, columns - j), NULL);
        }
    }
    sc_free(scratch);
    return SC_OK;
}

/* out[:, 0:columns] = V[:, 0:columns] diag(factor), strides as above */
int sc_panels_copy(enum sc_val val, int64_t n, const void *V, const double *factor, void *out, int64_t columns,
                   int64_t row, int64_t panel, int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t w = width(val), chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t j = 0; j < columns; j += w)
            k->move[val]((char *)out + (size_t)(c * CHUNK * row + j / w * panel) * size, row, column,
                         (const char *)V + (size_t)(j * n + c * CHUNK * w) * size, w, SC_MIN(CHUNK, n - c * CHUNK),
                         SC_MIN(w, columns - j), factor ? factor + j : NULL);
    return SC_OK;
}

/* norms[j] = ||Z[:, j] - s[j] V[:, j]||, summed in double */
int sc_panels_residual(enum sc_val val, int64_t n, const void *V, const void *Z, int64_t p, const double *s,
                       double *norms, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
    int64_t w = width(val), chunks = (n + CHUNK - 1) / CHUNK, parts = SC_MAX(1, SC_MIN(PARTS, chunks / 4));
    double *sums = sc_calloc(parts * p * w, sizeof(double));
    if (!sums) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t item = 0; item < p * parts; item++) {
        int64_t a = item / parts, part = item % parts;
        size_t from = (size_t)(a * w * n) * size;
        k->residual[val]((const char *)V + from, (const char *)Z + from, s + a * w, n * part / parts,
                         n * (part + 1) / parts, sums + item * w);
    }
    for (int64_t j = 0; j < p * w; j++) {
        double total = 0;
        for (int64_t part = 0; part < parts; part++) total += sums[(j / w * parts + part) * w + j % w];
        norms[j] = sqrt(total);
    }
    sc_free(sums);
    return SC_OK;
}

/* top[j] = the entry of largest magnitude in column j, the first of equals */
int sc_panels_top(enum sc_val val, int64_t n, const void *V, int64_t p, double *top, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    int64_t w = width(val);
    const struct sc_tall_kernels *k = sc_kernels()->tall;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t a = 0; a < p; a++) k->top[val]((const char *)V + (size_t)(a * w * n) * size, n, top + a * w);
    return SC_OK;
}

/* Panels of f32 as panels of f64, which are half as wide: twice as many */
int sc_panels_widen(int64_t n, const float *V, int64_t p, double *out, int threads)
{
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t a = 0; a < 2 * p; a++)
            for (int64_t i = c * CHUNK; i < SC_MIN(n, (c + 1) * CHUNK); i++)
                for (int64_t l = 0; l < 8; l++)
                    out[(a * n + i) * 8 + l] = V[(a / 2 * n + i) * 16 + a % 2 * 8 + l];
    return SC_OK;
}

/* G = R'R with R upper triangular, both s x s, row-major, in place; the least pivot, 0 where G is not positive definite */
static double cholesky(double *G, int64_t s)
{
    double least = INFINITY;
    for (int64_t i = 0; i < s; i++) {
        double d = G[i * s + i];
        for (int64_t l = 0; l < i; l++) d -= G[l * s + i] * G[l * s + i];
        if (!(d > 0)) return 0;
        G[i * s + i] = d = sqrt(d);
        least = SC_MIN(least, d);
        for (int64_t j = i + 1; j < s; j++) {
            double a = G[i * s + j];
            for (int64_t l = 0; l < i; l++) a -= G[l * s + i] * G[l * s + j];
            G[i * s + j] = a / d;
        }
    }
    return least;
}

/* X = R^-1, upper triangular */
static void invert(const double *R, int64_t s, double *X)
{
    memset(X, 0, (size_t)(s * s) * sizeof(double));
    for (int64_t j = 0; j < s; j++) {
        X[j * s + j] = 1 / R[j * s + j];
        for (int64_t i = j; i-- > 0;) {
            double a = 0;
            for (int64_t l = i + 1; l <= j; l++) a += R[i * s + l] * X[l * s + j];
            X[i * s + j] = -a / R[i * s + i];
        }
    }
}

/* Element (i, j) of a small matrix of s rows in panels */
static int64_t place(int64_t i, int64_t j, int64_t s, int64_t w) { return j / w * w * s + i * w + j % w; }

/* W = Q R by Cholesky of the Gram matrix with columns scaled to length 1, repeated until Q is orthonormal (Yamamoto et
 * al., ETNA 44, 2015).  *least: the least diagonal entry of R; where that is below `lowest`, or W too close to
 * dependent, W stays as it is and *least is 0. */
int sc_panels_orthonormalise(enum sc_val val, int64_t n, void *W, int64_t q, double lowest, double *R, double *least,
                             int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    int64_t w = width(val), s = w * q;
    double eps = val == SC_F32 ? FLT_EPSILON : DBL_EPSILON;
    char *small = sc_alloc(s * s, size);
    double *G = sc_alloc(3 * s * s + s, sizeof(double));
    if (!small || !G) {
        sc_free(G);
        sc_free(small);
        return SC_NO_MEMORY;
    }
    int status = SC_OK;
    double *X = G + s * s, *T = X + s * s, *d = T + s * s;
    *least = 0;
    for (int round = 0; status == SC_OK && round < 4; round++) {
        status = sc_panels_inner(val, n, W, q, W, q, small, 1, threads);
        if (status != SC_OK) break;
        for (int64_t i = 0; i < s; i++)
            for (int64_t j = i; j < s; j++) {
                int64_t p = place(i, j, s, w);
                G[i * s + j] = val == SC_F32 ? (double)((float *)small)[p] : ((double *)small)[p];
            }
        for (int64_t i = 0; i < s; i++) d[i] = sqrt(G[i * s + i]);
        for (int64_t i = 0; i < s; i++)
            for (int64_t j = i; j < s; j++) G[i * s + j] /= d[i] * d[j];
        double pivot = cholesky(G, s), bottom = INFINITY;
        /* Below this (a NaN is too) the next round could not mend it. */
        int sound = pivot * pivot > 64 * (double)s * eps;
        for (int64_t i = 0; i < s && sound; i++) bottom = SC_MIN(bottom, G[i * s + i] * d[i]);
        if (!sound || (round == 0 && !(bottom >= lowest))) break;
        invert(G, s, X);
        for (int64_t i = 0; i < s; i++)
            for (int64_t j = 0; j < s; j++) {
                int64_t p = place(i, j, s, w);
                if (val == SC_F32) ((float *)small)[p] = (float)(X[i * s + j] / d[i]);
                else ((double *)small)[p] = X[i * s + j] / d[i];
                G[i * s + j] = j < i ? 0 : G[i * s + j] * d[j];
            }
        status = sc_panels_rotate(val, n, W, q, small, q, W, s, w, w * n, 1, threads);
        if (round == 0) memcpy(R, G, (size_t)(s * s) * sizeof(double));
        else {      /* R = G R, both upper triangular */
            memcpy(T, R, (size_t)(s * s) * sizeof(double));
            for (int64_t i = 0; i < s; i++)
                for (int64_t j = i; j < s; j++) {
                    double a = 0;
                    for (int64_t l = i; l <= j; l++) a += G[i * s + l] * T[l * s + j];
                    R[i * s + j] = a;
                }
        }
        if (round == 0) *least = bottom;
        if (pivot * pivot > 0.05) break;
    }
    sc_free(G);
    sc_free(small);
    return status;
}
