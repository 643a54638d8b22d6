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

/* What acc[lo : hi + 1] holds that is not zero, in order, leaving acc and flag zero.  Column c lies at c - base.
 * flag == NULL: look at every sum. */
static int64_t SC_PASTE(spgemm_collect, VNAME)(VAL *acc, uint8_t *flag, int64_t base, int64_t lo, int64_t hi,
                                               int32_t *col, VAL *val)
{
    int64_t n = 0, end = hi - base + 1;
#if SC_LEVEL >= 512 && VREAL
    const __m256i step = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    for (int64_t w = (lo - base) & ~(int64_t)63; w < end; w += 64) {
        uint64_t bits = ~(uint64_t)0;
        if (flag) {
            __m512i f = _mm512_load_si512(flag + w);
            bits = _mm512_test_epi8_mask(f, f);
            if (!bits) continue;
            _mm512_store_si512(flag + w, _mm512_setzero_si512());
        } else if (end - w < 64) {
            bits >>= 64 - (end - w);
        }
        for (int64_t j = w; bits; j += 8, bits >>= 8) {
            __mmask8 m = (__mmask8)bits;
            if (!m) continue;
#if VBITS == 64
            __m512d v = _mm512_load_pd(acc + j);
            _mm512_store_pd(acc + j, _mm512_setzero_pd());
            m = _mm512_mask_cmp_pd_mask(m, v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            _mm512_storeu_pd(val + n, _mm512_maskz_compress_pd(m, v));
#else
            __m256 v = _mm256_load_ps(acc + j);
            _mm256_store_ps(acc + j, _mm256_setzero_ps());
            m = _mm256_mask_cmp_ps_mask(m, v, _mm256_setzero_ps(), _CMP_NEQ_UQ);
            _mm256_storeu_ps(val + n, _mm256_maskz_compress_ps(m, v));
#endif
            __m256i c = _mm256_add_epi32(step, _mm256_set1_epi32((int32_t)(base + j)));
            _mm256_storeu_si256((__m256i *)(col + n), _mm256_maskz_compress_epi32(m, c));
            n += __builtin_popcount(m);
        }
    }
#else
    if (!flag) {
        for (int64_t j = lo - base; j < end; j++) {
            VAL v = acc[j];
            acc[j] = 0;
            col[n] = (int32_t)(base + j);
            val[n] = v;
            n += v != 0;
        }
        return n;
    }
#if SC_LEVEL >= 2
    for (int64_t w = (lo - base) & ~(int64_t)31; w < end; w += 32) {
        __m256i f = _mm256_load_si256((const __m256i *)(flag + w));
        unsigned bits = (unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(f, _mm256_setzero_si256()));
        if (!bits) continue;
        _mm256_store_si256((__m256i *)(flag + w), _mm256_setzero_si256());
        for (; bits; bits &= bits - 1) {
            int64_t j = w + __builtin_ctz(bits);
#else
    for (int64_t w = (lo - base) & ~(int64_t)7; w < end; w += 8) {
        uint64_t bits;
        memcpy(&bits, flag + w, 8);
        if (!bits) continue;
        memset(flag + w, 0, 8);
        for (; bits; bits &= bits - 1) {
            int64_t j = w + (__builtin_ctzll(bits) >> 3);
#endif
            VAL v = acc[j];
            acc[j] = 0;
            col[n] = (int32_t)(base + j);
            val[n] = v;
            n += v != 0;
        }
    }
#endif
    return n;
}

#if SC_LEVEL >= 512 && VREAL
/* The same where only the `top` largest above `floor` are wanted: most sums fall below a bar that rises (thin_body.h)
 * and are cleared without being written anywhere.  At most 4 top + 64 candidates come back. */
static int64_t SC_PASTE(spgemm_candidates, VNAME)(VAL *acc, uint8_t *flag, int64_t base, int64_t lo, int64_t hi,
                                                  const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    const __m256i step = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    int64_t n = 0, end = hi - base + 1, limit = 4 * s->top + 64;
    VAL bar = (VAL)s->floor;
    for (int64_t w = (lo - base) & ~(int64_t)63; w < end; w += 64) {
        uint64_t bits = ~(uint64_t)0;
        if (flag) {
            __m512i f = _mm512_load_si512(flag + w);
            if (!(bits = _mm512_test_epi8_mask(f, f))) continue;
            _mm512_store_si512(flag + w, _mm512_setzero_si512());
        } else if (end - w < 64) {
            bits >>= 64 - (end - w);
        }
        for (int64_t j = w; bits; j += 8, bits >>= 8) {
            __mmask8 m = (__mmask8)bits;
#if VBITS == 64
            __m512d v = _mm512_load_pd(acc + j);
            _mm512_store_pd(acc + j, _mm512_setzero_pd());
            m = _mm512_mask_cmp_pd_mask(m, v, _mm512_set1_pd(bar), _CMP_GT_OQ);
            if (!m) continue;
            m = _mm512_mask_cmp_pd_mask(m, v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            _mm512_storeu_pd(val + n, _mm512_maskz_compress_pd(m, v));
#else
            __m256 v = _mm256_load_ps(acc + j);
            _mm256_store_ps(acc + j, _mm256_setzero_ps());
            m = _mm256_mask_cmp_ps_mask(m, v, _mm256_set1_ps(bar), _CMP_GT_OQ);
            if (!m) continue;
            m = _mm256_mask_cmp_ps_mask(m, v, _mm256_setzero_ps(), _CMP_NEQ_UQ);
            _mm256_storeu_ps(val + n, _mm256_maskz_compress_ps(m, v));
#endif
            __m256i c = _mm256_add_epi32(step, _mm256_set1_epi32((int32_t)(base + j)));
            _mm256_storeu_si256((__m256i *)(col + n), _mm256_maskz_compress_epi32(m, c));
            n += __builtin_popcount(m);
            if (n >= limit) {
                bar = SC_PASTE(thin, VNAME)(col, val, n, s->top, s->pick);
                n = s->top;
            }
        }
    }
    return n;
}
#elif SC_LEVEL == 2 && VREAL
/* The same where only the `top` largest above `floor` are wanted and every sum is looked at: most fall below a bar that
 * rises (thin_body.h) and are cleared without being written anywhere.  At most 4 top + 64 candidates come back. */
static int64_t SC_PASTE(spgemm_candidates, VNAME)(VAL *acc, int64_t base, int64_t lo, int64_t hi,
                                                  const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    int64_t n = 0, end = hi - base + 1, limit = 4 * s->top + 64;
    VAL bar = (VAL)s->floor;
    for (int64_t j = lo - base; j < end; j += 32 / (int64_t)sizeof(VAL)) {      /* behind the end there are zeros */
        VAL sum[32 / sizeof(VAL)];
#if VBITS == 64
        __m256d v = _mm256_loadu_pd(acc + j);
        int m = _mm256_movemask_pd(_mm256_cmp_pd(v, _mm256_set1_pd(bar), _CMP_GT_OQ));
        _mm256_storeu_pd(acc + j, _mm256_setzero_pd());
        if (!m) continue;
        _mm256_storeu_pd(sum, v);
#else
        __m256 v = _mm256_loadu_ps(acc + j);
        int m = _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(bar), _CMP_GT_OQ));
        _mm256_storeu_ps(acc + j, _mm256_setzero_ps());
        if (!m) continue;
        _mm256_storeu_ps(sum, v);
#endif
        for (; m; m &= m - 1) {
            int k = __builtin_ctz((unsigned)m);
            col[n] = (int32_t)(base + j + k);
            val[n] = sum[k];
            n += sum[k] != 0;
        }
        if (n >= limit) {
            bar = SC_PASTE(thin, VNAME)(col, val, n, s->top, s->pick);
            n = s->top;
        }
    }
    return n;
}
#endif

/* acc[column - base] += x * B's entries q..end, flag[column - base] = 1 (NULL: not) */
static inline __attribute__((always_inline)) void SC_PASTE(spgemm_add, VNAME)(VAL x, const sc_csr *B, int64_t q,
                                                                              int64_t end, int canonical, int64_t base,
                                                                              VAL *acc, uint8_t *flag)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    /* Columns of a canonical row differ: four sums are read before the first is written. */
    for (; canonical && q + 4 <= end; q += 4) {
        int64_t j = Bc[q] - base, k = Bc[q + 1] - base, l = Bc[q + 2] - base, m = Bc[q + 3] - base;
        VAL vj = acc[j] + x * Bv[q], vk = acc[k] + x * Bv[q + 1], vl = acc[l] + x * Bv[q + 2],
            vm = acc[m] + x * Bv[q + 3];
        acc[j] = vj;
        acc[k] = vk;
        acc[l] = vl;
        acc[m] = vm;
        if (flag) flag[j] = flag[k] = flag[l] = flag[m] = 1;
    }
    for (; q < end; q++) {
        acc[Bc[q] - base] += x * Bv[q];
        if (flag) flag[Bc[q] - base] = 1;
    }
}

/* acc[column] += product, flag[column] = 1, then what was touched; where most columns are, without flags. */
static int64_t SC_PASTE(spgemm_dense, VNAME)(const VAL *a, int64_t *segment, int64_t entries, const sc_csr *B,
                                             int canonical, int64_t lo, int64_t hi, int64_t f,
                                             const sc_spgemm_scratch *s, int32_t *col, VAL *val)
{
    enum { TILE = (1 << 14) / sizeof(VAL) };
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    const int64_t base = s->span >= B->cols ? 0 : lo;
    VAL *acc = s->acc;
    uint8_t *flag = s->flag;
    if (f >= 2 * (hi - lo + 1)) flag = 0;
    if (canonical && !flag && base == 0 && f / entries > LONG * ((hi - lo) / TILE + 1)) {
        /* Long rows of B: as many columns at a time as their sums stay in the first cache. */
        for (int64_t c = lo; c <= hi; c += TILE)
            for (int64_t i = 0; i < entries; i++) {
                int64_t q = segment[2 * i], end = segment[2 * i + 1], some = q;
                for (int more = 1; more && some < end; q = some) {    /* 64 entries at a time, up to column c + TILE */
                    some = SC_MIN(q + 64, end);
                    more = Bc[some - 1] < c + TILE;
                    if (!more) some = first_at_least(Bc, q, some, c + TILE);
                    SC_PASTE(spgemm_add, VNAME)(a[i], B, q, some, 1, 0, acc, NULL);
                }
                segment[2 * i] = some;
            }
    } else {
        for (int64_t i = 0; i < entries; i++) {
            int64_t q = segment[2 * i], end = segment[2 * i + 1], next = segment[2 * SC_MIN(i + 1, entries - 1)];
            /* The beginning of the next row of B comes from the outer caches meanwhile: rows lie anywhere, which the
             * processor cannot foresee. */
            int64_t n = SC_MIN(end - q, 64);
            for (int64_t k = 0; k < n; k += 16) __builtin_prefetch(Bc + next + k);
            for (int64_t k = 0; k < n; k += 64 / (int64_t)sizeof(VAL)) __builtin_prefetch(Bv + next + k);
            SC_PASTE(spgemm_add, VNAME)(a[i], B, q, end, canonical, base, acc, flag);
        }
    }
#if SC_LEVEL >= 512 && VREAL
    if (s->top < INT64_MAX) return SC_PASTE(spgemm_candidates, VNAME)(acc, flag, base, lo, hi, s, col, val);
#elif SC_LEVEL == 2 && VREAL
    if (s->top < INT64_MAX && !flag) return SC_PASTE(spgemm_candidates, VNAME)(acc, base, lo, hi, s, col, val);
#endif
    return SC_PASTE(spgemm_collect, VNAME)(acc, flag, base, lo, hi, col, val);
}

#if SC_LEVEL >= 2 && VREAL
/* Takes out the exact zeros of a finished row. */
static int64_t SC_PASTE(spgemm_drop, VNAME)(int32_t *col, VAL *val, int64_t n)
{
    int64_t zeros = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) zeros += val[i] == 0;
    if (!zeros) return n;
    for (int64_t i = 0; i < n; i++) {
        col[kept] = col[i];
        val[kept] = val[i];
        kept += val[i] != 0;
    }
    return kept;
}

