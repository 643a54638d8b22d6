/* Both products read the matrix once, in order; the time goes into the reads of x (or y) between.  `ahead` is how many
 * entries before their use the lines of x or y are asked for; 0 where they are near at hand (sc_scattered decides).
 *
 * Unlike other kernels these check what they read as they go: a check of its own, however small the pieces, makes the
 * streams of indices and of values take turns (banded matrix: 15 GB/s instead of 24), a comparison in passing is
 * free. */

#define SC_SHORT 16
#define SC_BEYOND_CACHE (16 << 20)      /* bytes */
#define SC_AHEAD 4096                   /* bytes; the best of 1024, 2048 and 4096 */
#define SC_AHEAD_T 1024                 /* of transposed products */
#define COL(q) ((uint64_t)(UIDX)col[q])
#define PICK SC_PASTE(SC_PASTE(pick, ACC), IDX)

#if SC_LEVEL >= 2 && VREAL && VBITS >= 32
#define SC_VECTORS 1        /* rows of SC_SHORT entries and more by vectors; with AVX-512 all */
#define LANES SC_PASTE(lanes, ACC)
#define WIDTH ((int64_t)(sizeof(LANES) / sizeof(ACC)))

/* Asks for the n entries that lie `bytes` of values beyond p, in a matrix beyond the caches: the processor's own
 * prefetching ends with every page.  Two threads, AVX-512: banded 11.6 to 7.7 ms, uniform 16.6 to 13.2, powerlaw 5.7 to
 * 4.8; AVX2 on Zen 3: banded 18.0 to 14.3, stencil 23.3 to 18.3, nothing where the product waits for scattered elements
 * of x or y.  In cache it would cost 10 %. */
SC_INLINE void FN(ask_entries)(const VAL *val, const IDX *col, const int n, const int bytes)
{
    const char *v = (const char *)val + bytes, *c = (const char *)col + bytes / sizeof(VAL) * sizeof(IDX);
    for (int b = 0; b < n * (int)sizeof(VAL); b += 64) __builtin_prefetch(v + b);
    for (int b = 0; b < n * (int)sizeof(IDX); b += 64) __builtin_prefetch(c + b);
}
SC_INLINE int FN(beyond_caches)(const sc_csr *A)
{
    return A->nnz * (int64_t)(sizeof(VAL) + sizeof(IDX)) > SC_BEYOND_CACHE;
}
#else
#define SC_VECTORS 0
#endif

#if SC_VECTORS && SC_LEVEL >= 512
/* y[r] = sum over p of data[p] * x[indices[p]] for r0 <= r < r1, by two vectors of sums.  The last entries of a row are
 * a part of a vector, so that no loop's end is mispredicted, but where most rows have less than one: a gather takes as
 * long for few (wing_adj, 4 entries a row, two threads: 0.31 ms, 0.16 one by one).  Gathers that far ahead of each
 * other need no prefetching of x. */
static int FN(spmv)(const sc_csr *A, int64_t r0, int64_t r1, const void *x_, void *y_, int64_t ahead)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *x = x_;
    ACC *y = y_;
    const uint64_t last = (uint64_t)A->cols - 1;
    const SC_PASTE(part, ACC) all = (SC_PASTE(part, ACC))-1;
    const int64_t few = A->nnz < A->rows * (SC_SHORT / 2) ? WIDTH : 0;      /* rows of fewer entries: one by one */
    const int stream = FN(beyond_caches)(A);
    unsigned outside = 0;
    int64_t p = ptr[r0];
    (void)ahead;
    if (p < 0) return SC_BAD_INDPTR;
    if (A->cols == 0 && A->nnz > 0) return SC_BAD_INDEX;     /* there is no last column */
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (end < p || end > A->nnz) return SC_BAD_INDPTR;
        if (end - p < few) {
            ACC sum = 0;
            if (stream) FN(ask_entries)(val + p, col + p, 1, SC_AHEAD);
            for (; p < end; p++) {
                if (COL(p) > last) return SC_BAD_INDEX;
                sum += val[p] * x[COL(p)];
            }
            y[r] = sum;
            continue;
        }
        LANES s = {0}, t = {0};
        for (; p + 2 * WIDTH <= end; p += 2 * WIDTH) {
            if (stream) FN(ask_entries)(val + p, col + p, 2 * WIDTH, SC_AHEAD);
            s += SC_PASTE(load, ACC)(val + p) * PICK(col + p, all, last, x, &outside);
            t += SC_PASTE(load, ACC)(val + p + WIDTH) * PICK(col + p + WIDTH, all, last, x, &outside);
        }
        if (stream && p < end) FN(ask_entries)(val + p, col + p, 2 * WIDTH, SC_AHEAD);
        if (p + WIDTH <= end) {
            s += SC_PASTE(load, ACC)(val + p) * PICK(col + p, all, last, x, &outside);
            p += WIDTH;
        }
        if (p < end) {
            SC_PASTE(part, ACC) m = SC_PASTE(first, ACC)(end - p);
            t += SC_PASTE(load_part, ACC)(val + p, m) * PICK(col + p, m, last, x, &outside);
            p = end;
        }
        y[r] = SC_PASTE(total, ACC)(s + t);
    }
    return outside ? SC_BAD_INDEX : SC_OK;
}
#else
#if SC_VECTORS

