/* f * x; a real factor leaves the parts of x apart, so that infinity stays infinity */
static inline ACC FN(times)(ACC f, ACC x)
{
#if !VREAL
    if (__imag__ f == 0) {
        __real__ x *= __real__ f;
        __imag__ x *= __real__ f;
        return x;
    }
#endif
    return f * x;
}

/* alpha A + beta B for rows r0 <= r < r1, one after the other; zeros are dropped */
static int64_t FN(add)(const sc_csr *A, const sc_csr *B, const void *alpha_, const void *beta_, int64_t r0, int64_t r1,
                       int64_t *length, void *out_col, void *out_val)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    ACC alpha = *(const ACC *)alpha_, beta = *(const ACC *)beta_;
    IDX *col = out_col;
    VAL *val = out_val;
    int64_t w = 0;
    for (int64_t r = r0; r < r1; r++) {
        int64_t i = pa[r], ie = pa[r + 1], j = pb[r], je = pb[r + 1], begin = w;
        while (i < ie && j < je) {
            IDX a = ca[i], b = cb[j];
            ACC s = a < b   ? FN(times)(alpha, LOAD(va[i]))
                    : a > b ? FN(times)(beta, LOAD(vb[j]))
                            : FN(times)(alpha, LOAD(va[i])) + FN(times)(beta, LOAD(vb[j]));
            i += a <= b;
            j += b <= a;
            col[w] = SC_MIN(a, b);
            val[w] = STORE(s);
            w += LOAD(val[w]) != 0;
        }
        for (; i < ie; i++) {
            col[w] = ca[i];
            val[w] = STORE(FN(times)(alpha, LOAD(va[i])));
            w += LOAD(val[w]) != 0;
        }
        for (; j < je; j++) {
            col[w] = cb[j];
            val[w] = STORE(FN(times)(beta, LOAD(vb[j])));
            w += LOAD(val[w]) != 0;
        }
        length[r - r0] = w - begin;
    }
    return w;
}

/* Are n values finite?  x * 0 is NaN where x is not. */
static int FN(finite)(const VAL *val, int64_t n)
{
    ACC s = 0;
    for (int64_t p = 0; p < n; p++) s += LOAD(val[p]) * 0;
    return s == s;
}

/* A * B by elements for rows r0 <= r < r1; zeros are dropped.  What is not finite makes NaN of a missing partner. */
static int64_t FN(multiply)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int64_t *length, void *out_col,
                            void *out_val)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    IDX *col = out_col;
    VAL *val = out_val;
    int64_t w = 0;
    int alone = !FN(finite)(va + pa[r0], pa[r1] - pa[r0]) || !FN(finite)(vb + pb[r0], pb[r1] - pb[r0]);
    for (int64_t r = r0; r < r1; r++) {
        int64_t i = pa[r], ie = pa[r + 1], j = pb[r], je = pb[r + 1], begin = w;
        while (i < ie && j < je) {
            IDX a = ca[i], b = cb[j];
            if (a == b || alone) {
                VAL v = STORE((a <= b ? LOAD(va[i]) : 0) * (b <= a ? LOAD(vb[j]) : 0));
                if (LOAD(v) != 0) {
                    col[w] = SC_MIN(a, b);
                    val[w++] = v;
                }
            }
            i += a <= b;
            j += b <= a;
        }
        for (; alone && i < ie; i++)
            if (LOAD(va[i]) * 0 != 0) {
                col[w] = ca[i];
                val[w++] = STORE(LOAD(va[i]) * 0);
            }
        for (; alone && j < je; j++)
            if (LOAD(vb[j]) * 0 != 0) {
                col[w] = cb[j];
                val[w++] = STORE(LOAD(vb[j]) * 0);
            }
        length[r - r0] = w - begin;
    }
    return w;
}

/* out[p] = left[r] * data[p] * right[indices[p]] for the entries of rows r0 <= r < r1 */
static void FN(scale)(const sc_csr *A, int64_t r0, int64_t r1, const void *left_, const void *right_, void *out_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const ACC *left = left_, *right = right_;
    VAL *out = out_;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        if (left && right)
            for (; p < end; p++) out[p] = STORE(left[r] * LOAD(val[p]) * right[col[p]]);
        else if (left)
            for (; p < end; p++) out[p] = STORE(left[r] * LOAD(val[p]));
        else if (right)
            for (; p < end; p++) out[p] = STORE(LOAD(val[p]) * right[col[p]]);
        else
            for (; p < end; p++) out[p] = val[p];
    }
}

/* out[p] = data[p] * D[r, indices[p]] for the entries of rows r0 <= r < r1 */
static void FN(times_dense)(const sc_csr *A, int64_t r0, int64_t r1, const sc_dense *D, void *out_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    VAL *out = out_;
    for (int64_t r = r0; r < r1; r++) {
        const VAL *d = (const VAL *)D->data + r * D->row_stride;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++)
            out[p] = STORE(LOAD(val[p]) * LOAD(d[col[p] * D->col_stride]));
    }
}