/* Products with keys of 32 bits, (column - lo) << bits | number with f < 2^bits, sorted by the network. */
static int64_t SC_PASTE(spgemm_network, VNAME)(const VAL *a, const int64_t *segment, int64_t entries, const sc_csr *B,
                                               int64_t lo, int bits, const sc_spgemm_scratch *s, int32_t *col,
                                               VAL *val)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    VAL *product = s->product;
    uint32_t *key = (uint32_t *)s->key + 16;      /* room for a key before the first */
    int64_t t = 0;
#if SC_LEVEL >= 512
    const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i low = _mm512_set1_epi32((int32_t)lo);
    const __m128i shift = _mm_cvtsi32_si128(bits);
    for (int64_t i = 0; i < entries; i++)
        for (int64_t q = segment[2 * i], left = segment[2 * i + 1] - q; left > 0; q += 16, left -= 16) {
            __mmask16 m = left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1);
            __m512i c = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(m, Bc + q), low);
            c = _mm512_or_si512(_mm512_sll_epi32(c, shift), _mm512_add_epi32(iota, _mm512_set1_epi32((int32_t)t)));
            _mm512_storeu_si512(key + t, c);
#if VBITS == 64
            const __m512d x = _mm512_set1_pd(a[i]);
            _mm512_storeu_pd(product + t, _mm512_mul_pd(x, _mm512_maskz_loadu_pd((__mmask8)m, Bv + q)));
            if (left > 8)
                _mm512_storeu_pd(product + t + 8,
                                 _mm512_mul_pd(x, _mm512_maskz_loadu_pd((__mmask8)(m >> 8), Bv + q + 8)));
