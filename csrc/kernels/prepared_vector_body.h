/* C[0:block_rows] += tile(rb, kb) @ x: one column. */

/* Bytes of values up to which they are likely to be in the second cache, call after call. */
#undef IN_CACHE
#define IN_CACHE (1 << 19)

#if SC_LEVEL == 2
/* Bytes ahead of their use that the values of a matrix are asked for, which the hardware alone does not keep up with
 * (60 % zeros, two threads, bitmask: 2.7 to 1.3 ms). */
#define STREAM 4096

/* A vector of entries of a row at a time; the last few with their successors in the next rows, masked out.
 * Index and data are padded for these loads. */
static void SC_PASTE(SC_PASTE(csr16, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_, void *C_)
{
    (void)kb;
    enum { LANES = sizeof(VEC(t)) / sizeof(VAL) };
    const VAL *x = x_, *val = P->data;
    const uint16_t *col = P->index;
    VAL *y = C_;
    int64_t r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows), p = P->start[r0];
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = P->start[r + 1];
        VEC(t) a = VEC(set1)(0), b = a;
        for (; p + 2 * LANES <= end; p += 2 * LANES) {
            __builtin_prefetch((const char *)(val + p) + STREAM);
            __builtin_prefetch((const char *)(col + p) + STREAM / 2);
            a = VEC(fma)(VEC(load)(val + p), VEC(pick)(x, col + p), a);
            b = VEC(fma)(VEC(load)(val + p + LANES), VEC(pick)(x, col + p + LANES), b);
        }
        if (p + LANES <= end) {
            a = VEC(fma)(VEC(load)(val + p), VEC(pick)(x, col + p), a);
            p += LANES;
        }
        if (p < end) b += VEC(first)(VEC(load)(val + p) * VEC(pick)(x, col + p), end - p);
        p = end;
        y[r - r0] += VEC(sum)(a + b);
    }
}
#else
static void SC_PASTE(SC_PASTE(csr16, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_, void *C_)
{
    (void)kb;
    const VAL *x = x_, *val = P->data;
    const uint16_t *col = P->index;
    VAL *y = C_;
    int64_t r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = P->start[r], end = P->start[r + 1];
        VAL a = 0, b = 0, c = 0, d = 0;
        for (; p + 4 <= end; p += 4) {
            a = FMA(val[p], x[col[p]], a);
            b = FMA(val[p + 1], x[col[p + 1]], b);
            c = FMA(val[p + 2], x[col[p + 2]], c);
            d = FMA(val[p + 3], x[col[p + 3]], d);
        }
        for (; p < end; p++) a = FMA(val[p], x[col[p]], a);
        y[r - r0] += (a + b) + (c + d);
    }
}
#endif

/* A slice at a time, its rows in the lanes of two turns of sums: no row's end is mispredicted, no lane summed across
 * (95 % zeros, 1024 x 784, one thread: 14.5 to 10.7 us).  stream, a constant where this is inlined: ask ahead for what
 * does not come from the second cache (90 % zeros, 4096 x 4096, two threads: 0.49 to 0.32 ms; in cache it
 * costs 8 %). */
