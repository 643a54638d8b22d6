/* C[0:block_rows] += tile(rb, kb) @ x: one column. */

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

static void SC_PASTE(SC_PASTE(patterned, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_,
                                                    void *C_)
{
    int64_t tile = rb * ((P->cols + P->block_cols - 1) / P->block_cols) + kb, groups = P->block_rows / 4;
    const VAL *x = x_, *val = (const VAL *)P->data + P->start[2 * tile + 1];
    const uint8_t *col = (const uint8_t *)P->index + P->start[2 * tile];
    const uint8_t *count = (const uint8_t *)P->heads + tile * groups * 16;
    VAL *y = C_;
    for (int64_t g = 0; g < groups; g++, y += 4, count += 16)
        for (int m = 1; m < 16; m++)
            for (int n = count[m]; n; n--) {
                VAL b = x[*col++];
                for (int bits = m; bits; bits &= bits - 1) {
                    int i = __builtin_ctz(bits);
                    y[i] = FMA(*val++, b, y[i]);
                }
            }
}

#if SC_LEVEL == 512
/* 16 values of f32 (two times 8 of f64) are expanded from the stream to the columns of their mask; data is padded for
 * the load past its end. */
#if VBITS == 32
#define STEP(acc, m)                                                                                              \
    acc = _mm512_fmadd_ps(_mm512_maskz_expand_ps(m, _mm512_loadu_ps(val)), _mm512_maskz_loadu_ps(m, x), acc),     \
    val += __builtin_popcount(m)
#define SUM(acc) _mm512_reduce_add_ps(acc)
#define ZERO _mm512_setzero_ps()
#else
#define STEP(acc, m)                                                                                              \
    acc = _mm512_fmadd_pd(_mm512_maskz_expand_pd(m, _mm512_loadu_pd(val)), _mm512_maskz_loadu_pd(m, x), acc),     \
    val += __builtin_popcount(m & 0xff),                                                                          \
    acc = _mm512_fmadd_pd(_mm512_maskz_expand_pd(m >> 8, _mm512_loadu_pd(val)),                                   \
                          _mm512_maskz_loadu_pd(m >> 8, x + 8), acc),                                             \
    val += __builtin_popcount(m >> 8)
#define SUM(acc) _mm512_reduce_add_pd(acc)
#define ZERO _mm512_setzero_pd()
#endif
#endif

static void SC_PASTE(SC_PASTE(bitmask, VNAME), 0)(const sc_prepared *P, int64_t rb, int64_t kb, const void *x_,
                                                  void *C_)
{
    (void)kb;
    VAL *y = C_;
    int64_t words = (P->cols + 15) / 16, r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    for (int64_t r = r0; r < r1; r++) {
        const uint16_t *mask = (const uint16_t *)P->heads + r * words;
        const VAL *val = (const VAL *)P->data + P->start[r], *x = x_;
#if SC_LEVEL == 512
        VEC(t) a = ZERO;
        for (int64_t k = 0; k < words; k++, x += 16) {
            unsigned m = mask[k];
            STEP(a, m);
        }
        y[r - r0] += SUM(a);
#else
        VAL sum = 0;
        for (int64_t k = 0; k < words; k++, x += 16)
            for (unsigned m = mask[k]; m; m &= m - 1) sum = FMA(*val++, x[__builtin_ctz(m)], sum);
        y[r - r0] += sum;
#endif
    }
}
#undef STEP
#undef SUM
#undef ZERO
