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

/* Entries taken at once where two rows have the same columns */
#define BLOCK 16
/* Entries ahead of their use that the terms of a sum are asked for: the processor's prefetching ends with a page. */
#define AHEAD 512

/* What becomes of two values in one place: x + y, alpha x + beta y, x y */
#define PLAIN 0
#define WEIGHED 1
#define TIMES 2

#define BY_VECTOR (VREAL && VBITS >= 32)
#if BY_VECTOR
#define VECTOR SC_PASTE(lanes, ACC)
#define WIDTH ((int)(sizeof(VECTOR) / sizeof(ACC)))
#define ZEROS __typeof__((VECTOR){0} == (VECTOR){0})
#else
#define ZEROS int
#endif

SC_INLINE ZEROS FN(no_zeros)(void)
{
#if BY_VECTOR
    const VECTOR none = {0};
    return none != none;
#else
    return 0;
#endif
}

SC_INLINE int FN(some)(ZEROS zeros)
{
#if BY_VECTOR && SC_LEVEL == 2
    return !_mm256_testz_si256((__m256i)zeros, (__m256i)zeros);
#elif BY_VECTOR
    int found = 0;
    for (int k = 0; k < WIDTH; k++) found |= zeros[k] != 0;
    return found;
#else
    return zeros;
#endif
}

/* Is there a zero among n values? */
SC_INLINE int FN(any_zero)(const VAL *val, int64_t n)
{
    ZEROS zeros = FN(no_zeros)();
    int64_t p = 0;
    int found = 0;
#if BY_VECTOR
    for (; p + WIDTH <= n; p += WIDTH) zeros |= SC_PASTE(load, ACC)(val + p) == 0;
#endif
    for (; p < n; p++) found |= LOAD(val[p]) == 0;
    return found | FN(some)(zeros);
}

/* How many of BLOCK columns agree, from the first on? */
SC_INLINE int64_t FN(agreeing)(const IDX *a, const IDX *b)
{
#if SC_LEVEL >= 2
    enum { N = 32 / sizeof(IDX) };
    unsigned same = 0;
    for (int k = 0; k < BLOCK; k += N) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(a + k)), y = _mm256_loadu_si256((const __m256i *)(b + k));
        same |= (sizeof(IDX) == 4 ? (unsigned)_mm256_movemask_ps((__m256)_mm256_cmpeq_epi32(x, y))
                                  : (unsigned)_mm256_movemask_pd((__m256d)_mm256_cmpeq_epi64(x, y))) << k;
    }
    return __builtin_ctz(~same);
#else
    int64_t k = 0;
    while (k < BLOCK && a[k] == b[k]) k++;
    return k;
#endif
}

SC_INLINE VAL FN(join)(VAL x, VAL y, ACC alpha, ACC beta, const int op)
{
    return STORE(op == PLAIN     ? LOAD(x) + LOAD(y)
                 : op == WEIGHED ? FN(times)(alpha, LOAD(x)) + FN(times)(beta, LOAD(y))
                                 : LOAD(x) * LOAD(y));
}

/* The same for a block; zeros among the results are noted. */
SC_INLINE void FN(join_block)(const VAL *a, const VAL *b, ACC alpha, ACC beta, const int op, VAL *val, ZEROS *zeros)
{
#if BY_VECTOR
    for (int k = 0; k < BLOCK; k += WIDTH) {
        VECTOR x = SC_PASTE(load, ACC)(a + k), y = SC_PASTE(load, ACC)(b + k);
        VECTOR v = op == PLAIN ? x + y : op == WEIGHED ? alpha * x + beta * y : x * y;
        SC_PASTE(store, ACC)(val + k, v);
        *zeros |= v == 0;
    }
#else
    for (int k = 0; k < BLOCK; k++) {
        val[k] = FN(join)(a[k], b[k], alpha, beta, op);
        *zeros |= LOAD(val[k]) == 0;
    }
#endif
}

