/* Products with dense panels, rows ldx and ldc apart.  `ahead`: as in vector_body.h, and as there columns are checked
 * as they are read (a pass of its own over them took 8 to 14 % of a product with 8 columns); pointers are trusted. */
#define COL(p) ((uint64_t)(UIDX)col[p])
#if VREAL

/* Matrices of more bytes are asked for SC_STREAM bytes ahead: between reads of X all over the place the processor does
 * not see that they are read in order (4096 x 4096 f32 of 20 % on AVX2, two threads: 8 columns 9.2 to 3.1 ms, 64
 * columns 20.6 to 10.5; within 5 % either way on smaller ones).  A transposed product does so in rows of SC_LONG
 * entries and more, by 8 of them: 50 % zeros, 8 columns 13.1 to 9.5 ms, 80 % 12.7 to 4.5, 32 columns 41 to 23. */
#define SC_STREAM_FROM (4 << 20)
#define SC_STREAM 1024
#define SC_LONG 32

#define LANES SC_PASTE(lanes, ACC)
#define PART SC_PASTE(part, ACC)
#define LOADV SC_PASTE(load, ACC)
#define STOREV SC_PASTE(store, ACC)
#define STREAMV SC_PASTE(stream, ACC)
#define MULADD SC_PASTE(muladd, ACC)
#define FIRST SC_PASTE(first, ACC)
#define LOADP SC_PASTE(load_part, ACC)
#define STOREP SC_PASTE(store_part, ACC)
#define WIDTH ((int64_t)(sizeof(LANES) / sizeof(ACC)))

/* C[r0:r1, 0:last+WIDTH] = A[r0:r1] @ X[:, 0:last+WIDTH]: T vectors in registers, the last at column `last` (over the
 * one before where the columns do not fill T).  One or two vectors would wait for themselves: U entries at a time, each
 * into its own sums. */
SC_INLINE int FN(gather)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *X, int64_t ldx, ACC *C, int64_t ldc,
                          int64_t last, int64_t ahead, int how, const int T, const int U)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)A->cols;
    const int past = how == SC_WRITE_PAST && last == (T - 1) * WIDTH && ((uintptr_t)C & (SC_LANE_BYTES - 1)) == 0;
    const int straddles = (((uintptr_t)X | (uintptr_t)ldx * sizeof(ACC)) & 63) != 0;
    const int stream = A->nnz * (int64_t)(sizeof(VAL) + sizeof(IDX)) > SC_STREAM_FROM;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        LANES s[8];
#pragma GCC unroll 8
        for (int i = 0; i < T * U; i++) s[i] = (LANES){0};
        ACC *c = C + r * ldc;
        if (how == SC_ADD) {
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) s[t] = LOADV(c + (t < T - 1 ? t * WIDTH : last));
        }
        for (; p + U <= end; p += U) {
            if (stream && (p & 7) < U) {
                __builtin_prefetch((const char *)(val + p) + SC_STREAM);
                __builtin_prefetch((const char *)(col + p) + SC_STREAM);
            }
#pragma GCC unroll 4
            for (int u = 0; u < U; u++) {
                if (ahead)
                    prefetch_row(X, COL(SC_MIN(p + u + ahead, top)) * (uint64_t)ldx * sizeof(ACC), T * SC_LANE_BYTES,
                                 straddles);
                if (COL(p + u) >= cols) return SC_BAD_INDEX;
                const ACC *x = X + (int64_t)COL(p + u) * ldx;
                ACC a = LOAD(val[p + u]);
#pragma GCC unroll 8
                for (int t = 0; t < T; t++)
                    s[u * T + t] = MULADD(a, LOADV(x + (t < T - 1 ? t * WIDTH : last)), s[u * T + t]);
            }
        }
        for (; U > 1 && p < end; p++) {
            if (ahead)
                prefetch_row(X, COL(SC_MIN(p + ahead, top)) * (uint64_t)ldx * sizeof(ACC), T * SC_LANE_BYTES,
                             straddles);
            if (COL(p) >= cols) return SC_BAD_INDEX;
            const ACC *x = X + (int64_t)COL(p) * ldx;
            ACC a = LOAD(val[p]);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) s[t] = MULADD(a, LOADV(x + (t < T - 1 ? t * WIDTH : last)), s[t]);
        }
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            LANES sum = s[t];
            if (U == 2) sum = sum + s[T + t];
            if (U == 4) sum = (sum + s[T + t]) + (s[2 * T + t] + s[3 * T + t]);
            if (past) STREAMV(c + (t < T - 1 ? t * WIDTH : last), sum);
            else STOREV(c + (t < T - 1 ? t * WIDTH : last), sum);
        }
    }
    return SC_OK;
}

