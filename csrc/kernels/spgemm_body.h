/* C[r0:r1, :] = A[r0:r1, :] @ B, each row by the way that suits it.  Sums run in the order of A's entries, from zero,
 * as SciPy's do: the same bits.  f is the number of products of a row, [lo, hi] the columns that they can fall in. */

/* One entry of A: its row of B, scaled. */
static int64_t SC_PASTE(spgemm_scaled, VNAME)(const sc_csr *B, int64_t k, VAL a, int32_t *col, VAL *val)
{
    const int64_t *Bp = B->indptr;
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    int64_t n = 0;
    for (int64_t q = Bp[k]; q < Bp[k + 1]; q++) {
        VAL v = 0 + a * Bv[q];
        col[n] = Bc[q];
        val[n] = v;
        n += v != 0;
    }
    return n;
}

/* acc[col - lo] += product, flag[col - lo] = 1; then what is flagged, in order, leaving both zero. */
static int64_t SC_PASTE(spgemm_dense, VNAME)(const sc_csr *A, const sc_csr *B, int64_t p0, int64_t p1, int64_t lo,
                                             int64_t hi, const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    const int64_t *Bp = B->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices;
    const VAL *Av = A->data, *Bv = B->data;
    VAL *acc = s->acc;
    uint8_t *flag = s->flag;
    for (int64_t p = p0; p < p1; p++) {
        VAL a = Av[p];
        for (int64_t q = Bp[Ac[p]], end = Bp[Ac[p] + 1]; q < end; q++) {
            int64_t j = Bc[q] - lo;
            acc[j] += a * Bv[q];
            flag[j] = 1;
        }
    }
    int64_t n = 0;
    for (int64_t w = 0; w <= hi - lo; w += 8) {
        uint64_t bits;
        memcpy(&bits, flag + w, 8);
        if (!bits) continue;
        memset(flag + w, 0, 8);
        for (; bits; bits &= bits - 1) {
            int64_t j = w + (__builtin_ctzll(bits) >> 3);
            VAL v = acc[j];
            acc[j] = 0;
            col[n] = (int32_t)(lo + j);
            val[n] = v;
            n += v != 0;
        }
    }
    return n;
}

/* Products with keys, sorted; runs of one column are summed in order. */
static int64_t SC_PASTE(spgemm_sorted, VNAME)(const sc_csr *A, const sc_csr *B, int64_t p0, int64_t p1,
                                              const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    const int64_t *Bp = B->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices;
    const VAL *Av = A->data, *Bv = B->data;
    VAL *product = s->product;
    int64_t t = 0;
    for (int64_t p = p0; p < p1; p++) {
        VAL a = Av[p];
        for (int64_t q = Bp[Ac[p]], end = Bp[Ac[p] + 1]; q < end; q++, t++) {
            product[t] = a * Bv[q];
            s->key[t] = (uint64_t)Bc[q] << 32 | (uint64_t)t;
        }
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

static int64_t SC_PASTE(spgemm, VNAME)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int canonical,
                                       const sc_spgemm_scratch *s, int32_t *col, void *val_, int64_t *count)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices;
    const VAL *Av = A->data;
    VAL *val = val_;
    int64_t total = 0;
    for (int64_t r = r0; r < r1; r++) {
        int64_t f = 0, lo = B->cols, hi = -1, n = 0;
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++) {
            int64_t q0 = Bp[Ac[p]], q1 = Bp[Ac[p] + 1];
            f += q1 - q0;
            if (q0 == q1 || !canonical) continue;
            lo = SC_MIN(lo, Bc[q0]);
            hi = SC_MAX(hi, Bc[q1 - 1]);
        }
        if (!canonical) { lo = 0; hi = B->cols - 1; }
        int64_t range = hi - lo + 1;
        if (f == 0)
            n = 0;
        else if (canonical && Ap[r + 1] - Ap[r] == 1)
            n = SC_PASTE(spgemm_scaled, VNAME)(B, Ac[Ap[r]], Av[Ap[r]], col + total, val + total);
        else if (range <= s->span && (range <= 16 * f || f > s->sort))
            n = SC_PASTE(spgemm_dense, VNAME)(A, B, Ap[r], Ap[r + 1], lo, hi, s, col + total, val + total);
        else
            n = SC_PASTE(spgemm_sorted, VNAME)(A, B, Ap[r], Ap[r + 1], s, col + total, val + total);
        count[r] = n;
        total += n;
    }
    return total;
}
