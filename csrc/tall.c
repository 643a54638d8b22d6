/* Tall real matrices V (n x w p) and W (n x w q) in panels of w = 16 (f32) or 8 (f64) columns (kernels/tall_body.h).
 * Rows are cut into chunks that depend on n only, and sums over chunks are taken in their order. */
#include <float.h>
#include <math.h>

#include "driver.h"
#include "team.h"

/* Rows of a chunk: a panel's share stays in L1 while all panels of the other side pass by. */
#define CHUNK 128
/* A rotation reads all panels of its rows many times: they should stay in L2. */
#define ROTATE_CHUNK 96
/* Parts with sums of their own. */
#define PARTS 32
/* Chunks after which a part's sums are laid by: summed one after the other, 31,000 equal squares in single
 * precision were off by 3e-4; now 3e-6. */
#define RUN 4
/* Panels of V that one thread takes of a part: a dense matrix has many. */
#define GROUP 64
/* Multiply-adds below which one thread is faster than a team. */
#define SERIAL (1 << 18)

static int real(enum sc_val val) { return val == SC_F32 || val == SC_F64; }

static int64_t width(enum sc_val val) { return val == SC_F32 ? 16 : 8; }

/* What the parts of an operation share. */
struct tall {
    const struct sc_tall_kernels *kernels;
    enum sc_val val;
    size_t size;
    int64_t w, n, chunks, parts;
    const void *V, *C;
    void *W, *out;
    int64_t p, q, columns, row, panel, column;
    const double *factor;
    char *scratch;
    int64_t each;               /* elements of scratch for a part or a thread */
    int64_t sums;               /* bytes from a part's sums of a run to its sums of all runs, 0: they are the same */
    int half;
};

static struct tall tall(enum sc_val val, int64_t n, const void *V, int64_t p)
{
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
    return (struct tall){.kernels = sc_kernels()->tall, .val = val, .size = sc_val_size(val), .w = width(val), .n = n,
                         .chunks = chunks, .parts = SC_MAX(1, SC_MIN(PARTS, chunks / 2)), .V = V, .p = p};
}

static void inner_part(void *job, int64_t item, int thread)
{
    const struct tall *t = job;
    int64_t part = item % t->parts, from = item / t->parts * GROUP, p = t->half ? 1 : SC_MIN(GROUP, t->p - from);
    int64_t c0 = t->chunks * part / t->parts, c1 = t->chunks * (part + 1) / t->parts, ld = t->w * t->w * t->p;
    char *run = t->scratch + (size_t)(part * t->each + from * t->w * t->w) * t->size;
    (void)thread;
    for (int64_t c = c0; c < c1; c++) {
        t->kernels->inner[t->val]((const char *)t->V + (size_t)(from * t->w * t->n) * t->size, p, t->half, t->w * t->n,
                                  t->W, t->q, t->w * t->n, c * CHUNK, SC_MIN(t->n, (c + 1) * CHUNK), run, ld);
        if (t->sums && ((c + 1 - c0) % RUN == 0 || c + 1 == c1))
            for (int64_t b = 0; b < t->q; b++) {
                int64_t some = (t->half ? b + 1 : p) * t->w * t->w;
                char *own = run + (size_t)(b * ld) * t->size;
                sc_kernels()->product->add_parts[t->val](own, 1, 0, some, own + t->sums);
                memset(own, 0, (size_t)some * t->size);
            }
    }
}

/* C = V.T @ W */
int sc_panels_inner(enum sc_val val, int64_t n, const void *V, int64_t p, const void *W, int64_t q, void *C,
                    int half, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, p);
    t.W = (void *)W, t.q = q, t.half = half, t.each = t.w * t.w * p * q;
    int runs = t.chunks > RUN * t.parts;
    t.scratch = sc_calloc((1 + runs) * t.parts * t.each, t.size);
    if (!t.scratch) return SC_NO_MEMORY;
    if (runs) t.sums = t.parts * t.each * (int64_t)t.size;
    sc_team(t.parts * (half ? 1 : (p + GROUP - 1) / GROUP), 1, threads, inner_part, &t);
    sc_kernels()->product->sum_parts[val](t.scratch + t.sums, t.parts, t.each, t.each, C);
    sc_free(t.scratch);
    return SC_OK;
}

static void subtract_chunk(void *job, int64_t c, int thread)
{
    const struct tall *t = job;
    (void)thread;
    t->kernels->subtract[t->val](t->V, t->p, t->w * t->n, t->C, t->q, t->w * t->n, c * CHUNK,
                                 SC_MIN(t->n, (c + 1) * CHUNK), t->W);
}

