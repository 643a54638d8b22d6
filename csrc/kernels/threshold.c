/* From bits to results: byte masks, compacted rows; N:M masks and block sums. */
#include "isa.h"
#include "lanes.h"

/* mask[i] = bit i */
static void bytes_of_bits(const uint64_t *bits, int64_t n, uint8_t *mask)
{
    int64_t i = 0;
#if SC_LEVEL >= 512
    for (; i + 64 <= n; i += 64) _mm512_storeu_si512(mask + i, _mm512_maskz_set1_epi8(bits[i / 64], 1));
#elif SC_LEVEL >= 2
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    for (; i + 32 <= n; i += 32) {
        __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int)(bits[i / 64] >> (i & 32))), spread);
        v = _mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
        _mm256_storeu_si256((void *)(mask + i), _mm256_and_si256(v, _mm256_set1_epi8(1)));
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t v = (bits[i / 64] >> (i & 63) & 0xff) * 0x0101010101010101 & 0x8040201008040201;
        v = (v + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
        for (int j = 0; j < 8; j++) mask[i + j] = (uint8_t)(v >> 8 * j);
    }
    for (; i < n; i++) mask[i] = bits[i / 64] >> (i & 63) & 1;
}

/* bit i = mask[i] != 0; returns their number */
static int64_t bits_of_bytes(const uint8_t *mask, int64_t n, uint64_t *bits)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += 64) {
        uint64_t word = 0;
#if SC_LEVEL >= 512
        __mmask64 some = n - i >= 64 ? ~0ull : (1ull << (n - i)) - 1;
        __m512i v = _mm512_maskz_loadu_epi8(some, mask + i);
        word = _mm512_test_epi8_mask(v, v);
#else
        int64_t end = SC_MIN(64, n - i), j = 0;
#if SC_LEVEL >= 2
        for (; j + 32 <= end; j += 32) {
            __m256i none = _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)(mask + i + j)), _mm256_setzero_si256());
            word |= (uint64_t)~(uint32_t)_mm256_movemask_epi8(none) << j;
        }
#endif
        for (; j < end; j++) word |= (uint64_t)(mask[i + j] != 0) << j;
#endif
        bits[i / 64] = word;
        count += __builtin_popcountll(word);
    }
    return count;
}

/* larger |= the first `quota` bits of same; returns how many there were to take */
static int64_t take_first(uint64_t *larger, const uint64_t *same, int64_t words, int64_t quota)
{
    int64_t taken = 0;
    for (int64_t w = 0; w < words && taken < quota; w++) {
        uint64_t s = same[w];
        int64_t c = __builtin_popcountll(s);
        if (taken + c > quota) {
            for (c = 0; taken + c < quota; c++) {
                larger[w] |= s & -s;
                s &= s - 1;
            }
        } else {
            larger[w] |= s;
        }
        taken += c;
    }
    return taken;
}

#define SC_BODY "threshold_body.h"
#include "each_key.h"
#undef SC_BODY

/* Values of every size, moved as bits, with 32- or 64-bit column numbers. */
typedef struct { uint64_t half[2]; } pair;
#define SC_EACH "compact_body.h"
#define IDX int32_t
#define INAME i32
#include "each_size.h"
#undef IDX
#undef INAME
#define IDX int64_t
#define INAME i64
#include "each_size.h"

#define BY_KEY(f) {f##_k16, f##_k32, f##_k64}
#define BY_SIZE(f) {SC_PASTE(f, 1), SC_PASTE(f, 2), SC_PASTE(f, 4), SC_PASTE(f, 8), SC_PASTE(f, 16)}
const struct sc_threshold_kernels SC_SYM(sc_threshold) = {
    .bytes_of_bits = bytes_of_bits,
    .bits_of_bytes = bits_of_bytes,
    .take_first = take_first,
    .compact = {BY_SIZE(compact_i32), BY_SIZE(compact_i64)},
    .groups = BY_KEY(groups),
};
