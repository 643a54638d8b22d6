/* Sorting the products of one row by column.  A key is (column << bits | number of the product): the number keeps the
 * order of summation, and finds the value again.  Keys of 32 bits, where they suffice, go through a bitonic network;
 * it needs no comparison that a processor could guess wrong. */
#ifndef SC_SPGEMM_SORT_H
#define SC_SPGEMM_SORT_H

static inline void insertion_sort(uint64_t *key, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        uint64_t k = key[i];
        int64_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) key[j] = key[j - 1];
        key[j] = k;
    }
}

/* Sorts key[0:n], with room for as many in spare; returns where the sorted keys are. */
static uint64_t *merge_sort(uint64_t *key, uint64_t *spare, int64_t n)
{
    enum { RUN = 16 };
    for (int64_t i = 0; i < n; i += RUN) insertion_sort(key + i, SC_MIN(RUN, n - i));
    for (int64_t width = RUN; width < n; width *= 2) {
        for (int64_t i = 0; i < n; i += 2 * width) {
            int64_t a = i, ae = SC_MIN(i + width, n), b = ae, be = SC_MIN(i + 2 * width, n);
            for (int64_t o = i; o < be; o++) {
                int left = b >= be || (a < ae && key[a] < key[b]);
                spare[o] = left ? key[a] : key[b];
                a += left;
                b += !left;
            }
        }
        uint64_t *t = key;
        key = spare;
        spare = t;
    }
    return key;
}

#if SC_LEVEL >= 2
/* A vector of keys; lanes i and i ^ j compare, the lanes of `high` keep the larger. */
#if SC_LEVEL >= 512
typedef __m512i sc_keys;
#define KEYS 16
#define KEYS_LOAD(p) _mm512_load_si512(p)
#define KEYS_STORE(p, v) _mm512_store_si512(p, v)
#define KEYS_MIN(a, b) _mm512_min_epu32(a, b)
#define KEYS_MAX(a, b) _mm512_max_epu32(a, b)
#define EXCHANGE(v, partner, high) \
    _mm512_mask_max_epu32(_mm512_min_epu32(v, partner), high, v, partner)
#define SWAP1(v) _mm512_shuffle_epi32(v, 0xB1)
#define SWAP2(v) _mm512_shuffle_epi32(v, 0x4E)
#define SWAP4(v) _mm512_shuffle_i64x2(v, v, 0xB1)
#define SWAP8(v) _mm512_shuffle_i64x2(v, v, 0x4E)

/* A bitonic vector, sorted. */
static inline sc_keys merge_vector(sc_keys v)
{
    v = EXCHANGE(v, SWAP8(v), 0xFF00);
    v = EXCHANGE(v, SWAP4(v), 0xF0F0);
    v = EXCHANGE(v, SWAP2(v), 0xCCCC);
    return EXCHANGE(v, SWAP1(v), 0xAAAA);
}

static inline sc_keys sort_vector(sc_keys v)
{
    v = EXCHANGE(v, SWAP1(v), 0x6666);
    v = EXCHANGE(v, SWAP2(v), 0x3C3C);
    v = EXCHANGE(v, SWAP1(v), 0x5A5A);
    v = EXCHANGE(v, SWAP4(v), 0x0FF0);
    v = EXCHANGE(v, SWAP2(v), 0x33CC);
    v = EXCHANGE(v, SWAP1(v), 0x55AA);
    return merge_vector(v);
}

static inline sc_keys reverse_vector(sc_keys v)
{
    return _mm512_permutexvar_epi32(_mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), v);
}
#else
typedef __m256i sc_keys;
#define KEYS 8
#define KEYS_LOAD(p) _mm256_load_si256((const __m256i *)(p))
#define KEYS_STORE(p, v) _mm256_store_si256((__m256i *)(p), v)
#define KEYS_MIN(a, b) _mm256_min_epu32(a, b)
#define KEYS_MAX(a, b) _mm256_max_epu32(a, b)
#define EXCHANGE(v, partner, high) \
    _mm256_blend_epi32(_mm256_min_epu32(v, partner), _mm256_max_epu32(v, partner), high)
