/* Both products read the matrix once, in order; the time goes into the reads of x (or y) between.  `ahead` is how many
 * entries before their use the lines of x or y are asked for; 0 where they are near at hand (sc_scattered decides). */

/* Bytes by which values and indices are asked for before their use: the hardware's own reading ahead begins anew at
 * every page and falls behind two streams. */
#ifndef SC_STREAM_AHEAD
#define SC_STREAM_AHEAD 1024
#endif

/* y[r] = sum over p of data[p] * x[indices[p]] for r0 <= r < r1, in four sums, entry p of a row in sum p mod 4 */
SC_INLINE void FN(spmv_rows)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *x, ACC *y, int64_t ahead, const int far)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    int64_t top = A->nnz - 1;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        ACC a = 0, b = 0, c = 0, d = 0;
        for (; p + 8 <= end; p += 8) {
            if (far) {
                int64_t q = SC_MIN(p + ahead, top - 7);
                for (int i = 0; i < 8; i++) prefetch_far(x, (uint64_t)col[q + i] * sizeof(ACC));
            } else {
                __builtin_prefetch((const char *)(val + p) + SC_STREAM_AHEAD, 0, 3);
                __builtin_prefetch((const char *)(col + p) + SC_STREAM_AHEAD * sizeof(IDX) / sizeof(VAL), 0, 3);
            }
            a += LOAD(val[p]) * x[col[p]];
            b += LOAD(val[p + 1]) * x[col[p + 1]];
            c += LOAD(val[p + 2]) * x[col[p + 2]];
            d += LOAD(val[p + 3]) * x[col[p + 3]];
            a += LOAD(val[p + 4]) * x[col[p + 4]];
            b += LOAD(val[p + 5]) * x[col[p + 5]];
            c += LOAD(val[p + 6]) * x[col[p + 6]];
            d += LOAD(val[p + 7]) * x[col[p + 7]];
        }
        if (p + 4 <= end) {
            if (far) {
                int64_t q = SC_MIN(p + ahead, top - 3);
                for (int i = 0; i < 4; i++) prefetch_far(x, (uint64_t)col[q + i] * sizeof(ACC));
            }
            a += LOAD(val[p]) * x[col[p]];
            b += LOAD(val[p + 1]) * x[col[p + 1]];
            c += LOAD(val[p + 2]) * x[col[p + 2]];
            d += LOAD(val[p + 3]) * x[col[p + 3]];
            p += 4;
        }
        for (; p < end; p++) {
            if (far) prefetch_far(x, (uint64_t)col[SC_MIN(p + ahead, top)] * sizeof(ACC));
            a += LOAD(val[p]) * x[col[p]];
        }
        y[r] = (a + b) + (c + d);
    }
}

static void FN(spmv)(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t ahead)
{
    if (ahead) FN(spmv_rows)(A, r0, r1, x, y, ahead, 1);
    else FN(spmv_rows)(A, r0, r1, x, y, 0, 0);
}

/* y[indices[p]] += data[p] * x[r] for every entry p of rows r0 <= r < r1 */
SC_INLINE void FN(spmv_t_rows)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *x, ACC *y, int64_t ahead,
                               const int far)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    int64_t top = A->nnz - 1;
    for (int64_t r = r0; r < r1; r++) {
        ACC a = x[r];
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            if (far) prefetch_far(y, (uint64_t)col[SC_MIN(p + ahead, top)] * sizeof(ACC));
            y[col[p]] += LOAD(val[p]) * a;
        }
    }
}

static void FN(spmv_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t ahead)
{
    if (ahead) FN(spmv_t_rows)(A, r0, r1, x, y, ahead, 1);
    else FN(spmv_t_rows)(A, r0, r1, x, y, 0, 0);
}
