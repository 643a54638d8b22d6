/* Vectors of keys: 16 lanes of 16 or 32 bits (16-bit keys are widened), or 8 of 64.  AVX-512 only. */
#ifndef SC_KERNELS_LANES_H
#define SC_KERNELS_LANES_H
#if SC_LEVEL >= 512

#define NLANES_k16 16
#define NLANES_k32 16
#define NLANES_k64 8

static inline __m512i load_k16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)); }
static inline __m512i load_k32(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline __m512i load_k64(const uint64_t *p) { return _mm512_loadu_si512(p); }
/* the first lanes of a vector; what lies behind them is not read */
static inline __m512i load_some_k16(const uint16_t *p, __mmask16 m)
{
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p));
}
static inline __m512i load_some_k32(const uint32_t *p, __mmask16 m) { return _mm512_maskz_loadu_epi32(m, p); }
static inline __m512i load_some_k64(const uint64_t *p, __mmask16 m) { return _mm512_maskz_loadu_epi64((__mmask8)m, p); }

static inline void store_k16(uint16_t *p, __m512i v) { _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(v)); }
static inline void store_k32(uint32_t *p, __m512i v) { _mm512_storeu_si512(p, v); }
static inline void store_k64(uint64_t *p, __m512i v) { _mm512_storeu_si512(p, v); }
static inline void store_some_k16(uint16_t *p, __mmask16 m, __m512i v)
{
    _mm256_mask_storeu_epi16(p, m, _mm512_cvtepi32_epi16(v));
}
static inline void store_some_k32(uint32_t *p, __mmask16 m, __m512i v) { _mm512_mask_storeu_epi32(p, m, v); }
static inline void store_some_k64(uint64_t *p, __mmask16 m, __m512i v) { _mm512_mask_storeu_epi64(p, (__mmask8)m, v); }

static inline __m512i all_k32(uint64_t key) { return _mm512_set1_epi32((int)key); }
static inline __m512i all_k64(uint64_t key) { return _mm512_set1_epi64((long long)key); }
static inline __mmask16 over_k32(__m512i a, __m512i b) { return _mm512_cmpgt_epu32_mask(a, b); }
static inline __mmask16 over_k64(__m512i a, __m512i b) { return _mm512_cmpgt_epu64_mask(a, b); }
static inline __mmask16 same_k32(__m512i a, __m512i b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline __mmask16 same_k64(__m512i a, __m512i b) { return _mm512_cmpeq_epi64_mask(a, b); }
static inline __m512i higher_k32(__m512i a, __m512i b) { return _mm512_max_epu32(a, b); }
static inline __m512i higher_k64(__m512i a, __m512i b) { return _mm512_max_epu64(a, b); }
static inline __m512i squeeze_k32(__mmask16 m, __m512i v) { return _mm512_maskz_compress_epi32(m, v); }
static inline __m512i squeeze_k64(__mmask16 m, __m512i v) { return _mm512_maskz_compress_epi64((__mmask8)m, v); }
static inline uint64_t highest_k32(__m512i v) { return _mm512_reduce_max_epu32(v); }
static inline uint64_t highest_k64(__m512i v) { return _mm512_reduce_max_epu64(v); }
#define all_k16 all_k32
#define over_k16 over_k32
#define same_k16 same_k32
#define higher_k16 higher_k32
#define squeeze_k16 squeeze_k32
#define highest_k16 highest_k32

#define LANES SC_PASTE(NLANES, KNAME)
#define K(name) SC_PASTE(name, KNAME)
/* the mask of the first n lanes */
static inline __mmask16 first_lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }

#endif
#endif
