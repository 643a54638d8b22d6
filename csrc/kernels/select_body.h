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
#if SC_LEVEL < 512
    /* Four vectors mostly lie outside lo..hi together, or but for a few: then it is enough to count those above. */
    enum { FEW = 4 };
    while (i + 4 * LANES <= n) {
        lanes above = no_lanes();
        for (int64_t end = SC_MIN(n - 4 * LANES, i + (1 << 24)); i <= end; i += 4 * LANES) {
            lanes v[4], outside[4];
            for (size_t b = 0; b < 4 * LANES * sizeof(KEY); b += 64) ask_for(x + i, 1024 + b);
            for (int j = 0; j < 4; j++) {
                v[j] = both(K(load)(x + i + j * LANES), off);
                vtop = K(higher)(vtop, v[j]);
                lanes more = K(where_over)(v[j], vhi);
                above = K(minus)(above, more);
                outside[j] = either(more, K(where_over)(vlo, v[j]));
            }
            if (everywhere(both(both(outside[0], outside[1]), both(outside[2], outside[3])))) continue;
            uint32_t within = 0;
            for (int j = 0; j < 4; j++) within |= (K(bits)(outside[j]) ^ ((1u << LANES) - 1)) << j * LANES;
            if (__builtin_popcount(within) <= FEW && kept + FEW <= room) {
                for (; within; within &= within - 1) {
                    KEY key = KEY_OF(x[i + __builtin_ctz(within)]);
                    out[kept] = key;
                    kept += (key != lo) & (key != hi);
                    from_lo += key == lo;
                    from_hi += key == hi;
                }
                continue;
            }
            for (int j = 0; j < 4; j++) {
                unsigned el = K(same)(v[j], vlo), eh = K(same)(v[j], vhi);
                unsigned in = K(bits)(outside[j]) ^ ((1u << LANES) - 1);
                in &= ~(el | eh);
                from_lo += __builtin_popcount(el);
                from_hi += __builtin_popcount(eh);
                if (!in) continue;
                if (kept + LANES <= room) K(store)(out + kept, K(squeeze)(in, v[j]));
                kept += __builtin_popcount(in);
            }
        }
        over_hi += (int64_t)K(total)(above);
    }
    /* So far from_lo and from_hi count what equals lo and hi. */
    over_lo = over_hi + kept - b->kept + (lo != hi ? from_hi : 0);
#endif
    for (; i + LANES <= n; i += LANES) {
        if (SC_LEVEL >= 512) ask_for(x + i, 1024);
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

/* mask[i] = 0 for keys below lo, 1 for those above hi, and for those between a code from 2 on: 2 + ((key - lo) >>
 * shift).  bins[code] counts them, but for code 0.  hi - lo + 1 is a multiple of 2^shift, of at most 252, or hi is the
 * largest of all keys; the key of infinity + 2^shift - lo is one.  Raises *top to the largest key.  `far`: the mask is
 * written past the caches. */
static void SC_PASTE(grade, KNAME)(const void *x_, int64_t n, uint64_t lo, uint64_t hi, int shift, uint8_t *mask,
                                   int far, int64_t *bins, uint64_t *top_)
{
    const KEY *x = x_;
    const uint64_t step = (uint64_t)1 << shift;
    const int above = (int)((hi - lo) >> shift) + 2;
    KEY top = 0;
    int64_t i = 0, ones = 0;
#if SC_LEVEL >= 2
    const __m128i by = _mm_cvtsi32_si128(shift);
    const __m256i last = _mm256_set1_epi8((char)above);
    far = far && ((uintptr_t)mask & 31) == 0;
#if SC_LEVEL < 512 && KBITS < 64
    const __m256i shifted = KBITS == 16 ? _mm256_set1_epi16((short)(step - lo)) : _mm256_set1_epi32((int)(step - lo));
    __m256i vtop = _mm256_setzero_si256();
    for (; i + 32 <= n; i += 32) {
        if (i % (64 / (int64_t)sizeof(KEY)) == 0) ask_for(x + i, 1024);
        if (KBITS == 32) ask_for(x + i, 1024 + 64);
        __m256i grades = SC_PASTE(grades, KNAME)(x + i, shifted, by, &vtop);
        ones += codes_of_grades(_mm256_min_epu8(grades, last), last, mask + i, far, bins);
    }
    top = SC_PASTE(top, KNAME)(vtop);
#else
    const lanes off = K(all)(SIGN_OFF), least = K(all)(lo ? lo - 1 : 0), most = K(all)(SC_MIN(hi + 1, SIGN_OFF));
    const lanes shifted = K(all)(step - lo);
    lanes vtop = no_lanes();
    for (; i + 32 <= n; i += 32) {
        uint8_t grades[32];
        for (int j = 0; j < 32; j += LANES) {
            ask_for(x + i + j, 1024);
            lanes v = both(K(load)(x + i + j), off);
            vtop = K(higher)(vtop, v);
            v = K(higher)(K(lower)(v, most), least);
            K(store_bytes)(grades + j, K(shift)(K(plus)(v, shifted), by));
        }
        ones += codes_of_grades(_mm256_loadu_si256((const void *)grades), last, mask + i, far, bins);
    }
    top = (KEY)K(highest)(vtop);
#endif
    if (far) _mm_sfence();
#endif
    (void)far;
    for (; i < n; i++) {
        uint64_t key = KEY_OF(x[i]);
        top = SC_MAX(top, (KEY)key);
        mask[i] = key < lo ? 0 : key > hi ? 1 : (uint8_t)(2 + ((key - lo) >> shift));
        if (mask[i] > 1) bins[mask[i]]++;
        ones += mask[i] == 1;
    }
    bins[1] += ones;
    (void)above;
    (void)step;
    *top_ = SC_MAX(*top_, (uint64_t)top);
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
    int64_t lo = 0, hi = n;    /* the k-th largest is among x[lo:hi]; what is before is larger, behind smaller */
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
        for (size_t b = 0; b < 64 * sizeof(KEY); b += 64) ask_for(x + i, 1024 + b);
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
        for (size_t b = 0; b < 64 * sizeof(KEY); b += 64) ask_for(x + i, 1024 + b);
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
