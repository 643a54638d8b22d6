#define SIGN_OFF ((KEY)(((KEY)1 << (KBITS - 1)) - 1))
#define KEY_OF(v) ((KEY)((v) & SIGN_OFF))

/* out[i] = key of x[i] */
static void SC_PASTE(keys, KNAME)(const void *x_, int64_t n, void *out_)
{
    const KEY *x = x_;
    KEY *out = out_;
    for (int64_t i = 0; i < n; i++) out[i] = KEY_OF(x[i]);
}

/* out[i] = key of one of x[0:n], a pseudo-random one of the i-th of m equal stretches (m <= n, n < 2^50) */
static void SC_PASTE(sample, KNAME)(const void *x_, int64_t n, int64_t m, void *out_)
{
    const KEY *x = x_;
    KEY *out = out_;
    uint64_t step = (uint64_t)(n / m);
    for (int64_t i = 0; i < m; i++) {
        int64_t at = i * n / m + (int64_t)(((unsigned __int128)mix((uint64_t)i) * step) >> 64);
        out[i] = KEY_OF(x[at]);
    }
}

/* Adds to b the numbers of keys > hi, >= hi, > lo and >= lo, and appends those with lo < key < hi to out while there
 * is room for `room` of them; b->kept goes on counting.  A full vector may be refused 16 before the room ends.
 * Strictly between: however many keys equal lo or hi, none is kept. */
static void SC_PASTE(bracket, KNAME)(const void *x_, int64_t n, uint64_t lo_, uint64_t hi_, void *out_, int64_t room,
                                     struct sc_bracket *b)
{
    const KEY *x = x_, lo = (KEY)lo_, hi = (KEY)hi_;
    KEY *out = out_;
    int64_t over_hi = 0, from_hi = 0, over_lo = 0, from_lo = 0, kept = b->kept, i = 0;
    KEY top = 0;
#if SC_LEVEL >= 2
    lanes off = K(all)(SIGN_OFF), vlo = K(all)(lo), vhi = K(all)(hi), vtop = no_lanes();
    for (; i + LANES <= n; i += LANES) {
        lanes v = both(K(load)(x + i), off);
        vtop = K(higher)(vtop, v);
        unsigned gl = K(over)(v, vlo), el = K(same)(v, vlo), gh = K(over)(v, vhi), eh = K(same)(v, vhi);
        unsigned in = gl & ~(gh | eh);
        over_lo += __builtin_popcount(gl);
        from_lo += __builtin_popcount(el);
        over_hi += __builtin_popcount(gh);
        from_hi += __builtin_popcount(eh);
        if (SC_LEVEL < 512 && !in) continue;      /* mostly; AVX-512 compresses in less than a branch costs */
        if (kept + LANES <= room) K(store)(out + kept, K(squeeze)(in, v));
        kept += __builtin_popcount(in);
    }
    if (kept + LANES > room) kept = room + 1 + n;     /* the last vectors may be missing: too many */
    from_lo += over_lo;
    from_hi += over_hi;
    top = (KEY)K(highest)(vtop);
#endif
    for (; i < n; i++) {
        KEY key = KEY_OF(x[i]);
        top = SC_MAX(top, key);
        over_hi += key > hi;
        from_hi += key >= hi;
        over_lo += key > lo;
        from_lo += key >= lo;
        if (key > lo && key < hi) {
            if (kept < room) out[kept] = key;
            kept++;
        }
    }
    b->over_hi += over_hi;
    b->from_hi += from_hi;
    b->over_lo += over_lo;
    b->from_lo += from_lo;
    b->kept = kept;
    b->top = SC_MAX(b->top, top);
}

/* bins[(key - lo) >> shift] += 1 for lo <= key <= hi */
static void SC_PASTE(histogram, KNAME)(const void *x_, int64_t n, uint64_t lo_, uint64_t hi_, int shift, int64_t *bins)
{
    const KEY *x = x_, lo = (KEY)lo_, width = (KEY)(hi_ - lo_);
    for (int64_t i = 0; i < n; i++) {
        KEY d = (KEY)(KEY_OF(x[i]) - lo);
        if (d <= width) bins[d >> shift]++;
    }
}

/* The k-th largest of keys[0:n], which are rearranged; how many are larger and how many equal.
 * Quickselect with three-way partition: ties cost nothing, pivots from a fixed sequence cost no bad order twice. */