#else
            _mm512_storeu_ps(product + t, _mm512_mul_ps(_mm512_set1_ps(a[i]), _mm512_maskz_loadu_ps(m, Bv + q)));
#endif
            t += SC_MIN(left, 16);
        }
#else
    static const int32_t some[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i iota = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), low = _mm256_set1_epi32((int32_t)lo);
    const __m128i shift = _mm_cvtsi32_si128(bits);
    for (int64_t i = 0; i < entries; i++)
        for (int64_t q = segment[2 * i], left = segment[2 * i + 1] - q; left > 0; q += 8, left -= 8) {
            __m256i m = _mm256_loadu_si256((const __m256i *)(some + 8 - SC_MIN(left, 8)));
            __m256i c = _mm256_sub_epi32(_mm256_maskload_epi32(Bc + q, m), low);
            c = _mm256_or_si256(_mm256_sll_epi32(c, shift), _mm256_add_epi32(iota, _mm256_set1_epi32((int32_t)t)));
            _mm256_storeu_si256((__m256i *)(key + t), c);
#if VBITS == 64
            const __m256d x = _mm256_set1_pd(a[i]);
            __m256i m0 = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(m)),
                    m1 = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(m, 1));
            _mm256_storeu_pd(product + t, _mm256_mul_pd(x, _mm256_maskload_pd(Bv + q, m0)));
            _mm256_storeu_pd(product + t + 4, _mm256_mul_pd(x, _mm256_maskload_pd(Bv + q + 4, m1)));