/* W -= V @ C */
int sc_panels_subtract(enum sc_val val, int64_t n, const void *V, int64_t p, const void *C, void *W, int64_t q,
                       int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, p);
    t.C = C, t.W = W, t.q = q;
    sc_team(t.chunks, t.chunks < 64 ? 1 : 4, threads, subtract_chunk, &t);
    return SC_OK;
}

static void rotate_chunk(void *job, int64_t c, int thread)
{
    const struct tall *t = job;
    char *T = t->scratch + (size_t)(thread * t->each) * t->size;
    int64_t i0 = c * ROTATE_CHUNK, i1 = SC_MIN(t->n, i0 + ROTATE_CHUNK);
    t->kernels->rotate[t->val](t->V, t->p, t->w * t->n, t->C, t->q, i0, i1, T);
    for (int64_t j = 0; j < t->columns; j += t->w)
        t->kernels->move[t->val]((char *)t->out + (size_t)(i0 * t->row + j / t->w * t->panel) * t->size, t->row,
                                 t->column, T + (size_t)j * t->size, t->w * t->q, i1 - i0,
                                 SC_MIN(t->w, t->columns - j), NULL);
}

/* out[:, 0:columns] = (V @ Q)[:, 0:columns]; element (i, w b + c) of out lies at i*row + b*panel + c*column.
 * out may be V itself, if it is in panels too. */
int sc_panels_rotate(enum sc_val val, int64_t n, const void *V, int64_t p, const void *Q, int64_t q, void *out,
                     int64_t columns, int64_t row, int64_t panel, int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, p);
    int64_t chunks = (n + ROTATE_CHUNK - 1) / ROTATE_CHUNK;
    t.C = Q, t.q = q, t.out = out, t.columns = columns, t.row = row, t.panel = panel, t.column = column;
    t.each = ROTATE_CHUNK * t.w * q;
    threads = (int)SC_MAX(1, SC_MIN(threads, chunks));
    t.scratch = sc_alloc(threads * t.each, t.size);
    if (!t.scratch) return SC_NO_MEMORY;
    sc_team(chunks, 4, threads, rotate_chunk, &t);
    sc_free(t.scratch);
    return SC_OK;
}

static void copy_chunk(void *job, int64_t c, int thread)
{
    const struct tall *t = job;
    (void)thread;
    for (int64_t j = 0; j < t->columns; j += t->w)
        t->kernels->move[t->val]((char *)t->out + (size_t)(c * CHUNK * t->row + j / t->w * t->panel) * t->size, t->row,
                                 t->column, (const char *)t->V + (size_t)(j * t->n + c * CHUNK * t->w) * t->size, t->w,
                                 SC_MIN(CHUNK, t->n - c * CHUNK), SC_MIN(t->w, t->columns - j),
                                 t->factor ? t->factor + j : NULL);
}

/* out[:, 0:columns] = V[:, 0:columns] diag(factor), strides as above */
int sc_panels_copy(enum sc_val val, int64_t n, const void *V, const double *factor, void *out, int64_t columns,
                   int64_t row, int64_t panel, int64_t column, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, 0);
    t.factor = factor, t.out = out, t.columns = columns, t.row = row, t.panel = panel, t.column = column;
    sc_team(t.chunks, 4, threads, copy_chunk, &t);
    return SC_OK;
}

static void residual_part(void *job, int64_t item, int thread)
{
    const struct tall *t = job;
    int64_t a = item / t->parts, part = item % t->parts;
    size_t from = (size_t)(a * t->w * t->n) * t->size;
    (void)thread;
    t->kernels->residual[t->val]((const char *)t->V + from, (const char *)t->W + from, t->factor + a * t->w,
                                 t->n * part / t->parts, t->n * (part + 1) / t->parts,
                                 (double *)t->scratch + item * t->w);
}

/* norms[j] = ||Z[:, j] - s[j] V[:, j]||, summed in double */
int sc_panels_residual(enum sc_val val, int64_t n, const void *V, const void *Z, int64_t p, const double *s,
                       double *norms, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, p);
    double *sums = sc_calloc(t.parts * p * t.w, sizeof(double));
    if (!sums) return SC_NO_MEMORY;
    t.W = (void *)Z, t.factor = s, t.scratch = (char *)sums;
    sc_team(p * t.parts, 1, threads, residual_part, &t);
    for (int64_t j = 0; j < p * t.w; j++) {
        double total = 0;
        for (int64_t part = 0; part < t.parts; part++) total += sums[(j / t.w * t.parts + part) * t.w + j % t.w];
        norms[j] = sqrt(total);
    }
    sc_free(sums);
    return SC_OK;
}

