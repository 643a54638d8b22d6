/* Vectors of keys, named by K(...), the same on both vector instruction sets: `lanes` and the bits that a comparison
 * leaves, one for each lane.  AVX-512: 16 lanes of 16 or 32 bits, 8 of 64; AVX2: 8 and 4.  16-bit keys are widened.
 * Comparisons of AVX2 are signed, so keys must be less than half of their type: their sign bit is off. */
#ifndef SC_KERNELS_LANES_H
#define SC_KERNELS_LANES_H

/* A hint that the line at `ahead` bytes behind x will be read: 1 KB ahead, one read of 180 MB takes 7 to 15 % less time
 * than with the processor's own prefetching, on one core and on two (Zen 3). */
static inline void ask_for(const void *x, uint64_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)x + (uintptr_t)ahead), 0, 3);
}

#if SC_LEVEL >= 512

#define NLANES_k16 16
#define NLANES_k32 16
#define NLANES_k64 8
typedef __m512i lanes;

static inline lanes no_lanes(void) { return _mm512_setzero_si512(); }
static inline lanes both(lanes a, lanes b) { return _mm512_and_si512(a, b); }

static inline lanes load_k16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)); }
static inline lanes load_k32(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline lanes load_k64(const uint64_t *p) { return _mm512_loadu_si512(p); }
static inline void store_k16(uint16_t *p, lanes v) { _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(v)); }
static inline void store_k32(uint32_t *p, lanes v) { _mm512_storeu_si512(p, v); }
static inline void store_k64(uint64_t *p, lanes v) { _mm512_storeu_si512(p, v); }

static inline lanes all_k32(uint64_t key) { return _mm512_set1_epi32((int)key); }
static inline lanes all_k64(uint64_t key) { return _mm512_set1_epi64((long long)key); }
static inline unsigned over_k32(lanes a, lanes b) { return _mm512_cmpgt_epu32_mask(a, b); }
static inline unsigned over_k64(lanes a, lanes b) { return _mm512_cmpgt_epu64_mask(a, b); }
static inline unsigned same_k32(lanes a, lanes b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline unsigned same_k64(lanes a, lanes b) { return _mm512_cmpeq_epi64_mask(a, b); }
static inline lanes higher_k32(lanes a, lanes b) { return _mm512_max_epu32(a, b); }
static inline lanes higher_k64(lanes a, lanes b) { return _mm512_max_epu64(a, b); }
static inline lanes lower_k32(lanes a, lanes b) { return _mm512_min_epu32(a, b); }
static inline lanes lower_k64(lanes a, lanes b) { return _mm512_min_epu64(a, b); }
static inline lanes shift_k32(lanes v, __m128i by) { return _mm512_srl_epi32(v, by); }
static inline lanes shift_k64(lanes v, __m128i by) { return _mm512_srl_epi64(v, by); }
/* the lowest byte of every lane */
static inline void store_bytes_k32(uint8_t *p, lanes v) { _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(v)); }
static inline void store_bytes_k64(uint8_t *p, lanes v) { _mm_storel_epi64((void *)p, _mm512_cvtepi64_epi8(v)); }
static inline lanes squeeze_k32(unsigned m, lanes v) { return _mm512_maskz_compress_epi32((__mmask16)m, v); }
static inline lanes squeeze_k64(unsigned m, lanes v) { return _mm512_maskz_compress_epi64((__mmask8)m, v); }
static inline uint64_t highest_k32(lanes v) { return _mm512_reduce_max_epu32(v); }
static inline uint64_t highest_k64(lanes v) { return _mm512_reduce_max_epu64(v); }

static inline lanes numbers_k32(void) { return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); }
static inline lanes numbers_k64(void) { return _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0); }
static inline lanes plus_k32(lanes a, lanes b) { return _mm512_add_epi32(a, b); }
static inline lanes plus_k64(lanes a, lanes b) { return _mm512_add_epi64(a, b); }
static inline lanes minus_k32(lanes a, lanes b) { return _mm512_sub_epi32(a, b); }
static inline lanes minus_k64(lanes a, lanes b) { return _mm512_sub_epi64(a, b); }
/* count + 1 where a > b, signed */
static inline lanes count_over_k32(lanes count, lanes a, lanes b)
{
    return _mm512_mask_add_epi32(count, _mm512_cmpgt_epi32_mask(a, b), count, _mm512_set1_epi32(1));
}
static inline lanes count_over_k64(lanes count, lanes a, lanes b)
{
    return _mm512_mask_add_epi64(count, _mm512_cmpgt_epi64_mask(a, b), count, _mm512_set1_epi64(1));
}
/* lane i becomes lane places[i] of v: rearrange(order(places), v) */
static inline lanes order_k32(lanes places) { return places; }
static inline lanes order_k64(lanes places) { return places; }
static inline lanes rearrange_k32(lanes order, lanes v) { return _mm512_permutexvar_epi32(order, v); }
static inline lanes rearrange_k64(lanes order, lanes v) { return _mm512_permutexvar_epi64(order, v); }