/* data[p : p + WIDTH] * x[col[p : p + WIDTH]].  Elements of x are loaded one by one, which is faster than a gather
 * instruction on Zen 3 (pruned matrix in cache, one thread: 0.49 ms against 0.81). */
SC_INLINE LANES FN(products)(const VAL *val, const IDX *col, const ACC *x)
{
#if VBITS == 32
    LANES v = {x[COL(0)], x[COL(1)], x[COL(2)], x[COL(3)], x[COL(4)], x[COL(5)], x[COL(6)], x[COL(7)]};
#else
    LANES v = {x[COL(0)], x[COL(1)], x[COL(2)], x[COL(3)]};
#endif
    return SC_PASTE(load, ACC)(val) * v;
}

/* The sum of a row p..end of at least SC_SHORT entries; the columns of eight entries are checked at once.  The last
 * few are taken together with their successors in the next rows, whose products are masked out. */
SC_INLINE int FN(long_row)(const VAL *val, const IDX *col, int64_t p, int64_t end, int64_t nnz, uint64_t cols,
                           const ACC *x, ACC *y, int stream)
{
    LANES s = {0}, t = {0};
    for (; p + 8 <= end; p += 8) {
        if (stream) FN(ask_entries)(val + p, col + p, 8, SC_AHEAD);
        if (SC_PASTE(outside8, IDX)(col + p, 0, cols)) return SC_BAD_INDEX;
        s += FN(products)(val + p, col + p, x);
#if VBITS == 64
        t += FN(products)(val + p + 4, col + p + 4, x);
#else
        if (p + 16 > end) { p += 8; break; }
        if (SC_PASTE(outside8, IDX)(col + p + 8, 0, cols)) return SC_BAD_INDEX;
        t += FN(products)(val + p + 8, col + p + 8, x);
        p += 8;
#endif
    }
    ACC rest = 0;
    if (p < end && p + 8 <= nnz) {
        if (SC_PASTE(outside8, IDX)(col + p, 0, cols)) return SC_BAD_INDEX;
        for (; p < end; p += WIDTH) {
            LANES v = FN(products)(val + p, col + p, x);
            s += (LANES)((__m256i)v & SC_PASTE(first, ACC)(end - p));
        }
    }
    for (; p < end; p++) {
        uint64_t i = COL(p);
        if (i >= cols) return SC_BAD_INDEX;
        rest += val[p] * x[i];
    }
    *y = SC_PASTE(total, ACC)(s + t) + rest;
    return SC_OK;
}
#endif

/* y[r] = sum over p of data[p] * x[indices[p]] for r0 <= r < r1, rows of 16 entries and more by vectors or in
 * four sums, entry p of a row in sum p mod 4 */
SC_INLINE int FN(spmv_rows)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *x, ACC *y, int64_t ahead, const int far)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)A->cols;
    int64_t p = ptr[r0];
    if (p < 0) return SC_BAD_INDPTR;
#if SC_VECTORS
    const int stream = !far && FN(beyond_caches)(A);
#endif
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (end < p || end > A->nnz) return SC_BAD_INDPTR;
#if SC_VECTORS
        if (stream && end - p < SC_SHORT) FN(ask_entries)(val + p, col + p, SC_SHORT, SC_AHEAD);
        if (!far && end - p >= SC_SHORT) {
            int found = cols ? FN(long_row)(val, col, p, end, A->nnz, cols, x, y + r, stream) : SC_BAD_INDEX;
            if (found != SC_OK) return found;
            p = end;
            continue;
        }
