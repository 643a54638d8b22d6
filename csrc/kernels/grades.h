/* Bytes of 0, 1 and 2 for up to 64 values, from words of bits and back: a mask, or the grades of a mask in the making
 * (0 is out, 1 is in, 2 is not known yet). */
#ifndef SC_KERNELS_GRADES_H
#define SC_KERNELS_GRADES_H

#include "isa.h"

#if SC_LEVEL >= 2
/* 32 bytes: ~0 where the bit is set */
static inline __m256i bytes_of_32(uint32_t bits)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread), bit), bit);
}
#endif

/* 8 bytes: 1 where the bit is set, the first in the low byte */
static inline uint64_t bytes_of_8(uint64_t bits)
{
    uint64_t v = (bits & 0xff) * 0x0101010101010101 & 0x8040201008040201;
    return (v + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
}

/* to[i] = bit i of one + 2 * bit i of two, i < m <= 64 */
static inline void write_grades(uint8_t *to, int64_t m, uint64_t one, uint64_t two)
{
    if (m == 64) {
#if SC_LEVEL >= 512
        __m512i v = _mm512_maskz_set1_epi8(one, 1);
        _mm512_storeu_si512(to, two ? _mm512_mask_set1_epi8(v, two, 2) : v);
#elif SC_LEVEL >= 2
        for (int j = 0; j < 64; j += 32) {
            __m256i v = _mm256_and_si256(bytes_of_32((uint32_t)(one >> j)), _mm256_set1_epi8(1));
            if (two) v = _mm256_or_si256(v, _mm256_and_si256(bytes_of_32((uint32_t)(two >> j)), _mm256_set1_epi8(2)));
            _mm256_storeu_si256((void *)(to + j), v);
        }
#else
        for (int j = 0; j < 64; j += 8) {
            uint64_t v = bytes_of_8(one >> j) + 2 * bytes_of_8(two >> j);
            for (int b = 0; b < 8; b++) to[j + b] = (uint8_t)(v >> 8 * b);
        }
#endif
        return;
    }
    for (int64_t i = 0; i < m; i++) to[i] = (uint8_t)((one >> i & 1) + 2 * (two >> i & 1));
}

/* the bits of grade 2, and with `one` those of grade 1 */
static inline uint64_t read_grades(const uint8_t *from, int64_t m, uint64_t *one)
{
    uint64_t two = 0;
    if (one) *one = 0;
#if SC_LEVEL >= 512
    if (m == 64) {
        __m512i v = _mm512_loadu_si512(from);
        if (one) *one = _mm512_test_epi8_mask(v, _mm512_set1_epi8(1));
        return _mm512_test_epi8_mask(v, _mm512_set1_epi8(2));
    }
#elif SC_LEVEL >= 2
    if (m == 64) {
        for (int j = 0; j < 64; j += 32) {
            __m256i v = _mm256_loadu_si256((const void *)(from + j));
            if (one) *one |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(v, 7)) << j;
            two |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(v, 6)) << j;
        }
        return two;
    }
#endif
    for (int64_t i = 0; i < m; i++) {
        if (one) *one |= (uint64_t)(from[i] & 1) << i;
        two |= (uint64_t)(from[i] >> 1) << i;
    }
    return two;
}

#endif
