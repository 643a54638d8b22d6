#if SC_LEVEL >= 512
/* Whole words of groups of `group` lanes, 2, 4, 8 or 16 (a constant where this is inlined): a value is kept if fewer
 * than `keep` of its group come before it, which is what as many rotations of the group tell. */
static inline __attribute__((always_inline)) int64_t SC_PASTE(groups_of, KNAME)(
    const KEY *x, int64_t n, int64_t keep, int group, uint64_t *bits, uint64_t *top)
{
#if KBITS == 64
#define V(name) _mm512_##name##_epi64
#define ROTATE(i, v) _mm512_permutexvar_epi64(i, v)
#define OVER(a, b) _mm512_cmpgt_epi64_mask(a, b)
#define COUNT(c, m) _mm512_mask_add_epi64(c, (__mmask8)(m), c, one)
    __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
#else
#define V(name) _mm512_##name##_epi32
#define ROTATE(i, v) _mm512_permutexvar_epi32(i, v)
#define OVER(a, b) _mm512_cmpgt_epi32_mask(a, b)
#define COUNT(c, m) _mm512_mask_add_epi32(c, m, c, one)
    __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#endif
    __m512i off = K(all)((KEY)(((KEY)1 << (KBITS - 1)) - 1)), one = K(all)(1), vkeep = K(all)((uint64_t)keep);
    __m512i inner = K(all)((uint64_t)group - 1), vtop = _mm512_setzero_si512(), turn[16], lower[16];
    for (int r = 1; r < group; r++) {
        __m512i to = _mm512_and_si512(V(add)(lane, K(all)((uint64_t)r)), inner);
        turn[r] = _mm512_or_si512(_mm512_andnot_si512(inner, lane), to);
        lower[r] = COUNT(_mm512_setzero_si512(), OVER(_mm512_and_si512(lane, inner), to));
    }
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = 0;
        for (int j = 0; j < 64; j += LANES) {
            __m512i v = _mm512_and_si512(K(load)(x + i + j), off), before = _mm512_setzero_si512();
            vtop = K(higher)(vtop, v);
            /* A neighbour of lower index comes before from v on, one of higher index above v. */
            for (int r = 1; r < group; r++)
                before = COUNT(before, OVER(ROTATE(turn[r], v), V(sub)(v, lower[r])));
            word |= (uint64_t)(OVER(vkeep, before) & (LANES == 16 ? 0xffff : 0xff)) << j;
        }
        bits[i / 64] = word;
    }
    *top = SC_MAX(*top, K(highest)(vtop));
    return i;
#undef V
#undef ROTATE
#undef OVER
#undef COUNT
}
#endif

/* bits of the `keep` largest of every `group` along a row of n values, ties to the first; a ragged last group of m
 * keeps ceil(keep * m / group).  Raises *top to the largest key. */
static void SC_PASTE(groups, KNAME)(const void *x_, int64_t n, int64_t keep, int64_t group, uint64_t *bits,
                                    uint64_t *top_)
{
    const KEY *x = x_, off = (KEY)(((KEY)1 << (KBITS - 1)) - 1);
    KEY top = 0;
    int64_t done = 0;
#if SC_LEVEL >= 512
    if (group == 2) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 2, bits, top_);
    if (group == 4) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 4, bits, top_);
    if (group == 8) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 8, bits, top_);
    if (group == 16 && LANES == 16) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 16, bits, top_);
#endif
    memset(bits + done / 64, 0, (size_t)((n + 63) / 64 - done / 64) * 8);
    for (int64_t g = done; g < n; g += group) {
        int64_t m = SC_MIN(group, n - g), want = m == group ? keep : (keep * m + group - 1) / group;
        for (int64_t i = 0; i < m; i++) {
            KEY v = x[g + i] & off;
            int64_t before = 0;
            top = SC_MAX(top, v);
            for (int64_t j = 0; j < i; j++) before += (KEY)(x[g + j] & off) >= v;
            for (int64_t j = i + 1; j < m; j++) before += (KEY)(x[g + j] & off) > v;
            if (before < want) bits[(g + i) / 64] |= (uint64_t)1 << ((g + i) & 63);
        }
    }
    *top_ = SC_MAX(*top_, (uint64_t)top);
}