#elif SC_LEVEL >= 2

#define NLANES_k16 8
#define NLANES_k32 8
#define NLANES_k64 4
typedef __m256i lanes;

/* set_bits[m]: the numbers of the bits of m, from the lowest on, a byte each.  There is no vector compress: a vector is
 * squeezed by a permutation from this table. */
#define BIT(m, i, above) ((uint64_t)(above) << 8 * ((m) >> i & 1) | ((m) >> i & 1) * (uint64_t)i)
#define ROW(m) BIT(m, 0, BIT(m, 1, BIT(m, 2, BIT(m, 3, BIT(m, 4, BIT(m, 5, BIT(m, 6, BIT(m, 7, 0))))))))
#define ROWS4(m) ROW(m), ROW(m + 1), ROW(m + 2), ROW(m + 3)
#define ROWS16(m) ROWS4(m), ROWS4(m + 4), ROWS4(m + 8), ROWS4(m + 12)
#define ROWS64(m) ROWS16(m), ROWS16(m + 16), ROWS16(m + 32), ROWS16(m + 48)
static const uint64_t set_bits[256] = {ROWS64(0), ROWS64(64), ROWS64(128), ROWS64(192)};
#undef BIT
#undef ROW
#undef ROWS4
#undef ROWS16
#undef ROWS64

static inline lanes no_lanes(void) { return _mm256_setzero_si256(); }
static inline lanes both(lanes a, lanes b) { return _mm256_and_si256(a, b); }

static inline lanes load_k16(const uint16_t *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)); }
static inline lanes load_k32(const uint32_t *p) { return _mm256_loadu_si256((const void *)p); }
static inline lanes load_k64(const uint64_t *p) { return _mm256_loadu_si256((const void *)p); }
static inline void store_k16(uint16_t *p, lanes v)
{
    __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(halves));
}
static inline void store_k32(uint32_t *p, lanes v) { _mm256_storeu_si256((void *)p, v); }
static inline void store_k64(uint64_t *p, lanes v) { _mm256_storeu_si256((void *)p, v); }