static inline __attribute__((always_inline)) void SC_PASTE(slices, VNAME)(const sc_prepared *P, int64_t rb,
                                                                          const VAL *x, VAL *y, const int stream)
{
    const uint8_t *id = (const uint8_t *)P->heads + rb * P->block_rows;
    const int64_t *start = P->start + rb * P->block_rows / SC_SLICE;
    const VAL *val = (const VAL *)P->data + *start;
    const uint16_t *col = (const uint16_t *)P->index + *start;
    for (int64_t s = 0; s < P->block_rows / SC_SLICE; s++, id += SC_SLICE) {
        const VAL *end = (const VAL *)P->data + start[s + 1];
        VAL sum[SC_SLICE];
#if SC_LEVEL == 2
        enum { LANES = sizeof(VEC(t)) / sizeof(VAL), PARTS = SC_SLICE / LANES };
        VEC(t) a[PARTS], b[PARTS];
        SC_UNROLL for (int i = 0; i < PARTS; i++) a[i] = b[i] = VEC(set1)(0);
        for (; val + 2 * SC_SLICE <= end; val += 2 * SC_SLICE, col += 2 * SC_SLICE) {
            if (stream) {
                __builtin_prefetch((const char *)val + STREAM);
                __builtin_prefetch((const char *)col + STREAM / 2);
            }
            SC_UNROLL for (int i = 0; i < PARTS; i++) {
                const VAL *v = val + i * LANES;
                const uint16_t *c = col + i * LANES;
                a[i] = VEC(fma)(VEC(load)(v), VEC(pick)(x, c), a[i]);
                b[i] = VEC(fma)(VEC(load)(v + SC_SLICE), VEC(pick)(x, c + SC_SLICE), b[i]);
            }
        }
        if (val < end) {
            SC_UNROLL for (int i = 0; i < PARTS; i++)
                a[i] = VEC(fma)(VEC(load)(val + i * LANES), VEC(pick)(x, col + i * LANES), a[i]);
            val += SC_SLICE, col += SC_SLICE;
        }
        SC_UNROLL for (int i = 0; i < PARTS; i++) VEC(store)(sum + i * LANES, a[i] + b[i]);
#else
        (void)stream;
        SC_UNROLL for (int i = 0; i < SC_SLICE; i++) sum[i] = 0;
        for (; val < end; val += SC_SLICE, col += SC_SLICE)
            SC_UNROLL for (int i = 0; i < SC_SLICE; i++) sum[i] = FMA(val[i], x[col[i]], sum[i]);
#endif
        SC_UNROLL for (int i = 0; i < SC_SLICE; i++) y[id[i]] += sum[i];
    }
}