/* Asks for the lines of n entries from entry p on. */
SC_INLINE void FN(ask)(const sc_csr *A, int64_t p, int64_t n)
{
    const char *col = (const char *)((const IDX *)A->indices + p);
    const char *val = (const char *)((const VAL *)A->data + p);
    for (int64_t b = 0; b < n * (int64_t)sizeof(IDX); b += 64) __builtin_prefetch(col + b);
    for (int64_t b = 0; b < n * (int64_t)sizeof(VAL); b += 64) __builtin_prefetch(val + b);
}

/* Joins rows from r on while their columns are the same in both, columns and values in one pass; col and val have room
 * for BLOCK more.  Returns the first row that is not the same, and in *head how many entries it begins with that are.
 * *level: up to where rows are known to be equally long; a stretch of them is compared as one row, since short rows are
 * dear one by one. */
SC_INLINE int64_t FN(alike)(const sc_csr *A, const sc_csr *B, int64_t r, int64_t r1, ACC alpha, ACC beta, const int op,
                            PTR *length, IDX *col, VAL *val, int64_t *level, int64_t *head, int *zero)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const int64_t i = pa[r], j = pb[r];
    if (r >= *level)
        for (*level = r; *level < r1 && pb[*level + 1] - pa[*level + 1] == j - i && pa[*level] - i < 512; ++*level);
    const IDX *ca = (const IDX *)A->indices + i, *cb = (const IDX *)B->indices + j;
    const VAL *va = (const VAL *)A->data + i, *vb = (const VAL *)B->data + j;
    int64_t all = pa[*level] - i, full = SC_MIN(all, SC_MIN(A->nnz - i, B->nnz - j) - BLOCK + 1), k = 0, same = BLOCK;
    ZEROS zeros = FN(no_zeros)();
    for (; k < full && same == BLOCK; k += same) {
        FN(ask)(A, i + k + AHEAD, BLOCK);
        FN(ask)(B, j + k + AHEAD, BLOCK);
        same = FN(agreeing)(ca + k, cb + k);
        memcpy(col + k, ca + k, BLOCK * sizeof *col);
        FN(join_block)(va + k, vb + k, alpha, beta, op, val + k, &zeros);
    }
    *zero |= FN(some)(zeros);
    for (; same == BLOCK && k < all && ca[k] == cb[k]; k++) {       /* the last entries of a matrix */
        col[k] = ca[k];
        val[k] = FN(join)(va[k], vb[k], alpha, beta, op);
        *zero |= LOAD(val[k]) == 0;
    }
    k = SC_MIN(k, all);
    for (; r < *level && pa[r + 1] - i <= k; r++) *length++ = pa[r + 1] - pa[r];
    *head = k - (pa[r] - i);
    return r;
}

/* Takes the zeros out of rows of these lengths, one behind the other; returns how many entries are left. */
static inline int64_t FN(squeeze)(PTR *length, int64_t rows, IDX *col, VAL *val)
{
    int64_t p = 0, w = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t begin = w;
        for (int64_t end = p + length[r]; p < end; p++) {
            VAL v = val[p];
            col[w] = col[p];
            val[w] = v;
            w += LOAD(v) != 0;
        }
        length[r] = (PTR)(w - begin);
    }
    return w;
}

/* Do the columns of every row rise strictly, within 0..cols?  Falls are counted as in check_body.h. */
static inline int FN(sound)(const PTR *length, int64_t rows, const IDX *col, int64_t n, int64_t cols)
{
    UIDX top = n ? (UIDX)col[n - 1] : 0;
    int64_t falls = 0, at = 0;
    for (int64_t p = 0, end; p < n - 1; p = end) {
        IDX few = 0;
        end = SC_MIN(p + 4096, n - 1);
        for (int64_t q = p; q < end; q++) {
            few += col[q + 1] <= col[q];
            top = SC_MAX(top, (UIDX)col[q]);
        }
        falls += few;
    }
    for (int64_t r = 0; r < rows; r++) {
        at += length[r];
        if (length[r] && at < n) falls -= col[at] <= col[at - 1];
    }
    return falls == 0 && (n == 0 || (uint64_t)top < (uint64_t)cols);
}

