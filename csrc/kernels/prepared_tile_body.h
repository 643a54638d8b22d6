/* C[0:block_rows, 0:V*lanes] += tile(rb, kb) @ X, X and C packed to V vectors a row. */
#define WIDE (V * (int64_t)(sizeof(VEC(t)) / sizeof(VAL)))
#define LANES (int64_t)(sizeof(VEC(t)) / sizeof(VAL))
#define NAME(f) SC_PASTE(SC_PASTE(f, VNAME), V)

static void NAME(csr16)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    (void)kb;
    const VAL *X = X_, *val = P->data;
    const uint16_t *col = P->index;
    VAL *C = C_;
    int64_t r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    for (int64_t r = r0; r < r1; r++, C += WIDE) {
        VEC(t) c[V];
        SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(load)(C + v * LANES);
        for (int64_t p = P->start[r]; p < P->start[r + 1]; p++) {
            VEC(t) a = VEC(set1)(val[p]);
            const VAL *x = X + col[p] * WIDE;
            SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(fma)(a, VEC(load)(x + v * LANES), c[v]);
        }
        SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + v * LANES, c[v]);
    }
}

/* Rows come by falling count: the trip count of the inner loop hardly changes, so it is predicted. */
static void NAME(blocked)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    int64_t tile = rb * ((P->cols + P->block_cols - 1) / P->block_cols) + kb, rows = P->block_rows;
    const VAL *X = X_, *val = (const VAL *)P->data + P->start[tile];
    const uint8_t *id = (const uint8_t *)P->heads + tile * 2 * rows, *count = id + rows;
    const uint8_t *col = (const uint8_t *)P->index + P->start[tile];
    for (int64_t i = 0; i < rows && count[i]; i++) {
        VAL *C = (VAL *)C_ + id[i] * WIDE;
        VEC(t) c[V];
        SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(load)(C + v * LANES);
        for (int n = count[i]; n; n--) {
            VEC(t) a = VEC(set1)(*val++);
            const VAL *x = X + *col++ * WIDE;
            SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(fma)(a, VEC(load)(x + v * LANES), c[v]);
        }
        SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + v * LANES, c[v]);
    }
}

#if SC_LEVEL == 512 || V <= (SC_LEVEL == 2 ? 3 : 2)      /* 4 x V accumulators */
/* The columns of a group of four rows whose mask is m, a constant where this is inlined: a row of X is loaded once for
 * all of the rows that need it. */
static inline __attribute__((always_inline)) void NAME(masked)(const int m, int n, const VAL *X, const uint8_t **col,
                                                               const VAL **val, VEC(t) c[4][V])
{
    for (; n; n--) {
        const VAL *x = X + *(*col)++ * WIDE;
        VEC(t) b[V];
        SC_UNROLL for (int v = 0; v < V; v++) b[v] = VEC(load)(x + v * LANES);
        SC_UNROLL for (int i = 0; i < 4; i++) {
            if (!(m >> i & 1)) continue;
            VEC(t) a = VEC(set1)(*(*val)++);
            SC_UNROLL for (int v = 0; v < V; v++) c[i][v] = VEC(fma)(a, b[v], c[i][v]);
        }
    }
}

static void NAME(patterned)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    int64_t tile = rb * ((P->cols + P->block_cols - 1) / P->block_cols) + kb, groups = P->block_rows / 4;
    const VAL *X = X_, *val = (const VAL *)P->data + P->start[2 * tile + 1];
    const uint8_t *col = (const uint8_t *)P->index + P->start[2 * tile];
    const uint8_t *count = (const uint8_t *)P->heads + tile * groups * 16;
    VAL *C = C_;
    for (int64_t g = 0; g < groups; g++, C += 4 * WIDE, count += 16) {
        VEC(t) c[4][V];
        SC_UNROLL for (int i = 0; i < 4; i++)
            SC_UNROLL for (int v = 0; v < V; v++) c[i][v] = VEC(load)(C + i * WIDE + v * LANES);
        SC_UNROLL for (int m = 1; m < 16; m++) NAME(masked)(m, count[m], X, &col, &val, c);
        SC_UNROLL for (int i = 0; i < 4; i++)
            SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + i * WIDE + v * LANES, c[i][v]);
    }
}
#endif

static void NAME(bitmask)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    (void)kb;
    const VAL *X = X_;
    VAL *C = C_;
    int64_t words = (P->cols + 15) / 16, r0 = rb * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    for (int64_t r = r0; r < r1; r++, C += WIDE) {
        const uint16_t *mask = (const uint16_t *)P->heads + r * words;
        const VAL *val = (const VAL *)P->data + P->start[r];
        VEC(t) c[V];
        SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(load)(C + v * LANES);
        for (int64_t k = 0; k < words; k++)
            for (unsigned m = mask[k]; m; m &= m - 1) {
                VEC(t) a = VEC(set1)(*val++);
                const VAL *x = X + (k * 16 + __builtin_ctz(m)) * WIDE;
                SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(fma)(a, VEC(load)(x + v * LANES), c[v]);
            }
        SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + v * LANES, c[v]);
    }
}

static void NAME(sliced)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    (void)kb;
    const uint8_t *id = (const uint8_t *)P->heads + rb * P->block_rows;
    const VAL *X = X_, *val = P->data;
    const uint16_t *col = P->index;
    for (int64_t i = 0; i < P->block_rows; i++) {
        int64_t slice = (rb * P->block_rows + i) / SC_SLICE, end = P->start[slice + 1];
        VAL *C = (VAL *)C_ + id[i] * WIDE;
        VEC(t) c[V];
        SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(load)(C + v * LANES);
        for (int64_t p = P->start[slice] + i % SC_SLICE; p < end; p += SC_SLICE) {
            VEC(t) a = VEC(set1)(val[p]);
            const VAL *x = X + col[p] * WIDE;
            SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(fma)(a, VEC(load)(x + v * LANES), c[v]);
        }
        SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + v * LANES, c[v]);
    }
}

static void NAME(listed)(const sc_prepared *P, int64_t rb, int64_t kb, const void *X_, void *C_)
{
    (void)kb;
    const VAL *X = X_, *val = (const VAL *)P->data + P->start[2 * rb + 1];
    const uint16_t *col = (const uint16_t *)P->index + P->start[2 * rb];
    const uint16_t *eights = (const uint16_t *)P->heads + rb * P->block_rows * 4;
    VAL *C = C_;
    for (int64_t g = 0; g < P->block_rows / 4; g++, C += 4 * WIDE, eights += 16)
        for (unsigned m = 1; m < 16; m++)
            for (int64_t n = eights[m]; n; n--, col += SC_EIGHT)
                for (int i = 0; i < 4; i++) {
                    if (!(m >> i & 1)) continue;
                    VEC(t) c[V];
                    SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(load)(C + i * WIDE + v * LANES);
                    for (int k = 0; k < SC_EIGHT; k++) {
                        VEC(t) a = VEC(set1)(*val++);
                        const VAL *x = X + col[k] * WIDE;
                        SC_UNROLL for (int v = 0; v < V; v++) c[v] = VEC(fma)(a, VEC(load)(x + v * LANES), c[v]);
                    }
                    SC_UNROLL for (int v = 0; v < V; v++) VEC(store)(C + i * WIDE + v * LANES, c[v]);
                }
}

#undef WIDE
#undef LANES
#undef NAME