/* The same for fewer columns than one vector has lanes. */
static int FN(gather_part)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *X, int64_t ldx, ACC *C, int64_t ldc,
                           int64_t n, int64_t ahead, int how)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)A->cols;
    PART m = FIRST(n);
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        LANES s = {0}, t = {0}, u = {0}, v = {0};
        if (how == SC_ADD) s = LOADP(C + r * ldc, m);
        for (; p + 4 <= end; p += 4) {
            if (ahead)
                for (int i = 0; i < 4; i++)
                    prefetch_far(X, COL(SC_MIN(p + i + ahead, top)) * (uint64_t)ldx * sizeof(ACC));
            if (COL(p) >= cols || COL(p + 1) >= cols || COL(p + 2) >= cols || COL(p + 3) >= cols) return SC_BAD_INDEX;
            s = MULADD(LOAD(val[p]), LOADP(X + (int64_t)COL(p) * ldx, m), s);
            t = MULADD(LOAD(val[p + 1]), LOADP(X + (int64_t)COL(p + 1) * ldx, m), t);
            u = MULADD(LOAD(val[p + 2]), LOADP(X + (int64_t)COL(p + 2) * ldx, m), u);
            v = MULADD(LOAD(val[p + 3]), LOADP(X + (int64_t)COL(p + 3) * ldx, m), v);
        }
        for (; p < end; p++) {
            if (ahead) prefetch_far(X, COL(SC_MIN(p + ahead, top)) * (uint64_t)ldx * sizeof(ACC));
            if (COL(p) >= cols) return SC_BAD_INDEX;
            s = MULADD(LOAD(val[p]), LOADP(X + (int64_t)COL(p) * ldx, m), s);
        }
        STOREP(C + r * ldc, m, (s + t) + (u + v));
    }
    return SC_OK;
}

/* C[r, :n] = (SC_ADD: +=) sum over p of data[p] * X[indices[p], :n] for r0 <= r < r1 */
static int FN(spmm)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_, int64_t ldc,
                    int64_t n, int64_t ahead, int how)
{
    const ACC *X = X_;
    ACC *C = C_;
    if (n < WIDTH) return FN(gather_part)(A, r0, r1, X, ldx, C, ldc, n, ahead, how);
    int found = SC_OK;
    for (int64_t j = 0; j < n && found == SC_OK; j += 8 * WIDTH) {
        int64_t w = SC_MIN(n - j, 8 * WIDTH), last = w - WIDTH;
        const ACC *x = X + j;
        ACC *c = C + j;
        if (last < 0 && how == SC_ADD)         /* columns of the block before would be added twice */
            return FN(gather_part)(A, r0, r1, x, ldx, c, ldc, w, ahead, how);
        if (last < 0) { x += last; c += last; last = 0; }
        switch ((last + 2 * WIDTH - 1) / WIDTH) {
        case 1: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 1, 4); break;
        case 2: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 2, 2); break;
        case 3: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 3, 1); break;
        case 4: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 4, 1); break;
        case 5: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 5, 1); break;
        case 6: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 6, 1); break;
        case 7: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 7, 1); break;
        default: found = FN(gather)(A, r0, r1, x, ldx, c, ldc, last, ahead, how, 8, 1);
        }
    }
    return found;
}

/* C[c, 0:T*WIDTH] += a x */
SC_INLINE void FN(add_row)(ACC *c, ACC a, const LANES *x, const int T)
{
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) STOREV(c + t * WIDTH, MULADD(a, x[t], LOADV(c + t * WIDTH)));
}