/* n entries times f */
SC_INLINE void FN(copy)(const IDX *from_col, const VAL *from_val, int64_t n, ACC f, int one, IDX *restrict col,
                        VAL *restrict val)
{
    for (int64_t k = 0; k < n; k++) col[k] = from_col[k];
    if (one)
        for (int64_t k = 0; k < n; k++) val[k] = from_val[k];
    else
        for (int64_t k = 0; k < n; k++) val[k] = STORE(FN(times)(f, LOAD(from_val[k])));
}

/* x where `taken` is set, else zero, without a branch that could be guessed wrong */
SC_INLINE ACC FN(if_taken)(ACC x, int taken)
{
#if VREAL
    uint64_t bits = 0;
    memcpy(&bits, &x, sizeof x);
    bits &= -(uint64_t)taken;
    memcpy(&x, &bits, sizeof x);
    return x;
#else
    return taken ? x : 0;
#endif
}

/* Do n columns rise strictly, within 0..cols? */
SC_INLINE int FN(rises)(const IDX *col, int64_t n, int64_t cols)
{
    IDX falls = 0;
    for (int64_t k = 0; k + 1 < n; k++) falls |= col[k + 1] <= col[k];
    return n == 0 || (!falls && col[0] >= 0 && col[n - 1] < cols);
}

/* alpha A + beta B of two rows, of at most 16 entries each: an entry's place is its rank, which comparing every column
 * with all of the other row's tells (2.3 against 4.4 ns an entry of the result, and no more where both rows have a
 * column; AVX2).  Both arrays go on for 17 entries.  Returns the length, or 0 if a row's columns do not rise. */
#define SHORT 16
#define BY_RANK (SC_LEVEL >= 2)
#if BY_RANK
static SC_APART int64_t FN(merge_short)(const int32_t *ca, const VAL *va, int64_t n, const int32_t *cb, const VAL *vb,
                                  int64_t m, ACC alpha, ACC beta, const int op, int32_t *col, VAL *val)
{
    const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), high = _mm256_add_epi32(low, _mm256_set1_epi32(8));
    const __m256i none = _mm256_set1_epi32(INT32_MAX), one = _mm256_set1_epi32(1), all_a = _mm256_set1_epi32((int)n),
                  all_b = _mm256_set1_epi32((int)m);
#define COLUMNS(p) _mm256_loadu_si256((const __m256i *)(p))
#define RISE(c, k, all) _mm256_or_si256(_mm256_cmpgt_epi32(COLUMNS(c + 1), COLUMNS(c)), \
                                        _mm256_cmpgt_epi32(_mm256_add_epi32(k, one), _mm256_sub_epi32(all, one)))
    __m256i rise = _mm256_and_si256(_mm256_and_si256(RISE(ca, low, all_a), RISE(ca + 8, high, all_a)),
                                    _mm256_and_si256(RISE(cb, low, all_b), RISE(cb + 8, high, all_b)));
    if (_mm256_movemask_epi8(rise) != -1) return 0;
    __m256i a0 = _mm256_blendv_epi8(none, COLUMNS(ca), _mm256_cmpgt_epi32(all_a, low)),
            a1 = _mm256_blendv_epi8(none, COLUMNS(ca + 8), _mm256_cmpgt_epi32(all_a, high)),
            b0 = _mm256_blendv_epi8(none, COLUMNS(cb), _mm256_cmpgt_epi32(all_b, low)),
            b1 = _mm256_blendv_epi8(none, COLUMNS(cb + 8), _mm256_cmpgt_epi32(all_b, high));