static void weigh_part(void *job, int64_t item, int thread)
{
    const struct tall *t = job;
    int64_t a = item / t->parts, part = item % t->parts;
    (void)thread;
    t->kernels->weigh[t->val](t->C, (const char *)t->V + (size_t)(a * t->w * t->n) * t->size, t->n * part / t->parts,
                              t->n * (part + 1) / t->parts,
                              t->scratch + (size_t)((part * t->p + a) * t->w) * t->size);
}

static void spread_chunk(void *job, int64_t c, int thread)
{
    const struct tall *t = job;
    (void)thread;
    for (int64_t a = 0; a < t->p; a++)
        t->kernels->spread[t->val](t->C, t->scratch + (size_t)(a * t->w) * t->size, c * CHUNK,
                                   SC_MIN(t->n, (c + 1) * CHUNK), (char *)t->W + (size_t)(a * t->w * t->n) * t->size);
}

/* Y -= a (b' X) */
int sc_panels_outer(enum sc_val val, int64_t m, const void *a, int64_t n, const void *b, const void *X, void *Y,
                    int64_t p, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, X, p);
    int64_t width = p * t.w;
    t.C = b;
    t.scratch = sc_calloc(t.parts * width, t.size);
    if (!t.scratch) return SC_NO_MEMORY;
    sc_team(p * t.parts, 1, threads, weigh_part, &t);
    sc_kernels()->product->sum_parts[val](t.scratch, t.parts, width, width, t.scratch);
    t.n = m, t.chunks = (m + CHUNK - 1) / CHUNK, t.C = a, t.W = Y;
    sc_team(t.chunks, 4, threads, spread_chunk, &t);
    sc_free(t.scratch);
    return SC_OK;
}

static void top_panel(void *job, int64_t a, int thread)
{
    const struct tall *t = job;
    (void)thread;
    t->kernels->top[t->val]((const char *)t->V + (size_t)(a * t->w * t->n) * t->size, t->n,
                            (double *)t->out + a * t->w);
}

/* top[j] = the entry of largest magnitude in column j, the first of equals */
int sc_panels_top(enum sc_val val, int64_t n, const void *V, int64_t p, double *top, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    struct tall t = tall(val, n, V, p);
    t.out = top;
    sc_team(p, 1, threads, top_panel, &t);
    return SC_OK;
}

static void widen_chunk(void *job, int64_t c, int thread)
{
    const struct tall *t = job;
    const float *V = t->V;
    double *out = t->out;
    (void)thread;
    for (int64_t a = 0; a < 2 * t->p; a++)
        for (int64_t i = c * CHUNK; i < SC_MIN(t->n, (c + 1) * CHUNK); i++)
            for (int64_t l = 0; l < 8; l++) out[(a * t->n + i) * 8 + l] = V[(a / 2 * t->n + i) * 16 + a % 2 * 8 + l];
}

/* Panels of f32 as panels of f64, which are half as wide: twice as many */
int sc_panels_widen(int64_t n, const float *V, int64_t p, double *out, int threads)
{
    struct tall t = tall(SC_F32, n, V, p);
    t.out = out;
    sc_team(t.chunks, 4, threads, widen_chunk, &t);
    return SC_OK;
}

/* Rows of a dense matrix that are taken side by side: few streams to read, runs of 512 bytes to write. */
#define FILL_ROWS 8

#define FILL(NAME, FROM, TO, W)                                                                                        \
    static void NAME(void *job, int64_t c, int thread)                                                                 \
    {                                                                                                                  \
        const struct tall *t = job;                                                                                    \
        const FROM *A = t->V;                                                                                          \
        const FROM f = (FROM)*t->factor;                                                                               \
        TO *out = t->out;                                                                                              \
        (void)thread;                                                                                                  \
        for (int64_t i0 = c * CHUNK; i0 < SC_MIN(t->n, (c + 1) * CHUNK); i0 += FILL_ROWS)                              \
            for (int64_t j = 0; j < t->columns; j += W)                                                                \
                for (int64_t i = i0; i < SC_MIN(t->n, i0 + FILL_ROWS); i++) {                                          \
                    const FROM *from = A + i * t->row + j * t->column;                                                 \
                    TO *to = out + j * t->n + i * W;                                                                   \
                    int64_t inside = SC_MIN(W, t->columns - j);                                                        \
                    if (inside == W && t->column == 1)                                                                 \
                        for (int64_t l = 0; l < W; l++) to[l] = (TO)(from[l] * f);                                     \
                    else                                                                                               \
                        for (int64_t l = 0; l < W; l++) to[l] = l < inside ? (TO)(from[l * t->column] * f) : 0;        \
                }                                                                                                      \
    }

FILL(fill_f32, float, float, 16)
FILL(fill_f64, double, double, 8)
FILL(fill_f64_f32, double, float, 16)