#endif
        ACC a = 0, b = 0, c = 0, d = 0;
        if (end - p < SC_SHORT) {       /* one loop, whose end is mispredicted once */
            for (; p < end; p++) {
                if (far) prefetch_far(x, COL(SC_MIN(p + ahead, top)) * sizeof(ACC));
                uint64_t i = COL(p);
                if (i >= cols) return SC_BAD_INDEX;
                a += LOAD(val[p]) * x[i];
            }
            y[r] = a;
            continue;
        }
        for (; p + 4 <= end; p += 4) {
            if (far) {
                int64_t q = SC_MIN(p + ahead, top - 3);
                for (int i = 0; i < 4; i++) prefetch_far(x, COL(q + i) * sizeof(ACC));
            }
            uint64_t i = COL(p), j = COL(p + 1), k = COL(p + 2), l = COL(p + 3);
            if (i >= cols || j >= cols || k >= cols || l >= cols) return SC_BAD_INDEX;
            a += LOAD(val[p]) * x[i];
            b += LOAD(val[p + 1]) * x[j];
            c += LOAD(val[p + 2]) * x[k];
            d += LOAD(val[p + 3]) * x[l];
        }
        for (; p < end; p++) {
            if (far) prefetch_far(x, COL(SC_MIN(p + ahead, top)) * sizeof(ACC));
            uint64_t i = COL(p);
            if (i >= cols) return SC_BAD_INDEX;
            a += LOAD(val[p]) * x[i];
        }
        y[r] = (a + b) + (c + d);
    }
    return SC_OK;
}

static int FN(spmv)(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t ahead)
{
    return ahead ? FN(spmv_rows)(A, r0, r1, x, y, ahead, 1) : FN(spmv_rows)(A, r0, r1, x, y, 0, 0);
}
#endif

/* y[indices[p]] += data[p] * x[r] for every entry p of rows r0 <= r < r1 */
SC_INLINE int FN(spmv_t_rows)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *x, ACC *y, int64_t low,
                              int64_t ahead, const int far)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)(A->cols - low);
    int64_t p = ptr[r0];
    if (p < 0) return SC_BAD_INDPTR;
#if SC_VECTORS
    const int stream = !far && FN(beyond_caches)(A);
#endif
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (end < p || end > A->nnz) return SC_BAD_INDPTR;
        ACC a = x[r];
#if SC_VECTORS
        /* Eight columns are checked at once, then added to one after the other: a row may have duplicates. */
        for (; !far && p + 8 <= end; p += 8) {
            if (stream) FN(ask_entries)(val + p, col + p, 8, SC_AHEAD_T);
            if (cols == 0 || SC_PASTE(outside8, IDX)(col + p, low, cols)) return SC_BAD_INDEX;
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) y[COL(p + i)] += val[p + i] * a;
        }
        if (stream && p < end) FN(ask_entries)(val + p, col + p, 8, SC_AHEAD_T);
#endif
        for (; p < end; p++) {
            if (far) prefetch_far(y, COL(SC_MIN(p + ahead, top)) * sizeof(ACC));
            uint64_t i = COL(p);
            if (i - (uint64_t)low >= cols) return SC_BAD_INDEX;
            y[i] += LOAD(val[p]) * a;
        }
    }
    return SC_OK;
}

static int FN(spmv_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t low,
                      int64_t ahead)
{
    /* With AVX-512, whose processors have more reads under way at once, asking for y only takes time (uniform, two
     * threads: 21.4 ms with, 15.4 without; Zen 3: 39 and 92). */
    const int far = ahead && !(SC_VECTORS && SC_LEVEL >= 512);
    return far ? FN(spmv_t_rows)(A, r0, r1, x, y, low, ahead, 1) : FN(spmv_t_rows)(A, r0, r1, x, y, low, 0, 0);
}

/* y[col[i]] += val[i] * x[row[i]] for i < n; y may be larger than the L2 cache. */
static void FN(add_entries)(const int32_t *row, const void *col_, const void *val_, int64_t n, const void *x_, void *y_)
{
    enum { AHEAD = 32 };
    const IDX *col = col_;
    const VAL *val = val_;
    const ACC *x = x_;
    ACC *y = y_;
    int64_t i = 0;
    for (; i + AHEAD < n; i++) {
        __builtin_prefetch(y + col[i + AHEAD], 1);
        y[col[i]] += LOAD(val[i]) * x[row[i]];
    }
    for (; i < n; i++) y[col[i]] += LOAD(val[i]) * x[row[i]];
}

#if SC_VECTORS
#undef LANES
#undef WIDTH
#endif
#undef SC_VECTORS
#undef COL
#undef PICK
#undef SC_SHORT
#undef SC_AHEAD
#undef SC_AHEAD_T
#undef SC_BEYOND_CACHE
