/* bits of the `keep` largest of every `group` along a row of n values, ties to the first; a ragged last group of m
 * keeps ceil(keep * m / group).  Raises *top to the largest key. */
static void SC_PASTE(groups, KNAME)(const void *x_, int64_t n, int64_t keep, int64_t group, uint64_t *bits,
                                    uint64_t *top_)
{
    const KEY *x = x_, off = (KEY)(((KEY)1 << (KBITS - 1)) - 1);
    KEY top = 0;
    memset(bits, 0, (size_t)((n + 63) / 64) * 8);
    for (int64_t g = 0; g < n; g += group) {
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