static void SC_PASTE(SC_PASTE(sliced, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x, void *y)
{
    (void)kb;
    if (P->nnz * (int64_t)sizeof(VAL) > IN_CACHE) SC_PASTE(slices, VNAME)(P, rb, x, y, 1);
    else SC_PASTE(slices, VNAME)(P, rb, x, y, 0);
}

static void SC_PASTE(SC_PASTE(blocked, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_,
                                                  void *C_)
{
    int64_t tile = rb * ((P->cols + P->block_cols - 1) / P->block_cols) + kb, rows = P->block_rows;
    const VAL *x = x_, *val = (const VAL *)P->data + P->start[tile];
    const uint8_t *id = (const uint8_t *)P->heads + tile * 2 * rows, *count = id + rows;
    const uint8_t *col = (const uint8_t *)P->index + P->start[tile];
    VAL *y = C_;
    for (int64_t i = 0; i < rows && count[i]; i++) {
        int n = count[i];
        VAL a = 0, b = 0;
        for (; n >= 2; n -= 2, col += 2, val += 2) {
            a = FMA(val[0], x[col[0]], a);
            b = FMA(val[1], x[col[1]], b);
        }
        if (n) a = FMA(*val++, x[*col++], a);
        y[id[i]] += a + b;
    }
}

/* As with panels: a mask is a constant of its loop, sums stay in registers. */
static inline __attribute__((always_inline)) void SC_PASTE(masked_vector, VNAME)(const int m, int n, const VAL *x,
                                                                                 const uint8_t **col, const VAL **val,
                                                                                 VAL c[4])
{
    for (; n; n--) {
        VAL b = x[*(*col)++];
        SC_UNROLL for (int i = 0; i < 4; i++)
            if (m >> i & 1) {
                VAL a = *(*val)++;
                c[i] = FMA(a, b, c[i]);
            }
    }
}

static void SC_PASTE(SC_PASTE(patterned, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x,
                                                    void *C_)
{
    int64_t tile = rb * ((P->cols + P->block_cols - 1) / P->block_cols) + kb, groups = P->block_rows / 4;
    const VAL *val = (const VAL *)P->data + P->start[2 * tile + 1];
    const uint8_t *col = (const uint8_t *)P->index + P->start[2 * tile];
    const uint8_t *count = (const uint8_t *)P->heads + tile * groups * 16;
    VAL *y = C_;
    for (int64_t g = 0; g < groups; g++, y += 4, count += 16) {
        VAL c[4] = {y[0], y[1], y[2], y[3]};
        SC_UNROLL for (int m = 1; m < 16; m++) SC_PASTE(masked_vector, VNAME)(m, count[m], x, &col, &val, c);
        SC_UNROLL for (int i = 0; i < 4; i++) y[i] = c[i];
    }
}

/* Eight elements of x are picked once for all the rows of a group that need them: 60 % zeros, 1024 x 784, one thread:
 * 65 us where the bitmask took 123 and slices 87.  A mask is a constant of its loop, sums stay in registers. */
#if SC_LEVEL == 2
static inline __attribute__((always_inline)) void SC_PASTE(listed_columns, VNAME)(
    const int m, int64_t n, int64_t cols, const VAL *x, const uint16_t **col, const VAL **val, VEC(t) c[4],
    const int stream)
{
    enum { LANES = sizeof(VEC(t)) / sizeof(VAL), PARTS = SC_EIGHT / LANES };
    /* Columns of a list ascend: if one is in the place of its own number, so are all before it, and x is read as it
     * lies.  Of rows without zeros, that is, which the masks 1, 3, 7 and 15 have (10 x 1024, one thread: 1.9 to
     * 1.0 us). */
    int64_t full = (m & (m + 1)) == 0 ? cols / SC_EIGHT * SC_EIGHT : 0, end = n - full / SC_EIGHT;
    if (full && end >= 0 && (*col)[full - 1] == full - 1) {
        for (const VAL *from = x; n > end; n--, *col += SC_EIGHT, from += SC_EIGHT) {
            if (stream) __builtin_prefetch((const char *)*val + STREAM);
            SC_UNROLL for (int i = 0; i < 4; i++)
                if (m >> i & 1) {
                    SC_UNROLL for (int k = 0; k < PARTS; k++)
                        c[i] = VEC(fma)(VEC(load)(*val + k * LANES), VEC(load)(from + k * LANES), c[i]);
                    *val += SC_EIGHT;
                }
        }
    }
    for (; n; n--, *col += SC_EIGHT) {
        VEC(t) b[PARTS];
        if (stream) {
            __builtin_prefetch((const char *)*val + STREAM);
            __builtin_prefetch((const char *)*col + STREAM / 4);
            if (__builtin_popcount(m) > 2) __builtin_prefetch((const char *)*val + STREAM + 64);
        }
        SC_UNROLL for (int k = 0; k < PARTS; k++) b[k] = VEC(pick)(x, *col + k * LANES);
        SC_UNROLL for (int i = 0; i < 4; i++)
            if (m >> i & 1) {
                SC_UNROLL for (int k = 0; k < PARTS; k++) c[i] = VEC(fma)(VEC(load)(*val + k * LANES), b[k], c[i]);
                *val += SC_EIGHT;
            }
    }
}
#else
static inline __attribute__((always_inline)) void SC_PASTE(listed_columns, VNAME)(
    const int m, int64_t n, int64_t cols, const VAL *x, const uint16_t **col, const VAL **val, VAL c[4][SC_EIGHT],
    const int stream)
{
    (void)cols;
    (void)stream;
    for (; n; n--, *col += SC_EIGHT)
        SC_UNROLL for (int i = 0; i < 4; i++)
            if (m >> i & 1) {
                for (int k = 0; k < SC_EIGHT; k++) c[i][k] = FMA((*val)[k], x[(*col)[k]], c[i][k]);
                *val += SC_EIGHT;
            }
}
#endif

static inline __attribute__((always_inline)) void SC_PASTE(listed_block, VNAME)(const sc_prepared *P, int64_t rb,
                                                                                const VAL *x, VAL *y, const int stream)
{
    const VAL *val = (const VAL *)P->data + P->start[2 * rb + 1];
    const uint16_t *col = (const uint16_t *)P->index + P->start[2 * rb];
    const uint16_t *eights = (const uint16_t *)P->heads + rb * P->block_rows * 4;
    for (int64_t g = 0; g < P->block_rows / 4; g++, y += 4, eights += 16) {
#if SC_LEVEL == 2
        VEC(t) c[4] = {VEC(set1)(0), VEC(set1)(0), VEC(set1)(0), VEC(set1)(0)};
#else
        VAL c[4][SC_EIGHT] = {{0}};
#endif
        SC_UNROLL for (int m = 1; m < 16; m++)
            SC_PASTE(listed_columns, VNAME)(m, eights[m], P->cols, x, &col, &val, c, stream);
#if SC_LEVEL == 2
        SC_UNROLL for (int i = 0; i < 4; i++) y[i] += VEC(sum)(c[i]);
#else
        for (int i = 0; i < 4; i++)
            y[i] += ((c[i][0] + c[i][4]) + (c[i][2] + c[i][6])) + ((c[i][1] + c[i][5]) + (c[i][3] + c[i][7]));
#endif
    }
}

static void SC_PASTE(SC_PASTE(listed, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x, void *y)
{
    (void)kb;
    if (P->nnz * (int64_t)sizeof(VAL) > IN_CACHE) SC_PASTE(listed_block, VNAME)(P, rb, x, y, 1);
    else SC_PASTE(listed_block, VNAME)(P, rb, x, y, 0);
}

/* Bits of a mask become lanes: one expansion of the stream of values for a vector of columns; at base bit by bit.
 * Data is padded for the loads past its end. */
static void SC_PASTE(SC_PASTE(bitmask, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_,
                                                  void *C_)
{
    (void)kb;
    VAL *y = C_;
    int64_t words = (P->cols + 15) / 16, r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    for (int64_t r = r0; r < r1; r++) {
        const uint16_t *mask = (const uint16_t *)P->heads + r * words;
        const VAL *val = (const VAL *)P->data + P->start[r], *x = x_;
        int64_t k = 0;
        VAL sum = 0;
#if SC_LEVEL == 512
        enum { LANES = sizeof(VEC(t)) / sizeof(VAL) };
        VEC(t) c[4] = {VEC(set1)(0), VEC(set1)(0), VEC(set1)(0), VEC(set1)(0)};
        for (; (k + 4) * 16 <= P->cols; k += 4, x += 64) {
            uint64_t w;
            memcpy(&w, mask + k, 8);
            SC_UNROLL for (int i = 0; i < 64 / LANES; i++) {
                /* Counted from the front of the word: the loads do not wait for each other. */
                const VAL *from = val + __builtin_popcountll(w & (((uint64_t)1 << i * LANES) - 1));
                unsigned m = (unsigned)(w >> i * LANES);
                c[i & 3] = VEC(masked_fma)(VEC(expand)(m, from), VEC(load)(x + i * LANES), c[i & 3], m);
            }
            val += __builtin_popcountll(w);
        }
        sum = VEC(sum)((c[0] + c[1]) + (c[2] + c[3]));
#elif SC_LEVEL == 2
        enum { LANES = sizeof(VEC(t)) / sizeof(VAL) };
        VEC(t) c[4] = {VEC(set1)(0), VEC(set1)(0), VEC(set1)(0), VEC(set1)(0)};
        for (; (k + 2) * 16 <= P->cols; k += 2, x += 32) {
            uint32_t w;
            memcpy(&w, mask + k, 4);
            __builtin_prefetch((const char *)val + STREAM);
            __builtin_prefetch((const char *)val + STREAM + 64);
            SC_UNROLL for (int i = 0; i < 32 / LANES; i++) {
                const VAL *from = val + __builtin_popcount(w & ((1u << i * LANES) - 1));
                unsigned m = w >> i * LANES & ((1u << LANES) - 1);
                c[i & 3] = VEC(spread_fma)(m, from, VEC(load)(x + i * LANES), c[i & 3]);
            }
            val += __builtin_popcount(w);
        }
        sum = VEC(sum)((c[0] + c[1]) + (c[2] + c[3]));
#endif
        for (; k < words; k++, x += 16)
            for (unsigned m = mask[k]; m; m &= m - 1) {
                VAL a = *val++;
                sum = FMA(a, x[__builtin_ctz(m)], sum);
            }
        y[r - r0] += sum;
    }
}
