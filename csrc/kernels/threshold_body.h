#if SC_LEVEL >= 2
/* Whole words of groups of `group` lanes, 2, 4, 8 or 16 (a constant where this is inlined), within a vector or over two
 * or four: a value is kept if fewer than `keep` of its group come before it, which is what rotations of the vectors of
 * its group tell. */
static inline __attribute__((always_inline)) int64_t SC_PASTE(groups_of, KNAME)(
    const KEY *x, int64_t n, int64_t keep, int group, uint64_t *bits, uint64_t *top)
{
    const int width = SC_MIN(group, LANES), vectors = group / width;
    lanes off = K(all)((KEY)(((KEY)1 << (KBITS - 1)) - 1)), vkeep = K(all)((uint64_t)keep), one = K(all)(1);
    lanes inner = K(all)((uint64_t)width - 1), lane = K(numbers)(), vtop = no_lanes(), turn[16], lower[16];
    for (int r = 0; r < width; r++) {
        lanes to = both(K(plus)(lane, K(all)((uint64_t)r)), inner);
        turn[r] = K(order)(K(plus)(K(minus)(lane, both(lane, inner)), to));
        lower[r] = K(count_over)(no_lanes(), both(lane, inner), to);
    }
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = 0;
        for (size_t b = 0; b < 64 * sizeof(KEY); b += 64) ask_for(x + i, 1024 + b);
        for (int j = 0; j < 64; j += vectors * LANES) {
            lanes v[4];
            for (int a = 0; a < vectors; a++) {
                v[a] = both(K(load)(x + i + j + a * LANES), off);
                vtop = K(higher)(vtop, v[a]);
            }
            for (int a = 0; a < vectors; a++) {
                lanes before = no_lanes(), under = K(minus)(v[a], one);
                /* A neighbour of lower index comes before from v on, one of higher index above v. */
                for (int b = 0; b < vectors; b++)
                    for (int r = a == b; r < width; r++)
                        before = K(count_over)(before, K(rearrange)(turn[r], v[b]),
                                               a == b ? K(minus)(v[a], lower[r]) : b < a ? under : v[a]);
                word |= (uint64_t)K(over)(vkeep, before) << (j + a * LANES);
            }
        }
        bits[i / 64] = word;
    }
    *top = SC_MAX(*top, K(highest)(vtop));
    return i;
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
#if SC_LEVEL >= 2
    if (group == 2) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 2, bits, top_);
    if (group == 4) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 4, bits, top_);
    if (group == 8) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 8, bits, top_);
    if (group == 16) done = SC_PASTE(groups_of, KNAME)(x, n, keep, 16, bits, top_);
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
