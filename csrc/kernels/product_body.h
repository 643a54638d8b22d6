/* y[r] = sum over p of data[p] * x[indices[p]] for r0 <= r < r1 */
static void FN(spmv)(const sc_csr *A, int64_t r0, int64_t r1, const void *x_, void *y_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *x = x_;
    ACC *y = y_;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        ACC a = 0, b = 0, c = 0, d = 0;
        for (; p + 4 <= end; p += 4) {
            a += LOAD(val[p]) * x[col[p]];
            b += LOAD(val[p + 1]) * x[col[p + 1]];
            c += LOAD(val[p + 2]) * x[col[p + 2]];
            d += LOAD(val[p + 3]) * x[col[p + 3]];
        }
        for (; p < end; p++) a += LOAD(val[p]) * x[col[p]];
        y[r] = (a + b) + (c + d);
    }
}

/* y[indices[p]] += data[p] * x[r] for every entry p of rows r0 <= r < r1 */
static void FN(spmv_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *x_, void *y_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *x = x_;
    ACC *y = y_;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) y[col[p]] += LOAD(val[p]) * x[r];
}

/* C[r, :n] = sum over p of data[p] * X[indices[p], :n] for r0 <= r < r1 */
static void FN(spmm)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_, int64_t ldc,
                     int64_t n)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *X = X_;
    ACC *C = C_;
    for (int64_t r = r0; r < r1; r++) {
        ACC *restrict c = C + r * ldc;
        for (int64_t j = 0; j < n; j++) c[j] = 0;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            const ACC *restrict x = X + col[p] * ldx;
            ACC a = LOAD(val[p]);
            for (int64_t j = 0; j < n; j++) c[j] += a * x[j];
        }
    }
}

/* C[indices[p], :n] += data[p] * X[r, :n] for every entry p of rows r0 <= r < r1 */
static void FN(spmm_t)(const sc_csr *A, int64_t r0, int64_t r1, const void *X_, int64_t ldx, void *C_, int64_t ldc,
                       int64_t n)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *X = X_;
    ACC *C = C_;
    for (int64_t r = r0; r < r1; r++) {
        const ACC *restrict x = X + r * ldx;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            ACC *restrict c = C + col[p] * ldc;
            ACC a = LOAD(val[p]);
            for (int64_t j = 0; j < n; j++) c[j] += a * x[j];
        }
    }
}