#else
            _mm256_storeu_ps(product + t, _mm256_mul_ps(_mm256_set1_ps(a[i]), _mm256_maskload_ps(Bv + q, m)));
#endif
            t += SC_MIN(left, 8);
        }
#endif
    bitonic_sort(key, t);
    const uint32_t mask = ((uint32_t)1 << bits) - 1;
    key[-1] = ~key[0];       /* another column */
    int64_t n = 0, i = 0;
    VAL sum = 0;
    for (; i + KEYS <= t; i += KEYS) {
#if SC_LEVEL >= 512
        __m512i c = _mm512_srl_epi32(_mm512_load_si512(key + i), shift);
        __m512i before = _mm512_srl_epi32(_mm512_loadu_si512(key + i - 1), shift);
        int distinct = _mm512_cmpneq_epi32_mask(c, before) == 0xFFFF;
        if (distinct) _mm512_storeu_si512(col + n, _mm512_add_epi32(c, low));
#else
        __m256i c = _mm256_srl_epi32(_mm256_load_si256((const __m256i *)(key + i)), shift);
        __m256i before = _mm256_srl_epi32(_mm256_loadu_si256((const __m256i *)(key + i - 1)), shift);
        int distinct = !_mm256_movemask_epi8(_mm256_cmpeq_epi32(c, before));
        if (distinct) _mm256_storeu_si256((__m256i *)(col + n), _mm256_add_epi32(c, low));
#endif
        if (distinct) {
            for (int k = 0; k < KEYS; k++) val[n + k] = 0 + product[key[i + k] & mask];
            n += KEYS;
            sum = val[n - 1];
            continue;
        }
        for (int k = 0; k < KEYS; k++) {
            int same = key[i + k] >> bits == key[i + k - 1] >> bits;
            n += !same;
            sum = (same ? sum : 0) + product[key[i + k] & mask];
            col[n - 1] = (int32_t)((key[i + k] >> bits) + lo);
            val[n - 1] = sum;
        }
    }
    for (; i < t; i++) {
        int same = key[i] >> bits == key[i - 1] >> bits;
        n += !same;
        sum = (same ? sum : 0) + product[key[i] & mask];
        col[n - 1] = (int32_t)((key[i] >> bits) + lo);
        val[n - 1] = sum;
    }
    return SC_PASTE(spgemm_drop, VNAME)(col, val, n);
}
#endif