#define SWAP1(v) _mm256_shuffle_epi32(v, 0xB1)
#define SWAP2(v) _mm256_shuffle_epi32(v, 0x4E)
#define SWAP4(v) _mm256_permute2x128_si256(v, v, 0x01)

static inline sc_keys merge_vector(sc_keys v)
{
    v = EXCHANGE(v, SWAP4(v), 0xF0);
    v = EXCHANGE(v, SWAP2(v), 0xCC);
    return EXCHANGE(v, SWAP1(v), 0xAA);
}

static inline sc_keys sort_vector(sc_keys v)
{
    v = EXCHANGE(v, SWAP1(v), 0x66);
    v = EXCHANGE(v, SWAP2(v), 0x3C);
    v = EXCHANGE(v, SWAP1(v), 0x5A);
    return merge_vector(v);
}

static inline sc_keys reverse_vector(sc_keys v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_set_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* Two sorted runs of `half` vectors each, side by side, become one. */
static inline __attribute__((always_inline)) void merge_runs(sc_keys *v, const int half)
{
#pragma GCC unroll 8
    for (int i = 0; i < (half + 1) / 2; i++) {
        /* element i of the first run meets element i of the second one read backwards */
        sc_keys a = v[i], b = v[half - 1 - i], y = reverse_vector(v[2 * half - 1 - i]), z = reverse_vector(v[half + i]);
        v[i] = KEYS_MIN(a, y);
        v[half + i] = KEYS_MAX(a, y);
        v[half - 1 - i] = KEYS_MIN(b, z);
        v[2 * half - 1 - i] = KEYS_MAX(b, z);
    }
#pragma GCC unroll 8
    for (int step = half / 2; step; step /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < 2 * half; i++)
            if (!(i & step)) {
                sc_keys a = v[i], b = v[i + step];
                v[i] = KEYS_MIN(a, b);
                v[i + step] = KEYS_MAX(a, b);
            }
#pragma GCC unroll 16
    for (int i = 0; i < 2 * half; i++) v[i] = merge_vector(v[i]);
}

/* key[0 : KEYS * n], sorted; n a power of two known to the compiler, all in registers. */
static inline __attribute__((always_inline)) void sort_block(uint32_t *key, const int n)
{
    sc_keys v[16];
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) v[i] = sort_vector(KEYS_LOAD(key + KEYS * i));
#pragma GCC unroll 8
    for (int half = 1; half < n; half *= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; i += 2 * half) merge_runs(v + i, half);
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) KEYS_STORE(key + KEYS * i, v[i]);
}

static void sort_16(uint32_t *key) { sort_block(key, 16 / KEYS); }
static void sort_32(uint32_t *key) { sort_block(key, 32 / KEYS); }
static void sort_64(uint32_t *key) { sort_block(key, 64 / KEYS); }
static void sort_128(uint32_t *key) { sort_block(key, 128 / KEYS); }
#if SC_LEVEL >= 512
static void sort_256(uint32_t *key) { sort_block(key, 256 / KEYS); }
#define BLOCK 256
#define SORT_BLOCK sort_256
#else
#define BLOCK 128
#define SORT_BLOCK sort_128
#endif

/* Sorts key[0:n]; room up to the next power of two, 64-byte aligned. */
static void bitonic_sort(uint32_t *key, int64_t n)
{
    int64_t full = 16;
    while (full < n) full *= 2;
    for (int64_t i = n; i < full; i++) key[i] = UINT32_MAX;
    if (full == 16) sort_16(key);
    else if (full == 32) sort_32(key);
    else if (full == 64) sort_64(key);
    else if (full == 128) sort_128(key);
    else {
        for (int64_t i = 0; i < full; i += BLOCK) SORT_BLOCK(key + i);
        for (int64_t half = BLOCK / KEYS; 2 * KEYS * half <= full; half *= 2)
            for (int64_t i = 0; i < full; i += 2 * KEYS * half) merge_runs((sc_keys *)(key + i), (int)half);
    }
}
#undef BLOCK
#undef SORT_BLOCK
#endif
#endif