#undef COLUMNS
#undef RISE
    __m256i place_a0 = low, place_a1 = high, place_b0 = low, place_b1 = high, same0 = _mm256_setzero_si256(),
            same1 = same0;
    for (int64_t j = 0; j < m; j++) {
        __m256i b = _mm256_set1_epi32(cb[j]);
        place_a0 = _mm256_sub_epi32(place_a0, _mm256_cmpgt_epi32(a0, b));
        place_a1 = _mm256_sub_epi32(place_a1, _mm256_cmpgt_epi32(a1, b));
        same0 = _mm256_or_si256(same0, _mm256_cmpeq_epi32(a0, b));
        same1 = _mm256_or_si256(same1, _mm256_cmpeq_epi32(a1, b));
    }
    for (int64_t i = 0; i < n; i++) {
        __m256i a = _mm256_set1_epi32(ca[i]);
        place_b0 = _mm256_sub_epi32(place_b0, _mm256_cmpgt_epi32(b0, a));
        place_b1 = _mm256_sub_epi32(place_b1, _mm256_cmpgt_epi32(b1, a));
    }
    int32_t place_a[16], place_b[16];
    _mm256_storeu_si256((__m256i *)place_a, place_a0);
    _mm256_storeu_si256((__m256i *)(place_a + 8), place_a1);
    _mm256_storeu_si256((__m256i *)place_b, place_b0);
    _mm256_storeu_si256((__m256i *)(place_b + 8), place_b1);
    unsigned same = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same0)) |
                    (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same1)) << 8;
    int64_t shared = 0;
    /* Behind a column of both, places are one too high. */
    for (int64_t j = 0; j < m; j++) {
        int64_t p = place_b[j];
        if (same) p -= __builtin_popcount(same & ((1u << (p - j)) - 1));
        col[p] = cb[j];
        val[p] = op == PLAIN ? vb[j] : STORE(FN(times)(beta, LOAD(vb[j])));
    }
    if (!same)
        for (int64_t i = 0; i < n; i++) {
            int64_t p = place_a[i];
            col[p] = ca[i];
            val[p] = op == PLAIN ? va[i] : STORE(FN(times)(alpha, LOAD(va[i])));
        }
    else
        for (int64_t i = 0; i < n; i++) {
            int64_t p = place_a[i], twice = same >> i & 1;
            ACC x = LOAD(va[i]), y = LOAD(vb[p - i]);
            if (op != PLAIN) {
                x = FN(times)(alpha, x);
                y = FN(times)(beta, y);
            }
            col[p - shared] = ca[i];
            val[p - shared] = STORE(x + FN(if_taken)(y, (int)twice));
            shared += twice;
        }
    return n + m - shared;
}
#endif

/* Sums of so many columns lie in the first cache. */
#define TILE ((1 << 14) / (int)sizeof(ACC))
/* Columns for an entry up to which rows are summed column by column: 8 columns cost as much as an entry or two of a
 * merge (f32 and f64). */
#define SPREAD (VBITS == 32 ? 8 : 4)
#define BY_TILE (BY_VECTOR && SC_LEVEL >= 2)
#if BY_TILE
/* Takes the sums other than zero out of n columns from `base` on, and leaves zeros. */
SC_INLINE int64_t FN(take_sums)(ACC *sums, int64_t n, int64_t base, int32_t *col, VAL *val)
{
    const lanes none = no_lanes(), step = all_k32(NLANES_k32);
    lanes c = plus_k32(all_k32((uint64_t)base), numbers_k32());
    int64_t w = 0;
    for (int64_t k = 0; k < n; k += NLANES_k32, c = plus_k32(c, step)) {
#if VBITS == 32
        lanes v = load_k32((const uint32_t *)(sums + k));
        unsigned m = ~same_k32(v, none) & ((1u << NLANES_k32) - 1);
        store_k32((uint32_t *)(sums + k), none);
        store_k32((uint32_t *)(col + w), squeeze_k32(m, c));
        store_k32((uint32_t *)(val + w), squeeze_k32(m, v));
        w += __builtin_popcount(m);
#else
        lanes v = load_k64((const uint64_t *)(sums + k)), u = load_k64((const uint64_t *)(sums + k + NLANES_k64));
        unsigned m = ~same_k64(v, none) & ((1u << NLANES_k64) - 1), l = ~same_k64(u, none) & ((1u << NLANES_k64) - 1);
        store_k64((uint64_t *)(sums + k), none);
        store_k64((uint64_t *)(sums + k + NLANES_k64), none);
        store_k32((uint32_t *)(col + w), squeeze_k32(m | l << NLANES_k64, c));
        store_k64((uint64_t *)(val + w), squeeze_k64(m, v));
        w += __builtin_popcount(m);
        store_k64((uint64_t *)(val + w), squeeze_k64(l, u));
        w += __builtin_popcount(l);
#endif
    }
    return w;
}

