/* Selection by magnitude: instances for every width of stored reals. */
#include "isa.h"
#include "lanes.h"

/* A fixed pseudo-random number for each i (splitmix64). */
static inline uint64_t mix(uint64_t z)
{
    z = (z + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#if SC_LEVEL >= 2
/* 32 grades become codes: 1 where a grade is `above`, the largest, 0 where it is 0, else the grade + 1.  bins[code]
 * counts those; bins[1] is left to the caller, who gets the number of ones. */
static inline int64_t codes_of_grades(__m256i grades, __m256i above, uint8_t *mask, int far, int64_t *bins)
{
    const __m256i none = _mm256_setzero_si256(), one = _mm256_set1_epi8(1);
    __m256i low = _mm256_cmpeq_epi8(grades, none), high = _mm256_cmpeq_epi8(grades, above);
    __m256i code = _mm256_blendv_epi8(_mm256_andnot_si256(low, _mm256_add_epi8(grades, one)), one, high);
    if (far) _mm256_stream_si256((void *)mask, code);
    else _mm256_storeu_si256((void *)mask, code);
    unsigned between = ~(unsigned)_mm256_movemask_epi8(_mm256_or_si256(low, high));
    uint8_t codes[32];
    if (between) _mm256_storeu_si256((void *)codes, code);
    while (between) {       /* equal neighbours are counted together */
        uint8_t first = codes[__builtin_ctz(between)];
        unsigned same = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(code, _mm256_set1_epi8((char)first)));
        bins[first] += __builtin_popcount(same);
        between &= ~same;
    }
    return __builtin_popcount((unsigned)_mm256_movemask_epi8(high));
}
#endif

#if SC_LEVEL >= 2 && SC_LEVEL < 512
/* min((key + shifted) >> by, 255) of 32 keys, 0 where that is negative: what packing with saturation does.  Raises
 * top. */
static inline __m256i grades_k16(const uint16_t *x, __m256i shifted, __m128i by, __m256i *top)
{
    __m256i v[2];
    for (int j = 0; j < 2; j++) {
        v[j] = _mm256_and_si256(_mm256_loadu_si256((const void *)(x + 16 * j)), _mm256_set1_epi16(0x7fff));
        *top = _mm256_max_epu16(*top, v[j]);
        v[j] = _mm256_sra_epi16(_mm256_add_epi16(v[j], shifted), by);
    }
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(v[0], v[1]), 0xd8);
}

static inline __m256i grades_k32(const uint32_t *x, __m256i shifted, __m128i by, __m256i *top)
{
    __m256i v[4];
    for (int j = 0; j < 4; j++) {
        v[j] = _mm256_and_si256(_mm256_loadu_si256((const void *)(x + 8 * j)), _mm256_set1_epi32(0x7fffffff));
        *top = _mm256_max_epu32(*top, v[j]);
        v[j] = _mm256_sra_epi32(_mm256_add_epi32(v[j], shifted), by);
    }
    __m256i low = _mm256_packs_epi32(v[0], v[1]), high = _mm256_packs_epi32(v[2], v[3]);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline uint16_t top_k16(__m256i v)
{
    uint16_t x[16], top = 0;
    _mm256_storeu_si256((void *)x, v);
    for (int i = 0; i < 16; i++) top = SC_MAX(top, x[i]);
    return top;
}
#define top_k32 (uint32_t)highest_k32
#endif

/* How many of mask[0:n] are `code`? */
static int64_t count_code(const uint8_t *mask, int64_t n, uint8_t code)
{
    int64_t count = 0, i = 0;
#if SC_LEVEL >= 2
    const __m256i wanted = _mm256_set1_epi8((char)code);
    for (; i + 32 <= n; i += 32) {
        __m256i same = _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)(mask + i)), wanted);
        count += __builtin_popcount((unsigned)_mm256_movemask_epi8(same));
    }
#endif
    for (; i < n; i++) count += mask[i] == code;
    return count;
}

/* mask[i] = 1 where it is 1 or at least `from`, else 0; places[0:] = where it was `code` (2 or more), at most `room` of
 * them; returns how many there were, if there is room. */
static int64_t settle(uint8_t *mask, int64_t n, uint8_t code, uint8_t from, int32_t *places, int64_t room)
{
    int64_t found = 0, i = 0;
#if SC_LEVEL >= 2
    const __m256i one = _mm256_set1_epi8(1), wanted = _mm256_set1_epi8((char)code);
    const __m256i least = _mm256_set1_epi8((char)from), coded = _mm256_set1_epi8((char)0xfe);
    for (; i + 32 <= n; i += 32) {
        __m256i v = _mm256_loadu_si256((const void *)(mask + i));
        if (_mm256_testz_si256(v, coded)) continue;
        __m256i in = _mm256_or_si256(_mm256_cmpeq_epi8(v, one), _mm256_cmpeq_epi8(_mm256_max_epu8(v, least), v));
        _mm256_storeu_si256((void *)(mask + i), _mm256_and_si256(in, one));
        unsigned same = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, wanted));
        if (!room) continue;
        for (; same; same &= same - 1, found++)
            if (found < room) places[found] = (int32_t)(i + __builtin_ctz(same));
    }
#endif
    for (; i < n; i++) {
        uint8_t v = mask[i];
        mask[i] = v == 1 || v >= from;
        if (v == code && room) {
            if (found < room) places[found] = (int32_t)i;
            found++;
        }
    }
    return found;
}

#define SC_BODY "select_body.h"
#include "each_key.h"

#define BY_KEY(f) {f##_k16, f##_k32, f##_k64}
const struct sc_select_kernels SC_SYM(sc_select) = {
    .keys = BY_KEY(keys),
    .sample = BY_KEY(sample),
    .bracket = BY_KEY(bracket),
    .grade = BY_KEY(grade),
    .count_code = count_code,
    .settle = settle,
    .histogram = BY_KEY(histogram),
    .pick = BY_KEY(pick),
    .at_least = BY_KEY(at_least),
    .ranked = BY_KEY(ranked),
};