#if SC_LEVEL < 512 || !VREAL
/* The same for columns far apart: a bit per column and a byte per group of 256 columns that has one, so that few bits
 * are looked at (with keys sorted by merging a product took three times as long). */
static int64_t SC_PASTE(spgemm_marked, VNAME)(const VAL *a, const int64_t *segment, int64_t entries, const sc_csr *B,
                                              int64_t lo, int64_t hi, const sc_spgemm_scratch *s, int32_t *col,
                                              VAL *val)
{
    const int32_t *Bc = B->indices;
    const VAL *Bv = B->data;
    const int64_t base = s->span >= B->cols ? 0 : lo;
    VAL *acc = s->acc;
    uint64_t *mark = (uint64_t *)s->flag;
    uint8_t *group = s->flag + (s->span / 256 + 1) * 32;      /* behind the bits; together less than a byte a column */
    for (int64_t i = 0; i < entries; i++) {
        VAL x = a[i];
        for (int64_t q = segment[2 * i]; q < segment[2 * i + 1]; q++) {
            int64_t j = Bc[q] - base;
            acc[j] += x * Bv[q];
            mark[j >> 6] |= (uint64_t)1 << (j & 63);
            group[j >> 8] = 1;
        }
    }
    int64_t n = 0;
    for (int64_t eight = (lo - base) >> 11; eight <= (hi - base) >> 11; eight++) {
        uint64_t groups;
        memcpy(&groups, group + 8 * eight, 8);
        if (!groups) continue;
        memset(group + 8 * eight, 0, 8);
        for (; groups; groups &= groups - 1) {
            int64_t first = 4 * (8 * eight + (__builtin_ctzll(groups) >> 3));
            for (int64_t w = first; w < first + 4; w++) {
                for (uint64_t bits = mark[w]; bits; bits &= bits - 1) {
                    int64_t j = 64 * w + __builtin_ctzll(bits);
                    VAL v = acc[j];
                    acc[j] = 0;
                    col[n] = (int32_t)(base + j);
                    val[n] = v;
                    n += v != 0;
                }
                mark[w] = 0;
            }
        }
    }
    return n;
}
#endif

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
    int64_t f = 0, lo = B->cols, hi = -1, last = A->nnz - 1;
    for (int64_t p = p0; p < p1; p++) {
        /* The rows of B for the entries of A that come soon, of this row and of the next ones. */
        int64_t soon = Bp[Ac[SC_MIN(p + AHEAD, last)]];
        __builtin_prefetch(Bp + Ac[SC_MIN(p + 2 * AHEAD, last)]);
        __builtin_prefetch(Bc + soon);
        __builtin_prefetch((const VAL *)B->data + soon);
        int64_t q0 = Bp[Ac[p]], q1 = Bp[Ac[p] + 1];
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
    if (range <= s->span && (range <= SPREAD * f || f > s->sort))
        return SC_PASTE(spgemm_dense, VNAME)(a, s->segment, p1 - p0, B, flags & SC_CANONICAL, lo, hi, f, s, col,
                                              val);
#if SC_LEVEL >= 2 && VREAL
    int bits = 64 - __builtin_clzll((uint64_t)f);
    if (f <= NETWORK && (uint64_t)range <= (uint64_t)1 << (32 - bits))
        return SC_PASTE(spgemm_network, VNAME)(a, s->segment, p1 - p0, B, lo, bits, s, col, val);
#endif
#if SC_LEVEL < 512 || !VREAL
    if (range <= s->span && f > FEW)
        return SC_PASTE(spgemm_marked, VNAME)(a, s->segment, p1 - p0, B, lo, hi, s, col, val);
#endif
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
                                    int flags, void *acc_, void *out_)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr, *Mp = M->indptr;
    const int32_t *Ac = A->indices, *Bc = B->indices, *Mc = M->indices;
    const VAL *Av = A->data, *Bv = B->data;
    VAL *acc = acc_, *out = out_;
    const int64_t last = A->nnz - 1;
    enum { STEP = 16 };     /* entries between two looks ahead: a line of columns */
    for (int64_t r = r0; r < r1; r++) {
        if (Mp[r] == Mp[r + 1]) continue;
        for (int64_t p = Mp[r]; p < Mp[r + 1]; p++) acc[Mc[p]] = 0;
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++) {
            VAL a = Av[p];
            int64_t q = Bp[Ac[p]], end = Bp[Ac[p] + 1], next = Bp[Ac[SC_MIN(p + 1, last)]];
            for (; (flags & SC_CANONICAL) && q + STEP <= end; q += STEP, next += STEP) {
                __builtin_prefetch(Bc + next);
                for (int64_t k = 0; k < STEP; k += 64 / (int64_t)sizeof(VAL)) __builtin_prefetch(Bv + next + k);
                /* columns of a canonical row differ: four sums are read before the first is written */
                for (int64_t k = q; k < q + STEP; k += 4) {
                    VAL s0 = acc[Bc[k]] + a * Bv[k], s1 = acc[Bc[k + 1]] + a * Bv[k + 1],
                        s2 = acc[Bc[k + 2]] + a * Bv[k + 2], s3 = acc[Bc[k + 3]] + a * Bv[k + 3];
                    acc[Bc[k]] = s0;
                    acc[Bc[k + 1]] = s1;
                    acc[Bc[k + 2]] = s2;
                    acc[Bc[k + 3]] = s3;
                }
            }
            for (; q < end; q++) acc[Bc[q]] += a * Bv[q];
        }
        for (int64_t p = Mp[r]; p < Mp[r + 1]; p++) out[p] = acc[Mc[p]];
    }
}

