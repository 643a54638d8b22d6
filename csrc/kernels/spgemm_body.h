/* C[r0:r1, :] = A[r0:r1, :] @ B, each row by the way that suits it.  Sums run in the order of A's entries, from zero,
 * as SciPy's do: the same bits.  f is the number of products of a row, [lo, hi] the columns that they can fall in;
 * the i-th entry of a row of A meets B's entries segment[2 i] <= q < segment[2 i + 1]. */

/* One entry of A: its row of B, scaled. */
static int64_t SC_PASTE(spgemm_scaled, VNAME)(const sc_csr *B, int64_t q0, int64_t q1, VAL a, int32_t *col, VAL *val)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    int64_t n = 0;
    for (int64_t q = q0; q < q1; q++) {
        VAL v = 0 + a * Bv[q];
        col[n] = Bc[q];
        val[n] = v;
        n += v != 0;
    }
    return n;
}

/* acc[col - lo] += product, flag[col - lo] = 1; then what is flagged, in order, leaving both zero. */
static int64_t SC_PASTE(spgemm_dense, VNAME)(const VAL *a, const int64_t *segment, int64_t entries, const sc_csr *B,
                                             int64_t lo, int64_t hi, const sc_spgemm_scratch *s, int32_t *col,
                                             VAL *val)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    VAL *acc = (VAL *)s->acc - lo;
    uint8_t *flag = s->flag - lo;
    for (int64_t i = 0; i < entries; i++)
        for (int64_t q = segment[2 * i]; q < segment[2 * i + 1]; q++) {
            acc[Bc[q]] += a[i] * Bv[q];
            flag[Bc[q]] = 1;
        }
    int64_t n = 0;
    for (int64_t w = lo; w <= hi; w += 8) {
        uint64_t bits;
        memcpy(&bits, flag + w, 8);
        if (!bits) continue;
        memset(flag + w, 0, 8);
        for (; bits; bits &= bits - 1) {
            int64_t j = w + (__builtin_ctzll(bits) >> 3);
            VAL v = acc[j];
            acc[j] = 0;
            col[n] = (int32_t)j;
            val[n] = v;
            n += v != 0;
        }
    }
    return n;
}

/* Products with keys, sorted; runs of one column are summed in order. */
static int64_t SC_PASTE(spgemm_sorted, VNAME)(const VAL *a, const int64_t *segment, int64_t entries, const sc_csr *B,
                                              const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    VAL *product = s->product;
    int64_t t = 0;
    for (int64_t i = 0; i < entries; i++)
        for (int64_t q = segment[2 * i]; q < segment[2 * i + 1]; q++, t++) {
            product[t] = a[i] * Bv[q];
            s->key[t] = (uint64_t)Bc[q] << 32 | (uint64_t)t;
        }
    const uint64_t *key = merge_sort(s->key, s->spare, t);
    int64_t n = 0;
    for (int64_t i = 0; i < t;) {
        uint64_t c = key[i] >> 32;
        VAL sum = 0;
        for (; i < t && key[i] >> 32 == c; i++) sum += product[(uint32_t)key[i]];
        col[n] = (int32_t)c;
        val[n] = sum;
        n += sum != 0;
    }
    return n;
}

/* Row r of A @ B by the way that suits it. */
static int64_t SC_PASTE(spgemm_row, VNAME)(const sc_csr *A, const sc_csr *B, int64_t r, int flags,
                                           const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    const int64_t *Bp = B->indptr, p0 = ((const int64_t *)A->indptr)[r], p1 = ((const int64_t *)A->indptr)[r + 1];
    const int32_t *Ac = A->indices, *Bc = B->indices;
    const VAL *a = (const VAL *)A->data + p0;
    int64_t f = 0, lo = B->cols, hi = -1;
    for (int64_t p = p0; p < p1; p++) {
        int64_t q0 = Bp[Ac[p]], q1 = Bp[Ac[p] + 1];
        if (flags & SC_UPPER) q0 = first_at_least(Bc, q0, q1, r);
        s->segment[2 * (p - p0)] = q0;
        s->segment[2 * (p - p0) + 1] = q1;
        f += q1 - q0;
        if (q0 == q1 || !(flags & SC_CANONICAL)) continue;
        lo = SC_MIN(lo, Bc[q0]);
        hi = SC_MAX(hi, Bc[q1 - 1]);
    }
    if (!(flags & SC_CANONICAL)) { lo = 0; hi = B->cols - 1; }
    int64_t range = hi - lo + 1;
    if (f == 0) return 0;
    if ((flags & SC_CANONICAL) && p1 - p0 == 1)
        return SC_PASTE(spgemm_scaled, VNAME)(B, s->segment[0], s->segment[1], a[0], col, val);
    if (range <= s->span && (range <= 16 * f || f > s->sort))
        return SC_PASTE(spgemm_dense, VNAME)(a, s->segment, p1 - p0, B, lo, hi, s, col, val);
    return SC_PASTE(spgemm_sorted, VNAME)(a, s->segment, p1 - p0, B, s, col, val);
}

static int64_t SC_PASTE(spgemm, VNAME)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int flags,
                                       const sc_spgemm_scratch *s, int32_t *col, void *val, int64_t *count)
{
    int64_t total = 0;
    for (int64_t r = r0; r < r1; r++)
        total += count[r] = SC_PASTE(spgemm_row, VNAME)(A, B, r, flags, s, col + total, (VAL *)val + total);
    return total;
}

/* Every product of the row is added where it belongs, and only what M asks for is cleared before and read after: the
 * other sums are never looked at. */
static void SC_PASTE(masked, VNAME)(const sc_csr *A, const sc_csr *B, const sc_csr *M, int64_t r0, int64_t r1,
                                    void *acc_, void *out_)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr, *Mp = M->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices, *Mc = M->indices;
    const VAL *Av = A->data, *Bv = B->data;
    VAL *acc = acc_, *out = out_;
    for (int64_t r = r0; r < r1; r++) {
        if (Mp[r] == Mp[r + 1]) continue;
        for (int64_t p = Mp[r]; p < Mp[r + 1]; p++) acc[Mc[p]] = 0;
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++) {
            VAL a = Av[p];
            for (int64_t q = Bp[Ac[p]], end = Bp[Ac[p] + 1]; q < end; q++) acc[Bc[q]] += a * Bv[q];
        }
        for (int64_t p = Mp[r]; p < Mp[r + 1]; p++) out[p] = acc[Mc[p]];
    }
}

/* Sixteen partial sums whatever the instruction set: the same order of addition at every level. */
static void SC_PASTE(sddmm, VNAME)(const sc_csr *P, int64_t r0, int64_t r1, const void *X_, const void *Y_, int64_t n,
                                   int weights, void *out_)
{
    const int64_t *Pp = P->indptr;
    const int32_t *Pc = P->indices;
    const VAL *Pv = P->data, *X = X_, *Y = Y_;
    VAL *out = out_;
    for (int64_t r = r0; r < r1; r++) {
        const VAL *restrict x = X + r * n;
        for (int64_t p = Pp[r]; p < Pp[r + 1]; p++) {
            const VAL *restrict y = Y + Pc[p] * n;
            VAL part[16] = {0};
            int64_t j = 0;
            for (; j + 16 <= n; j += 16)
                for (int i = 0; i < 16; i++) part[i] += x[j + i] * y[j + i];
            for (int i = 0; j < n; i++, j++) part[i] += x[j] * y[j];
            for (int width = 8; width; width /= 2)
                for (int i = 0; i < width; i++) part[i] += part[i + width];
            out[p] = weights ? part[0] * Pv[p] : part[0];
        }
    }
}