/* The first of entries k..end with column c or higher. */
SC_INLINE int64_t FN(first_from)(const int32_t *col, int64_t k, int64_t end, int64_t c)
{
    if (k == end || col[end - 1] < c) return end;
    while (k < end) {
        int64_t mid = k + (end - k) / 2;
        if (col[mid] < c) k = mid + 1; else end = mid;
    }
    return k;
}

/* alpha A + beta B of two dense rows: their values are added where their columns are, a tile of columns after the
 * other (pruned90: 2.6 against 4.2 ns an entry of the result; AVX2).  Columns rise; there are zeros in `sums`. */
static SC_APART int64_t FN(merge_dense)(const int32_t *ca, const VAL *va, int64_t n, const int32_t *cb, const VAL *vb,
                                  int64_t m, ACC alpha, ACC beta, const int op, ACC *sums, int32_t *col, VAL *val)
{
    int64_t i = 0, j = 0, w = 0, end = SC_MAX(ca[n - 1], cb[m - 1]) + (int64_t)1;
    for (int64_t base = SC_MIN(ca[0], cb[0]); base < end; base += TILE) {
        int64_t next = SC_MIN(base + TILE, end);
        int64_t ie = FN(first_from)(ca, i, n, next), je = FN(first_from)(cb, j, m, next);
        ACC *at = sums - base;
        for (; i < ie; i++) at[ca[i]] = (op == PLAIN ? va[i] : FN(times)(alpha, va[i])) + 0;    /* + 0: no sum is -0 */
        for (; j < je; j++) at[cb[j]] += op == PLAIN ? vb[j] : FN(times)(beta, vb[j]);
        w += FN(take_sums)(sums, next - base, base, col + w, val + w);
    }
    return w;
}
#endif

/* What merging needs beside the rows. */
struct FN(merging) {
    ACC alpha, beta;
#if BY_TILE
    int cleared;
    ACC sums[TILE + 16];
#endif
};

/* alpha A + beta B of two rows i..ie and j..je, zeros included; returns its length. */
SC_INLINE int64_t FN(merge)(const sc_csr *A, int64_t i, int64_t ie, const sc_csr *B, int64_t j, int64_t je,
                            struct FN(merging) *s, const int op, IDX *col, VAL *val)
{
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    const ACC alpha = s->alpha, beta = s->beta;
    int one_a = op == PLAIN || alpha == 1, one_b = op == PLAIN || beta == 1;
    int64_t w = 0, n = ie - i, m = je - j;
    if (n > 0 && m > 0 && cb[je - 1] < ca[i]) {
        FN(copy)(cb + j, vb + j, m, beta, one_b, col, val);
        w = m;
        j = je;
    } else if (n > 0 && m > 0 && ca[ie - 1] >= cb[j]) {
#if BY_RANK
        if (sizeof(IDX) == 4 && n <= SHORT && m <= SHORT && n + m >= 6 && i + SHORT < A->nnz && j + SHORT < B->nnz) {
            w = FN(merge_short)((const int32_t *)ca + i, va + i, n, (const int32_t *)cb + j, vb + j, m, alpha, beta, op,
                                (int32_t *)col, val);
            if (w) return w;
        }
#endif
#if BY_TILE
        const int64_t span = (int64_t)SC_MAX(ca[ie - 1], cb[je - 1]) - SC_MIN(ca[i], cb[j]);
        if (sizeof(IDX) == 4 && n + m > 64 && span < SPREAD * (n + m) && FN(rises)(ca + i, n, A->cols) &&
            FN(rises)(cb + j, m, A->cols)) {
            if (!s->cleared) memset(s->sums, 0, sizeof s->sums);
            s->cleared = 1;
            return FN(merge_dense)((const int32_t *)ca + i, va + i, n, (const int32_t *)cb + j, vb + j, m, alpha, beta,
                                   op, s->sums, (int32_t *)col, val);
        }
#endif
        while (i < ie && j < je) {
            UIDX a = (UIDX)ca[i], b = (UIDX)cb[j];
            int from_a = a <= b, from_b = b <= a;
            ACC x = op == PLAIN ? LOAD(va[i]) : FN(times)(alpha, LOAD(va[i]));
            ACC y = op == PLAIN ? LOAD(vb[j]) : FN(times)(beta, LOAD(vb[j]));
            col[w] = (IDX)SC_MIN(a, b);
            val[w++] = STORE(FN(if_taken)(x, from_a) + FN(if_taken)(y, from_b));
            i += from_a;
            j += from_b;
        }
    }
    FN(copy)(ca + i, va + i, ie - i, alpha, one_a, col + w, val + w);
    w += ie - i;
    FN(copy)(cb + j, vb + j, je - j, beta, one_b, col + w, val + w);
    return w + je - j;
}