/* out[Cp[r] + slot of the product] += product: no column is looked at. */
static void SC_PASTE(planned, VNAME)(const sc_csr *A, const sc_csr *B, const int64_t *Cp, int64_t r0, int64_t r1,
                                     int flags, const int64_t *work, const uint16_t *slot, void *out_)
{
    const int64_t *Ap = A->indptr, *Bp = B->indptr;
    const int32_t *Ac = A->indices;
    const VAL *Av = A->data, *Bv = B->data;
    const int64_t last = A->nnz - 1;
    for (int64_t r = r0; r < r1; r++) {
        VAL *c = (VAL *)out_ + Cp[r];
        const uint16_t *s = slot + work[r];
        for (int64_t i = 0; i < Cp[r + 1] - Cp[r]; i++) c[i] = 0;
        for (int64_t p = Ap[r]; p < Ap[r + 1]; p++) {
            VAL a = Av[p];
            __builtin_prefetch(Bp + Ac[SC_MIN(p + 2 * AHEAD, last)]);
            __builtin_prefetch(Bv + Bp[Ac[SC_MIN(p + AHEAD, last)]]);
            int64_t n = Bp[Ac[p] + 1] - Bp[Ac[p]];
            const VAL *b = Bv + Bp[Ac[p]], *next = Bv + Bp[Ac[SC_MIN(p + 1, last)]];
            int64_t q = 0;
            for (; (flags & SC_CANONICAL) && q + 4 <= n; q += 4) {
                __builtin_prefetch(next + q);
                VAL vj = c[s[q]] + a * b[q], vk = c[s[q + 1]] + a * b[q + 1], vl = c[s[q + 2]] + a * b[q + 2],
                    vm = c[s[q + 3]] + a * b[q + 3];
                c[s[q]] = vj;
                c[s[q + 1]] = vk;
                c[s[q + 2]] = vl;
                c[s[q + 3]] = vm;
            }
            for (; q < n; q++) c[s[q]] += a * b[q];
            s += n;
        }
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
