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

/* How many of n columns agree, from the first on? */
static inline int64_t FN(agreeing)(const IDX *a, const IDX *b, int64_t n)
{
    int64_t k = 0;
#if SC_LEVEL >= 2
    enum { LANES = 32 / sizeof(IDX) };
    for (; k + LANES <= n; k += LANES) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(a + k)), y = _mm256_loadu_si256((const __m256i *)(b + k));
        unsigned same = (unsigned)_mm256_movemask_epi8(sizeof(IDX) == 4 ? _mm256_cmpeq_epi32(x, y)
                                                                        : _mm256_cmpeq_epi64(x, y));
        if (~same) return k + (int64_t)(__builtin_ctz(~same) / sizeof(IDX));
    }
#endif
    while (k < n && a[k] == b[k]) k++;
    return k;
}

/* Asks for the lines of n entries: those of the next part, while this one is computed (its checks then find them in L2, and
 * memory does not rest meanwhile). */
static inline void FN(ask)(const IDX *col, const VAL *val, int64_t n)
{
    for (int64_t k = 0; k < n; k += 8) {
        __builtin_prefetch(col + k);
        __builtin_prefetch(val + k);
    }
}

/* The end of the rows from r on whose columns are the same in both.  *level: up to where rows are known to be equally
 * long; a stretch of them is compared as one row, since short rows are dear one by one. */
static inline int64_t FN(alike)(const PTR *pa, const PTR *pb, const IDX *ca, const IDX *cb, int64_t r, int64_t r1,
                                int64_t *level)
{
    int64_t i = pa[r], j = pb[r];
    if (r >= *level)
        for (*level = r; *level < r1 && pb[*level + 1] - pa[*level + 1] == j - i && pa[*level] - i < 512; ++*level);
    int64_t same = i + FN(agreeing)(ca + i, cb + j, pa[*level] - i);
    while (r < *level && pa[r + 1] <= same) r++;
    return r;
}

/* n entries without their zeros, to a place that may be the same or before; returns how many are left */
static inline int64_t FN(squeeze)(const IDX *from_col, const VAL *from_val, int64_t n, IDX *col, VAL *val)
{
    int64_t w = 0;
    for (int64_t k = 0; k < n; k++) {
        VAL v = from_val[k];
        col[w] = from_col[k];
        val[w] = v;
        w += LOAD(v) != 0;
    }
    return w;
}

static inline int FN(any_zero)(const VAL *val, int64_t n)
{
    int zeros = 0;
    for (int64_t k = 0; k < n; k++) zeros |= LOAD(val[k]) == 0;
    return zeros;
}

/* Rows r0 <= r < r1, of the lengths that ptr gives, have been written from col and val on: takes their zeros out. */
static inline int64_t FN(settle)(const PTR *ptr, int64_t r0, int64_t r1, PTR *length, IDX *col, VAL *val)
{
    int64_t n = ptr[r1] - ptr[r0], w = 0;
    if (!FN(any_zero)(val, n)) {
        for (int64_t r = r0; r < r1; r++) length[r - r0] = ptr[r + 1] - ptr[r];
        return n;
    }
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r] - ptr[r0];
        int64_t left = FN(squeeze)(col + p, val + p, ptr[r + 1] - ptr[r], col + w, val + w);
        length[r - r0] = (PTR)left;
        w += left;
    }
    return w;
}

/* n entries times f */
static inline int64_t FN(copy)(const IDX *from_col, const VAL *from_val, int64_t n, ACC f, int one, IDX *restrict col,
                               VAL *restrict val)
{
    for (int64_t k = 0; k < n; k++) col[k] = from_col[k];
    if (one)
        for (int64_t k = 0; k < n; k++) val[k] = from_val[k];
    else
        for (int64_t k = 0; k < n; k++) val[k] = STORE(FN(times)(f, LOAD(from_val[k])));
    return FN(any_zero)(val, n) ? FN(squeeze)(col, val, n, col, val) : n;
}

/* alpha A + beta B for rows r0 <= r < r1, one after the other; zeros are dropped.  By the relation of two rows:
 * alike, one before the other, or mixed, which are merged without branches on their columns. */