SC_INLINE int64_t FN(add_rows)(const sc_csr *A, const sc_csr *B, ACC alpha, ACC beta, const int op, int64_t r0,
                               int64_t r1, PTR *length, IDX *col, VAL *val, int *zero)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    struct FN(merging) s;
    int64_t w = 0, level = r0, head;
    s.alpha = alpha;
    s.beta = beta;
#if BY_TILE
    s.cleared = 0;
#endif
    for (int64_t r = r0, next; r < r1; r = next) {
        next = FN(alike)(A, B, r, r1, alpha, beta, op, length + r - r0, col + w, val + w, &level, &head, zero);
        w += pa[next] - pa[r];
        if (next == level && next > r) continue;
        FN(ask)(A, pa[next] + AHEAD, pa[next + 1] - pa[next]);
        FN(ask)(B, pb[next] + AHEAD, pb[next + 1] - pb[next]);
        w += head;
        int64_t n = FN(merge)(A, pa[next] + head, pa[next + 1], B, pb[next] + head, pb[next + 1], &s, op,
                              col + w, val + w);
        *zero |= FN(any_zero)(val + w, n);
        length[next - r0] = (PTR)(head + n);
        w += n;
        next++;
    }
    return w;
}

/* alpha A + beta B for rows r0 <= r < r1, one after the other; zeros are dropped.  By the relation of two rows: alike,
 * one before the other, or mixed, which are merged without branches on their columns.  Columns are only compared, and
 * every entry finds a place of its own unless both have its column: if the result is sorted and within the columns,
 * so were A and B.  It is looked at in cache; -1 if not. */
static int64_t FN(add)(const sc_csr *A, const sc_csr *B, const void *alpha_, const void *beta_, int64_t r0, int64_t r1,
                       void *length, void *col, void *val)
{
    ACC alpha = *(const ACC *)alpha_, beta = *(const ACC *)beta_;
    int zero = 0;
    int64_t n = alpha == 1 && beta == 1 ? FN(add_rows)(A, B, alpha, beta, PLAIN, r0, r1, length, col, val, &zero)
                                        : FN(add_rows)(A, B, alpha, beta, WEIGHED, r0, r1, length, col, val, &zero);
    if (!FN(sound)(length, r1 - r0, col, n, A->cols)) return -1;
    return zero ? FN(squeeze)(length, r1 - r0, col, val) : n;
}