/* out = factor A in panels, the last one filled up with zeros; element (i, j) of A (m x n) at i * row + j * column */
int sc_panels_fill(enum sc_val val, int64_t m, int64_t n, const void *A, int64_t row, int64_t column, double factor,
                   enum sc_val out_val, void *out, int threads)
{
    if (!real(val) || !real(out_val) || (val == SC_F32 && out_val == SC_F64)) return SC_BAD_TYPE;
    struct tall t = tall(out_val, m, A, 0);
    t.columns = n, t.row = row, t.column = column, t.factor = &factor, t.out = out;
    sc_team(t.chunks, 1, threads, val == SC_F32 ? fill_f32 : out_val == SC_F64 ? fill_f64 : fill_f64_f32, &t);
    return SC_OK;
}

/* G = R'R with R upper triangular, both s x s, row-major, in place; the least pivot, 0 where G is not positive
 * definite */
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

/* R = G T, all upper triangular; what is below the diagonal of R stays as it is */
static void multiply(const double *G, const double *T, int64_t s, double *R)
{
    for (int64_t i = 0; i < s; i++)
        for (int64_t j = i; j < s; j++) {
            double a = 0;
            for (int64_t l = i; l <= j; l++) a += G[i * s + l] * T[l * s + j];
            R[i * s + j] = a;
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
            multiply(G, T, s, R);
        }
        if (round == 0) *least = bottom;
        if (pivot * pivot > 0.05) break;
    }
    sc_free(G);
    sc_free(small);
    return status;
}

/* One thread for so few multiply-adds that starting a team would cost more */
static int team(int64_t work, int threads) { return work >= SERIAL ? threads : 1; }

/* W -= V_b (V_b' W) for every basis b in turn; C: room for the largest V_b' W */
static int project(enum sc_val val, int64_t n, const void *const *V, const int64_t *p, int bases, void *C, void *W,
                   int64_t q, int threads)
{
    int status = SC_OK;
    for (int b = 0; b < bases && status == SC_OK; b++) {
        int many = team(n * p[b] * q * width(val) * width(val), threads);
        if (!p[b]) continue;
        status = sc_panels_inner(val, n, V[b], p[b], W, q, C, 0, many);
        if (status == SC_OK) status = sc_panels_subtract(val, n, V[b], p[b], C, W, q, many);
    }
    return status;
}

/* W -= Q S' (Q of `known` panels, 0: nothing), W -= V_b (V_b' W) for every basis, W = Q R as above, and, where R has a
 * diagonal entry below `slack`, the projections and W = Q R once more.  *least is 0 where W could not be made
 * orthonormal: projected then, but otherwise as it was, and R is what was taken out. */
int sc_panels_join(enum sc_val val, int64_t n, const void *Q, int64_t known, const double *S, const void *const *V,
                   const int64_t *p, int bases, void *W, int64_t q, double lowest, double slack, double *R,
                   double *least, int threads)
{
    if (!real(val)) return SC_BAD_TYPE;
    size_t size = sc_val_size(val);
    int64_t w = width(val), s = w * q, from = w * known, most = SC_MAX(q, known), any = 0;
    for (int b = 0; b < bases; b++) most = SC_MAX(most, p[b]), any += p[b];
    char *C = sc_alloc(w * most * s, size);
    double *T = sc_alloc(2 * s * s, sizeof(double)), *again = T ? T + s * s : NULL;
    int status = C && T ? SC_OK : SC_NO_MEMORY, many = team(n * s * s, threads);
    *least = 0;
    if (status == SC_OK && known) {
        for (int64_t i = 0; i < from; i++)
            for (int64_t j = 0; j < s; j++) {
                int64_t to = place(i, j, from, w);
                if (val == SC_F32) ((float *)C)[to] = (float)S[j * from + i];
                else ((double *)C)[to] = S[j * from + i];
            }
        status = sc_panels_subtract(val, n, Q, known, C, W, q, many);
    }
    if (status == SC_OK) status = project(val, n, V, p, bases, C, W, q, threads);
    if (status == SC_OK) status = sc_panels_orthonormalise(val, n, W, q, lowest, R, least, many);
    if (status == SC_OK && *least > 0 && *least < slack && any) {
        double first = *least;
        status = project(val, n, V, p, bases, C, W, q, threads);
        if (status == SC_OK) status = sc_panels_orthonormalise(val, n, W, q, 0.5, again, least, many);
        if (status == SC_OK && *least > 0) {        /* R = again R, both upper triangular */
            memcpy(T, R, (size_t)(s * s) * sizeof(double));
            multiply(again, T, s, R);
            *least = first;
        }
    }
    sc_free(T);
    sc_free(C);
    return status;
}