/* C[indices[p], j:j+T*WIDTH] += data[p] * X[r, j:j+T*WIDTH] for every entry p of rows r0 <= r < r1 */
SC_INLINE int FN(scatter)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *X, int64_t ldx, ACC *C, int64_t ldc,
                          int64_t low, int64_t ahead, const int stream, const int T)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)(A->cols - low);
    ACC *C_low = C + low * ldc;
    const int straddles = (((uintptr_t)C | (uintptr_t)ldc * sizeof(ACC)) & 63) != 0;
    for (int64_t r = r0; r < r1; r++) {
        LANES x[8];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) x[t] = LOADV(X + r * ldx + t * WIDTH);
        int64_t p = ptr[r], end = ptr[r + 1];
        for (; stream && p + 8 <= end; p += 8) {
            __builtin_prefetch((const char *)(val + p) + SC_STREAM);
            __builtin_prefetch((const char *)(col + p) + SC_STREAM);
            for (int u = 0; u < 8; u++) {
                uint64_t i = COL(p + u) - (uint64_t)low;
                if (i >= cols) return SC_BAD_INDEX;
                FN(add_row)(C_low + (int64_t)i * ldc, LOAD(val[p + u]), x, T);
            }
        }
        for (; p < end; p++) {
            if (ahead)
                prefetch_row(C, COL(SC_MIN(p + ahead, top)) * (uint64_t)ldc * sizeof(ACC), T * SC_LANE_BYTES,
                             straddles);
            uint64_t i = COL(p) - (uint64_t)low;
            if (i >= cols) return SC_BAD_INDEX;
            FN(add_row)(C_low + (int64_t)i * ldc, LOAD(val[p]), x, T);
        }
    }
    return SC_OK;
}

SC_INLINE int FN(scatter_part)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *X, int64_t ldx, ACC *C,
                               int64_t ldc, int64_t n, int64_t low, int64_t ahead)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)(A->cols - low);
    ACC *C_low = C + low * ldc;
    PART m = FIRST(n);
    for (int64_t r = r0; r < r1; r++) {
        LANES x = LOADP(X + r * ldx, m);
        for (int64_t p = ptr[r], end = ptr[r + 1]; p < end; p++) {
            if (ahead) prefetch_far(C, COL(SC_MIN(p + ahead, top)) * (uint64_t)ldc * sizeof(ACC));
            uint64_t i = COL(p) - (uint64_t)low;
            if (i >= cols) return SC_BAD_INDEX;
            ACC *c = C_low + (int64_t)i * ldc;
            STOREP(c, m, MULADD(LOAD(val[p]), x, LOADP(c, m)));
        }
    }
    return SC_OK;
}

/* C[indices[p], :n] += data[p] * X[r, :n] for every entry p of rows r0 <= r < r1 */
SC_INLINE int FN(scatter_all)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_,
                              int64_t ldc, int64_t n, int64_t low, int64_t ahead, const int stream)
{
    const ACC *X = X_;
    ACC *C = C_;
    int64_t j = 0;
    int found = SC_OK;
    for (; n - j >= 8 * WIDTH && found == SC_OK; j += 8 * WIDTH)
        found = FN(scatter)(A, r0, r1, X + j, ldx, C + j, ldc, low, ahead, stream, 8);
    if (n - j >= 4 * WIDTH && found == SC_OK) {
        found = FN(scatter)(A, r0, r1, X + j, ldx, C + j, ldc, low, ahead, stream, 4);
        j += 4 * WIDTH;
    }
    if (n - j >= 2 * WIDTH && found == SC_OK) {
        found = FN(scatter)(A, r0, r1, X + j, ldx, C + j, ldc, low, ahead, stream, 2);
        j += 2 * WIDTH;
    }
    if (n - j >= WIDTH && found == SC_OK) {
        found = FN(scatter)(A, r0, r1, X + j, ldx, C + j, ldc, low, ahead, stream, 1);
        j += WIDTH;
    }
    if (j < n && found == SC_OK) found = FN(scatter_part)(A, r0, r1, X + j, ldx, C + j, ldc, n - j, low, ahead);
    return found;
}

/* Apart, so that the usual product does not pay for `low` (pruned95, 8 columns, 1.60 to 1.06 ms, bcsstk16 0.58 to
 * 0.51; 2 threads, AVX2), nor for long rows. */
static SC_APART int FN(scatter_long)(const sc_csr *A, int64_t r0, int64_t r1, const void *X, int64_t ldx, void *C,
                                     int64_t ldc, int64_t n)
{
    return FN(scatter_all)(A, r0, r1, X, ldx, C, ldc, n, 0, 0, 1);
}

static int FN(spmm_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *X, int64_t ldx, void *C, int64_t ldc,
                      int64_t n, int64_t low, int64_t ahead)
{
    if (low) return FN(scatter_all)(A, r0, r1, X, ldx, C, ldc, n, low, ahead, 0);
    if (!ahead && A->nnz / SC_LONG > A->rows && A->nnz * (int64_t)(sizeof(VAL) + sizeof(IDX)) > SC_STREAM_FROM)
        return FN(scatter_long)(A, r0, r1, X, ldx, C, ldc, n);
    return FN(scatter_all)(A, r0, r1, X, ldx, C, ldc, n, 0, ahead, 0);
}