/* Are n values finite? */
SC_INLINE int FN(finite)(const VAL *val, int64_t n)
{
    ZEROS odd = FN(no_zeros)();
    int64_t p = 0;
    int found = 0;
#if BY_VECTOR
    for (; p + WIDTH <= n; p += WIDTH) {
        VECTOR v = SC_PASTE(load, ACC)(val + p);
        odd |= v - v != 0;
    }
#endif
    for (; p < n; p++) found |= LOAD(val[p]) - LOAD(val[p]) != 0;
    return !(found | FN(some)(odd));
}

/* Eight columns of each row at a time: those of one row are held against those of the other in all eight rotations,
 * then the block that ends first makes way (products of pruned90 4.6 to 3.5 ms, uniform 27.6 to 25.2; AVX2). */
#if SC_LEVEL == 2
/* Which of x are in y? */
SC_INLINE unsigned FN(found)(__m256i x, __m256i y)
{
    const __m256i turn = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
    __m256i same = _mm256_cmpeq_epi32(x, y);
    for (int k = 1; k < 8; k++) {
        y = _mm256_permutevar8x32_epi32(y, turn);
        same = _mm256_or_si256(same, _mm256_cmpeq_epi32(x, y));
    }
    return bits_k32(same);
}

/* The product of two rows of rising columns; both index arrays go on for 8 entries. */
static SC_APART int64_t FN(intersect_blocks)(const int32_t *ca, const VAL *va, int64_t n, const int32_t *cb,
                                             const VAL *vb, int64_t m, int32_t *col, VAL *val)
{
    enum { ROOM = 256 };
    int32_t in_a[ROOM + 8], in_b[ROOM + 8];
    const __m256i number = numbers_k32();
    int64_t i = 0, j = 0, w = 0;
    while (i < n && j < m) {
        int64_t t = 0;
        for (; t <= ROOM && i < n && j < m;) {
            int64_t left_a = n - i, left_b = m - j;
            __m256i past_a = _mm256_cmpgt_epi32(number, _mm256_set1_epi32((int)SC_MIN(left_a, 8) - 1));
            __m256i past_b = _mm256_cmpgt_epi32(number, _mm256_set1_epi32((int)SC_MIN(left_b, 8) - 1));
            __m256i a = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(ca + i)), past_a);
            __m256i b = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(cb + j)), past_b);
            b = _mm256_add_epi32(b, past_b);        /* behind the rows: -1 and -2 */
            unsigned both = FN(found)(a, b);
            int32_t last_a = ca[i + SC_MIN(left_a, 8) - 1], last_b = cb[j + SC_MIN(left_b, 8) - 1];
            if (both) {
                lanes p = places_k32(both), q = places_k32(FN(found)(b, a));
                store_k32((uint32_t *)(in_a + t), plus_k32(p, all_k32((uint64_t)i)));
                store_k32((uint32_t *)(in_b + t), plus_k32(q, all_k32((uint64_t)j)));
                t += __builtin_popcount(both);
            }
            i += last_a <= last_b ? 8 : 0;
            j += last_b <= last_a ? 8 : 0;
        }
        for (int64_t k = 0; k < t; k++) {
            VAL v = STORE(LOAD(va[in_a[k]]) * LOAD(vb[in_b[k]]));
            col[w] = ca[in_a[k]];
            val[w] = v;
            w += LOAD(v) != 0;
        }
    }
    return w;
}
#endif

/* A * B of two rows of sorted columns i..ie and j..je; returns its length. */
SC_INLINE int64_t FN(intersect)(const sc_csr *A, int64_t i, int64_t ie, const sc_csr *B, int64_t j, int64_t je,
                                IDX *col, VAL *val)
{
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    int64_t w = 0;
    if (i == ie || j == je || ca[ie - 1] < cb[j] || cb[je - 1] < ca[i]) return 0;
#if SC_LEVEL == 2
    /* Rows that begin with a run of columns of both, as neighbours in a mesh do, share most: one by one is faster. */
    if (sizeof(IDX) == 4 && ie - i > 4 && je - j > 4 && ie + 8 <= A->nnz && je + 8 <= B->nnz &&
        !(ca[i + 1] == cb[j] && ca[i + 2] == cb[j + 1]) && !(ca[i] == cb[j + 1] && ca[i + 1] == cb[j + 2]) &&
        !(ca[i + 1] == cb[j + 1] && ca[i + 2] == cb[j + 2]))
        return FN(intersect_blocks)((const int32_t *)ca + i, va + i, ie - i, (const int32_t *)cb + j, vb + j, je - j,
                                    (int32_t *)col, val);
#endif
    while (i < ie && j < je) {
        IDX a = ca[i], b = cb[j];
        col[w] = a;
        val[w] = STORE(LOAD(va[i]) * LOAD(vb[j]));
        w += (a == b) & (LOAD(val[w]) != 0);
        i += a <= b;
        j += b <= a;
    }
    return w;
}