static int64_t FN(add)(const sc_csr *A, const sc_csr *B, const void *alpha_, const void *beta_, int64_t r0, int64_t r1,
                       void *length_, void *out_col, void *out_val)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    ACC alpha = *(const ACC *)alpha_, beta = *(const ACC *)beta_;
    int plain = alpha == 1 && beta == 1, one_a = alpha == 1, one_b = beta == 1;
    PTR *length = length_;
    IDX *col = out_col;
    VAL *val = out_val;
    int64_t w = 0, level = r0, na = pa[r1] - pa[r0], nb = pb[r1] - pb[r0];
    for (int64_t r = r0; r < r1; r++) {
        int64_t i = pa[r], j = pb[r], begin = w, next = FN(alike)(pa, pb, ca, cb, r, r1, &level), n = pa[next] - i;
        FN(ask)(ca + i + na, va + i + na, pa[SC_MAX(next, r + 1)] - i);
        FN(ask)(cb + j + nb, vb + j + nb, pb[SC_MAX(next, r + 1)] - j);
        if (next > r) {
            IDX *restrict c = col + w;
            VAL *restrict v = val + w;
            for (int64_t k = 0; k < n; k++) c[k] = ca[i + k];
            if (plain)
                for (int64_t k = 0; k < n; k++) v[k] = STORE(LOAD(va[i + k]) + LOAD(vb[j + k]));
            else
                for (int64_t k = 0; k < n; k++)
                    v[k] = STORE(FN(times)(alpha, LOAD(va[i + k])) + FN(times)(beta, LOAD(vb[j + k])));
            w += FN(settle)(pa, r, next, length + r - r0, c, v);
            r = next - 1;
            continue;
        }
        int64_t ie = pa[r + 1], je = pb[r + 1];
        if (i == ie || j == je || ca[ie - 1] < cb[j] || cb[je - 1] < ca[i]) {
            int b_first = j < je && (i == ie || cb[j] < ca[i]);
            if (b_first) w += FN(copy)(cb + j, vb + j, je - j, beta, one_b, col + w, val + w);
            w += FN(copy)(ca + i, va + i, ie - i, alpha, one_a, col + w, val + w);
            if (!b_first) w += FN(copy)(cb + j, vb + j, je - j, beta, one_b, col + w, val + w);
        } else {
            while (i < ie && j < je) {
                IDX a = ca[i], b = cb[j];
                ACC x[2] = {0, plain ? LOAD(va[i]) : FN(times)(alpha, LOAD(va[i]))};
                ACC y[2] = {0, plain ? LOAD(vb[j]) : FN(times)(beta, LOAD(vb[j]))};
                int from_a = a <= b, from_b = b <= a;
                col[w] = SC_MIN(a, b);
                val[w] = STORE(x[from_a] + y[from_b]);
                w += LOAD(val[w]) != 0;
                i += from_a;
                j += from_b;
            }
            w += FN(copy)(ca + i, va + i, ie - i, alpha, one_a, col + w, val + w);
            w += FN(copy)(cb + j, vb + j, je - j, beta, one_b, col + w, val + w);
        }
        length[r - r0] = (PTR)(w - begin);
    }
    return w;
}

/* Are n values finite?  x * 0 is NaN where x is not.  (One sum would wait for itself at every value: half the time of a
 * product by elements.) */
static int FN(finite)(const VAL *val, int64_t n)
{
    ACC lane[16] = {0}, s = 0;
    int64_t p = 0;
    for (; p + 16 <= n; p += 16)
        for (int k = 0; k < 16; k++) lane[k] += LOAD(val[p + k]) * 0;
    for (int k = 0; k < 16; k++) s += lane[k];
    for (; p < n; p++) s += LOAD(val[p]) * 0;
    return s == s;
}

/* A * B by elements for rows r0 <= r < r1; zeros are dropped.  What is not finite makes NaN of a missing partner. */
static int64_t FN(multiply)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, void *length_, void *out_col,
                            void *out_val)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    PTR *length = length_;
    IDX *col = out_col;
    VAL *val = out_val;
    int64_t w = 0, level = r0, na = pa[r1] - pa[r0], nb = pb[r1] - pb[r0];
    int alone = !FN(finite)(va + pa[r0], pa[r1] - pa[r0]) || !FN(finite)(vb + pb[r0], pb[r1] - pb[r0]);
    for (int64_t r = r0; r < r1; r++) {
        /* GCC fuses vectors of complex products even with contraction off: those go one by one. */
        int64_t i = pa[r], j = pb[r], begin = w, next = VREAL ? FN(alike)(pa, pb, ca, cb, r, r1, &level) : r;
        FN(ask)(ca + i + na, va + i + na, pa[SC_MAX(next, r + 1)] - i);
        FN(ask)(cb + j + nb, vb + j + nb, pb[SC_MAX(next, r + 1)] - j);
        if (next > r) {
            IDX *restrict c = col + w;
            VAL *restrict v = val + w;
            int64_t n = pa[next] - i;
            for (int64_t k = 0; k < n; k++) c[k] = ca[i + k];
            for (int64_t k = 0; k < n; k++) v[k] = STORE(LOAD(va[i + k]) * LOAD(vb[j + k]));
            w += FN(settle)(pa, r, next, length + r - r0, c, v);
            r = next - 1;
            continue;
        }
        int64_t ie = pa[r + 1], je = pb[r + 1];
        if (!alone) {
            if (i < ie && j < je && (ca[ie - 1] < cb[j] || cb[je - 1] < ca[i])) i = ie;
            while (i < ie && j < je) {
                IDX a = ca[i], b = cb[j];
                col[w] = a;
                val[w] = STORE(LOAD(va[i]) * LOAD(vb[j]));
                w += (a == b) & (LOAD(val[w]) != 0);
                i += a <= b;
                j += b <= a;
            }
        }
        while (alone && i < ie && j < je) {
            IDX a = ca[i], b = cb[j];
            VAL v = STORE((a <= b ? LOAD(va[i]) : 0) * (b <= a ? LOAD(vb[j]) : 0));
            if (LOAD(v) != 0) {
                col[w] = SC_MIN(a, b);
                val[w++] = v;
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
        length[r - r0] = (PTR)(w - begin);
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