static inline lanes all_k32(uint64_t key) { return _mm256_set1_epi32((int)key); }
static inline lanes all_k64(uint64_t key) { return _mm256_set1_epi64x((long long)key); }
static inline lanes either(lanes a, lanes b) { return _mm256_or_si256(a, b); }
static inline int everywhere(lanes m) { return _mm256_testc_si256(m, _mm256_set1_epi32(-1)); }
static inline lanes where_over_k32(lanes a, lanes b) { return _mm256_cmpgt_epi32(a, b); }
static inline lanes where_over_k64(lanes a, lanes b) { return _mm256_cmpgt_epi64(a, b); }
static inline unsigned bits_k32(lanes m) { return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
static inline unsigned bits_k64(lanes m) { return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(m)); }
static inline unsigned over_k32(lanes a, lanes b) { return bits_k32(_mm256_cmpgt_epi32(a, b)); }
static inline unsigned over_k64(lanes a, lanes b) { return bits_k64(_mm256_cmpgt_epi64(a, b)); }
static inline unsigned same_k32(lanes a, lanes b) { return bits_k32(_mm256_cmpeq_epi32(a, b)); }
static inline unsigned same_k64(lanes a, lanes b) { return bits_k64(_mm256_cmpeq_epi64(a, b)); }
static inline lanes higher_k32(lanes a, lanes b) { return _mm256_max_epu32(a, b); }
static inline lanes higher_k64(lanes a, lanes b) { return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b)); }
static inline lanes lower_k32(lanes a, lanes b) { return _mm256_min_epu32(a, b); }
static inline lanes lower_k64(lanes a, lanes b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b)); }
static inline lanes shift_k32(lanes v, __m128i by) { return _mm256_srl_epi32(v, by); }
static inline lanes shift_k64(lanes v, __m128i by) { return _mm256_srl_epi64(v, by); }
/* the lowest byte of every lane */
static inline void store_bytes_k32(uint8_t *p, lanes v)
{
    const __m256i low = _mm256_set1_epi64x((int64_t)0x808080800c080400);
    v = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v, low), _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
    _mm_storel_epi64((void *)p, _mm256_castsi256_si128(v));
}
static inline void store_bytes_k64(uint8_t *p, lanes v)
{
    v = _mm256_shuffle_epi8(v, _mm256_setr_epi64x((int64_t)0x8080808080800800, -1, (int64_t)0x8080808008008080, -1));
    int32_t bytes = _mm_cvtsi128_si32(_mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
    memcpy(p, &bytes, 4);
}

static inline lanes numbers_k32(void) { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }
static inline lanes numbers_k64(void) { return _mm256_set_epi64x(3, 2, 1, 0); }
static inline lanes plus_k32(lanes a, lanes b) { return _mm256_add_epi32(a, b); }
static inline lanes plus_k64(lanes a, lanes b) { return _mm256_add_epi64(a, b); }
static inline lanes minus_k32(lanes a, lanes b) { return _mm256_sub_epi32(a, b); }
static inline lanes minus_k64(lanes a, lanes b) { return _mm256_sub_epi64(a, b); }
static inline lanes count_over_k32(lanes count, lanes a, lanes b)
{
    return _mm256_sub_epi32(count, _mm256_cmpgt_epi32(a, b));
}
static inline lanes count_over_k64(lanes count, lanes a, lanes b)
{
    return _mm256_sub_epi64(count, _mm256_cmpgt_epi64(a, b));
}
static inline lanes order_k32(lanes places) { return places; }
static inline lanes order_k64(lanes places)      /* 64-bit lanes move as pairs of 32-bit ones */
{
    lanes low = _mm256_slli_epi64(places, 1), high = _mm256_or_si256(low, _mm256_set1_epi64x(1));
    return _mm256_or_si256(low, _mm256_slli_epi64(high, 32));
}
static inline lanes rearrange_k32(lanes order, lanes v) { return _mm256_permutevar8x32_epi32(v, order); }
static inline lanes rearrange_k64(lanes order, lanes v) { return _mm256_permutevar8x32_epi32(v, order); }

/* the numbers of the bits of m in the first lanes */
static inline lanes places_k32(unsigned m)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(set_bits + m)));
}
static inline lanes places_k64(unsigned m) { return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128((int)set_bits[m])); }
static inline lanes squeeze_k32(unsigned m, lanes v) { return rearrange_k32(places_k32(m), v); }
static inline lanes squeeze_k64(unsigned m, lanes v) { return rearrange_k64(order_k64(places_k64(m)), v); }
static inline uint64_t highest_k32(lanes v)
{
    uint32_t x[8], top = 0;
    _mm256_storeu_si256((void *)x, v);
    for (int i = 0; i < 8; i++) top = SC_MAX(top, x[i]);
    return top;
}
static inline uint64_t highest_k64(lanes v)
{
    uint64_t x[4], top = 0;
    _mm256_storeu_si256((void *)x, v);
    for (int i = 0; i < 4; i++) top = SC_MAX(top, x[i]);
    return top;
}
static inline uint64_t total_k32(lanes v)
{
    uint32_t x[8];
    uint64_t sum = 0;
    _mm256_storeu_si256((void *)x, v);
    for (int i = 0; i < 8; i++) sum += x[i];
    return sum;
}
static inline uint64_t total_k64(lanes v)
{
    uint64_t x[4];
    _mm256_storeu_si256((void *)x, v);
    return x[0] + x[1] + x[2] + x[3];
}
#define bits_k16 bits_k32
#define where_over_k16 where_over_k32
#define total_k16 total_k32
#endif

#if SC_LEVEL >= 2
#define all_k16 all_k32
#define over_k16 over_k32
#define same_k16 same_k32
#define higher_k16 higher_k32
#define lower_k16 lower_k32
#define shift_k16 shift_k32
#define store_bytes_k16 store_bytes_k32
#define squeeze_k16 squeeze_k32
#define highest_k16 highest_k32
#define numbers_k16 numbers_k32
#define plus_k16 plus_k32
#define minus_k16 minus_k32
#define count_over_k16 count_over_k32
#define order_k16 order_k32
#define rearrange_k16 rearrange_k32
#define LANES SC_PASTE(NLANES, KNAME)
#define K(name) SC_PASTE(name, KNAME)
#endif
#endif
