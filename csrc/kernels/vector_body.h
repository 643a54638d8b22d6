/* Both products read the matrix once, in order; the time goes into the reads of x (or y) between.  `ahead` is how many
 * entries before their use the lines of x or y are asked for; 0 where they are near at hand (sc_scattered decides).
 *
 * Unlike other kernels these check what they read as they go: a check of its own, however small the pieces, makes the
 * streams of indices and of values take turns (banded matrix: 15 GB/s instead of 24), a comparison in passing is free. */

#define SC_SHORT 16
#define COL(q) ((uint64_t)(UIDX)col[q])

/* y[r] = sum over p of data[p] * x[indices[p]] for r0 <= r < r1, rows of 16 entries and more in
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
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (end < p || end > A->nnz) return SC_BAD_INDPTR;
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

/* y[indices[p]] += data[p] * x[r] for every entry p of rows r0 <= r < r1 */
SC_INLINE int FN(spmv_t_rows)(const sc_csr *A, int64_t r0, int64_t r1, const ACC *x, ACC *y, int64_t ahead,
                              const int far)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const int64_t top = A->nnz - 1;
    const uint64_t cols = (uint64_t)A->cols;
    int64_t p = ptr[r0];
    if (p < 0) return SC_BAD_INDPTR;
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (end < p || end > A->nnz) return SC_BAD_INDPTR;
        ACC a = x[r];
        for (; p < end; p++) {
            if (far) prefetch_far(y, COL(SC_MIN(p + ahead, top)) * sizeof(ACC));
            uint64_t i = COL(p);
            if (i >= cols) return SC_BAD_INDEX;
            y[i] += LOAD(val[p]) * a;
        }
    }
    return SC_OK;
}

static int FN(spmv_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t ahead)
{
    return ahead ? FN(spmv_t_rows)(A, r0, r1, x, y, ahead, 1) : FN(spmv_t_rows)(A, r0, r1, x, y, 0, 0);
}

#undef COL
#undef SC_SHORT