/* C[col[i], j:j+T*WIDTH] += val[i] * X[row[i], j:j+T*WIDTH] for i < n */
SC_INLINE void FN(add_some)(const int32_t *row, const IDX *col, const VAL *val, int64_t n, const ACC *X, int64_t ldx,
                            ACC *C, int64_t ldc, const int T)
{
    enum { AHEAD = 8 };
    for (int64_t i = 0; i < n; i++) {
        const ACC *x = X + row[i] * ldx;
        ACC *c = C + (int64_t)col[i] * ldc, a = LOAD(val[i]);
        for (int b = 0; b < T * SC_LANE_BYTES; b += 64)
            __builtin_prefetch((const char *)(C + (int64_t)col[SC_MIN(i + AHEAD, n - 1)] * ldc) + b, 1);
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) STOREV(c + t * WIDTH, MULADD(a, LOADV(x + t * WIDTH), LOADV(c + t * WIDTH)));
    }
}

static void FN(add_entry_rows)(const int32_t *row, const void *col_, const void *val_, int64_t n, const void *X_,
                               int64_t ldx, void *C_, int64_t ldc, int64_t columns)
{
    const IDX *col = col_;
    const VAL *val = val_;
    const ACC *X = X_;
    ACC *C = C_;
    int64_t j = 0;
    for (; columns - j >= 4 * WIDTH; j += 4 * WIDTH) FN(add_some)(row, col, val, n, X + j, ldx, C + j, ldc, 4);
    for (; columns - j >= 2 * WIDTH; j += 2 * WIDTH) FN(add_some)(row, col, val, n, X + j, ldx, C + j, ldc, 2);
    for (; columns - j >= WIDTH; j += WIDTH) FN(add_some)(row, col, val, n, X + j, ldx, C + j, ldc, 1);
    if (j == columns) return;
    PART m = FIRST(columns - j);
    for (int64_t i = 0; i < n; i++) {
        const ACC *x = X + row[i] * ldx + j;
        ACC *c = C + (int64_t)col[i] * ldc + j;
        STOREP(c, m, MULADD(LOAD(val[i]), LOADP(x, m), LOADP(c, m)));
    }
}

#undef LANES
#undef PART
#undef LOADV
#undef STOREV
#undef STREAMV
#undef MULADD
#undef FIRST
#undef LOADP
#undef STOREP
#undef WIDTH
#undef SC_LONG
#undef SC_STREAM_FROM
#undef SC_STREAM

#else   /* complex: the compiler's own vectors do */

static int FN(spmm)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_, int64_t ldc,
                    int64_t n, int64_t ahead, int how)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *X = X_;
    ACC *C = C_;
    const uint64_t cols = (uint64_t)A->cols;
    (void)ahead;
    for (int64_t r = r0; r < r1; r++) {
        ACC *restrict c = C + r * ldc;
        for (int64_t j = 0; j < n && how != SC_ADD; j++) c[j] = 0;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            if (COL(p) >= cols) return SC_BAD_INDEX;
            const ACC *restrict x = X + (int64_t)COL(p) * ldx;
            ACC a = LOAD(val[p]);
            for (int64_t j = 0; j < n; j++) c[j] += a * x[j];
        }
    }
    return SC_OK;
}

static int FN(spmm_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_, int64_t ldc,
                      int64_t n, int64_t low, int64_t ahead)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *X = X_;
    ACC *C = C_;
    const uint64_t cols = (uint64_t)(A->cols - low);
    (void)ahead;
    for (int64_t r = r0; r < r1; r++) {
        const ACC *restrict x = X + r * ldx;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            if (COL(p) - (uint64_t)low >= cols) return SC_BAD_INDEX;
            ACC *restrict c = C + (int64_t)COL(p) * ldc;
            ACC a = LOAD(val[p]);
            for (int64_t j = 0; j < n; j++) c[j] += a * x[j];
        }
    }
    return SC_OK;
}

static void FN(add_entry_rows)(const int32_t *row, const void *col_, const void *val_, int64_t n, const void *X_,
                               int64_t ldx, void *C_, int64_t ldc, int64_t columns)
{
    const IDX *col = col_;
    const VAL *val = val_;
    for (int64_t i = 0; i < n; i++) {
        const ACC *restrict x = (const ACC *)X_ + row[i] * ldx;
        ACC *restrict c = (ACC *)C_ + (int64_t)col[i] * ldc;
        ACC a = LOAD(val[i]);
        for (int64_t j = 0; j < columns; j++) c[j] += a * x[j];
    }
}
#endif
#undef COL