static uint64_t SC_PASTE(pick, KNAME)(void *keys, int64_t n, int64_t k, int64_t *above, int64_t *equal)
{
    KEY *x = keys;
    int64_t lo = 0, hi = n;    /* the k-th largest is among x[lo:hi]; what is before is larger, what is behind smaller */
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (;;) {
        KEY c[3];
        for (int i = 0; i < 3; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            c[i] = x[lo + (int64_t)((state >> 33) % (uint64_t)(hi - lo))];
        }
        KEY pivot = SC_MAX(SC_MIN(c[0], c[1]), SC_MIN(SC_MAX(c[0], c[1]), c[2]));
        int64_t a = lo, i = lo, b = hi;    /* x[lo:a] > pivot, x[a:i] == pivot, x[b:hi] < pivot */
        while (i < b) {
            KEY v = x[i];
            if (v > pivot) { x[i++] = x[a]; x[a++] = v; }
            else if (v < pivot) { x[i] = x[--b]; x[b] = v; }
            else i++;
        }
        if (k <= a) hi = a;
        else if (k > b) lo = b;
        else { *above = a; *equal = b - a; return pivot; }
    }
}

/* bits of |x[i]| >= key, one word for 64 values; returns their number and raises *top to the largest key */
static int64_t SC_PASTE(at_least, KNAME)(const void *x_, int64_t n, uint64_t key_, uint64_t *bits, uint64_t *top_)
{
    const KEY *x = x_, key = (KEY)key_;
    KEY top = 0;
    int64_t count = 0, i = 0;
#if SC_LEVEL >= 2
    lanes off = K(all)(SIGN_OFF), under = K(all)((uint64_t)key - 1), vtop = no_lanes();
    for (; key && i + 64 <= n; i += 64) {
        uint64_t word = 0;
        for (int j = 0; j < 64; j += LANES) {
            lanes v = both(K(load)(x + i + j), off);
            vtop = K(higher)(vtop, v);
            word |= (uint64_t)K(over)(v, under) << j;
        }
        bits[i / 64] = word;
        count += __builtin_popcountll(word);
    }
    top = (KEY)K(highest)(vtop);
#endif
    for (; i < n; i += 64) {
        uint64_t word = 0;
        int64_t end = SC_MIN(64, n - i);
        for (int64_t j = 0; j < end; j++) {
            KEY v = KEY_OF(x[i + j]);
            top = SC_MAX(top, v);
            word |= (uint64_t)(v >= key) << j;
        }
        bits[i / 64] = word;
        count += __builtin_popcountll(word);
    }
    *top_ = SC_MAX(*top_, (uint64_t)top);
    return count;
}

/* bits of |x[i]| > key and of |x[i]| == key; adds their numbers to *above and *equal */
static void SC_PASTE(ranked, KNAME)(const void *x_, int64_t n, uint64_t key_, uint64_t *larger, uint64_t *same,
                                    int64_t *above, int64_t *equal)
{
    const KEY *x = x_, key = (KEY)key_;
    int64_t i = 0, a = 0, e = 0;
#if SC_LEVEL >= 2
    lanes off = K(all)(SIGN_OFF), vkey = K(all)(key);
    for (; i + 64 <= n; i += 64) {
        uint64_t g = 0, s = 0;
        for (int j = 0; j < 64; j += LANES) {
            lanes v = both(K(load)(x + i + j), off);
            g |= (uint64_t)K(over)(v, vkey) << j;
            s |= (uint64_t)K(same)(v, vkey) << j;
        }
        larger[i / 64] = g;
        same[i / 64] = s;
        a += __builtin_popcountll(g);
        e += __builtin_popcountll(s);
    }
#endif
    for (; i < n; i += 64) {
        uint64_t g = 0, s = 0;
        int64_t end = SC_MIN(64, n - i);
        for (int64_t j = 0; j < end; j++) {
            KEY v = KEY_OF(x[i + j]);
            g |= (uint64_t)(v > key) << j;
            s |= (uint64_t)(v == key) << j;
        }
        larger[i / 64] = g;
        same[i / 64] = s;
        a += __builtin_popcountll(g);
        e += __builtin_popcountll(s);
    }
    *above += a;
    *equal += e;
}

#undef SIGN_OFF
#undef KEY_OF
