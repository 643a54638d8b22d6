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

#if SC_LEVEL >= 512
/* Lanes i and i ^ j compare; the lanes of `high` keep the larger. */
#define EXCHANGE(v, partner, high) \
    _mm512_mask_max_epu32(_mm512_min_epu32(v, partner), high, v, partner)
#define SWAP1(v) _mm512_shuffle_epi32(v, 0xB1)
#define SWAP2(v) _mm512_shuffle_epi32(v, 0x4E)
#define SWAP4(v) _mm512_shuffle_i64x2(v, v, 0xB1)
#define SWAP8(v) _mm512_shuffle_i64x2(v, v, 0x4E)

/* A bitonic vector, sorted. */
static inline __m512i merge16(__m512i v)
{
    v = EXCHANGE(v, SWAP8(v), 0xFF00);
    v = EXCHANGE(v, SWAP4(v), 0xF0F0);
    v = EXCHANGE(v, SWAP2(v), 0xCCCC);
    return EXCHANGE(v, SWAP1(v), 0xAAAA);
}

static inline __m512i sort16(__m512i v)
{
    v = EXCHANGE(v, SWAP1(v), 0x6666);
    v = EXCHANGE(v, SWAP2(v), 0x3C3C);
    v = EXCHANGE(v, SWAP1(v), 0x5A5A);
    v = EXCHANGE(v, SWAP4(v), 0x0FF0);
    v = EXCHANGE(v, SWAP2(v), 0x33CC);
    v = EXCHANGE(v, SWAP1(v), 0x55AA);
    return merge16(v);
}

static inline __m512i reverse16(__m512i v)
{
    return _mm512_permutexvar_epi32(_mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), v);
}

/* Two sorted runs of `half` vectors each, side by side, become one. */
static inline __attribute__((always_inline)) void merge_runs(__m512i *v, const int half)
{
#pragma GCC unroll 8
    for (int i = 0; i < (half + 1) / 2; i++) {
        /* element i of the first run meets element i of the second one read backwards */
        __m512i a = v[i], b = v[half - 1 - i], y = reverse16(v[2 * half - 1 - i]), z = reverse16(v[half + i]);
        v[i] = _mm512_min_epu32(a, y);
        v[half + i] = _mm512_max_epu32(a, y);
        v[half - 1 - i] = _mm512_min_epu32(b, z);
        v[2 * half - 1 - i] = _mm512_max_epu32(b, z);
    }
#pragma GCC unroll 8
    for (int step = half / 2; step; step /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < 2 * half; i++)
            if (!(i & step)) {
                __m512i a = v[i], b = v[i + step];
                v[i] = _mm512_min_epu32(a, b);
                v[i + step] = _mm512_max_epu32(a, b);
            }
#pragma GCC unroll 16
    for (int i = 0; i < 2 * half; i++) v[i] = merge16(v[i]);
}

/* key[0 : 16 * n], sorted; n a power of two known to the compiler, all in registers. */
static inline __attribute__((always_inline)) void sort_block(uint32_t *key, const int n)
{
    __m512i v[16];
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) v[i] = sort16(_mm512_load_si512(key + 16 * i));
#pragma GCC unroll 8
    for (int half = 1; half < n; half *= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; i += 2 * half) merge_runs(v + i, half);
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) _mm512_store_si512(key + 16 * i, v[i]);
}

static void sort_16(uint32_t *key) { sort_block(key, 1); }
static void sort_32(uint32_t *key) { sort_block(key, 2); }
static void sort_64(uint32_t *key) { sort_block(key, 4); }
static void sort_128(uint32_t *key) { sort_block(key, 8); }
static void sort_256(uint32_t *key) { sort_block(key, 16); }

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
        for (int64_t i = 0; i < full; i += 256) sort_256(key + i);
        for (int64_t half = 16; 32 * half <= full; half *= 2)
            for (int64_t i = 0; i < full; i += 32 * half) merge_runs((__m512i *)(key + i), (int)half);
    }
}
#endif
#endif