/* The same where not all values are finite: those make NaN of a missing partner. */
static int64_t FN(intersect_any)(const sc_csr *A, int64_t i, int64_t ie, const sc_csr *B, int64_t j, int64_t je,
                                 IDX *col, VAL *val)
{
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    int64_t w = 0;
    while (i < ie || j < je) {
        int from_a = j == je || (i < ie && ca[i] <= cb[j]), from_b = i == ie || (j < je && cb[j] <= ca[i]);
        VAL v = STORE((from_a ? LOAD(va[i]) : 0) * (from_b ? LOAD(vb[j]) : 0));
        if (LOAD(v) != 0) {
            col[w] = from_a ? ca[i] : cb[j];
            val[w++] = v;
        }
        i += from_a;
        j += from_b;
    }
    return w;
}

/* A * B by elements for rows r0 <= r < r1; zeros are dropped.  Where rows are alike, their columns are the result's and
 * are looked at there, as in a sum; where they are not, every row is looked at before it is used.  -1 if they do not
 * rise. */
static int64_t FN(multiply)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, void *length_, void *out_col,
                            void *out_val)
{
    const PTR *pa = A->indptr, *pb = B->indptr;
    const IDX *ca = A->indices, *cb = B->indices;
    const VAL *va = A->data, *vb = B->data;
    PTR *length = length_;
    IDX *col = out_col;
    VAL *val = out_val;
    int64_t w = 0, level = r0, head = 0;
    int zero = 0;
    for (int64_t r = r0, next; r < r1; r = next) {
        /* GCC fuses vectors of complex products even with contraction off: those go one by one. */
        next = VREAL ? FN(alike)(A, B, r, r1, 0, 0, TIMES, length + r - r0, col + w, val + w, &level, &head, &zero)
                     : r;
        w += pa[next] - pa[r];
        if (next == level && next > r) continue;
        FN(ask)(A, pa[next] + AHEAD, pa[next + 1] - pa[next]);
        FN(ask)(B, pb[next] + AHEAD, pb[next + 1] - pb[next]);
        w += head;
        int64_t i = pa[next] + head, ie = pa[next + 1], j = pb[next] + head, je = pb[next + 1], before = head > 0, n;
        if (!FN(rises)(ca + i - before, ie - i + before, A->cols) ||
            !FN(rises)(cb + j - before, je - j + before, A->cols)) return -1;
        n = FN(finite)(va + i, ie - i) & FN(finite)(vb + j, je - j)
                ? FN(intersect)(A, i, ie, B, j, je, col + w, val + w)
                : FN(intersect_any)(A, i, ie, B, j, je, col + w, val + w);
        length[next - r0] = (PTR)(head + n);
        w += n;
        next++;
    }
    if (!FN(sound)(length, r1 - r0, col, w, A->cols)) return -1;
    return zero ? FN(squeeze)(length, r1 - r0, col, val) : w;
}

#if BY_VECTOR
#undef VECTOR
#undef WIDTH
#endif
#undef BY_VECTOR
#undef ZEROS
#undef BLOCK
#undef AHEAD
#undef SHORT
#undef BY_RANK
#undef TILE
#undef SPREAD
#undef BY_TILE
#undef PLAIN
#undef WEIGHED
#undef TIMES

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
