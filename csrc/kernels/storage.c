/* Column numbers of rows stored as bits or as positions in groups, and back. */
#include "isa.h"
#include "lanes.h"

/* out[0:] = the numbers of the bits below n; at most `room` are written; returns how many there are */
static int64_t columns_of_words(const uint64_t *words, int64_t n, int32_t *out, int64_t room)
{
    int64_t at = 0, w = 0;
#if SC_LEVEL >= 512
    for (; w * 64 + 64 <= n && at + 80 <= room; w++) {
        uint64_t word = words[w];
        for (int j = 0; word; j += 16, word >>= 16) {
            __m512i column = _mm512_add_epi32(numbers_k32(), _mm512_set1_epi32((int)(w * 64 + j)));
            _mm512_storeu_si512(out + at, _mm512_maskz_compress_epi32((__mmask16)word, column));
            at += _mm_popcnt_u32((uint32_t)word & 0xffff);
        }
    }
#elif SC_LEVEL >= 2
    for (; w * 64 + 64 <= n && at + 72 <= room; w++) {
        uint64_t word = words[w];
        for (int j = 0; word; j += 8, word >>= 8) {
            __m256i column = _mm256_add_epi32(places_k32(word & 0xff), _mm256_set1_epi32((int)(w * 64 + j)));
            _mm256_storeu_si256((void *)(out + at), column);
            at += __builtin_popcount(word & 0xff);
        }
    }
#endif
    for (; w * 64 < n; w++) {
        uint64_t word = words[w];
        if (n - w * 64 < 64) word &= ((uint64_t)1 << (n - w * 64)) - 1;
        for (; word; word &= word - 1, at++)
            if (at < room) out[at] = (int32_t)(w * 64 + __builtin_ctzll(word));
    }
    return at;
}

/* out[j] = group * (j / keep) + the j-th position, `bits` (1, 2, 4 or 8) wide, of a row that begins with a byte */
static void columns_of_positions(const uint8_t *packed, int64_t count, int64_t keep, int64_t group, int bits,
                                 int32_t *out)
{
    int64_t j = 0;
#if SC_LEVEL >= 512
    if (bits == 2 && keep <= 16 && 16 % keep == 0) {
        int32_t base[16];
        for (int i = 0; i < 16; i++) base[i] = (int32_t)(i / keep * group);
        __m512i from = _mm512_loadu_si512(base), step = _mm512_set1_epi32((int)(16 / keep * group));
        const __m512i shift = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        for (; j + 16 <= count; j += 16) {
            uint32_t word;
            memcpy(&word, packed + j / 4, 4);
            __m512i p = _mm512_and_si512(_mm512_srlv_epi32(_mm512_set1_epi32((int)word), shift), _mm512_set1_epi32(3));
            _mm512_storeu_si512(out + j, _mm512_add_epi32(from, p));
            from = _mm512_add_epi32(from, step);
        }
    }
#elif SC_LEVEL >= 2
    if (bits == 2 && keep <= 8 && 8 % keep == 0) {
        int32_t base[8];
        for (int i = 0; i < 8; i++) base[i] = (int32_t)(i / keep * group);
        __m256i from = _mm256_loadu_si256((const void *)base), step = _mm256_set1_epi32((int)(8 / keep * group));
        const __m256i shift = _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0);
        for (; j + 8 <= count; j += 8) {
            uint16_t word;
            memcpy(&word, packed + j / 4, 2);
            __m256i p = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(word), shift), _mm256_set1_epi32(3));
            _mm256_storeu_si256((void *)(out + j), _mm256_add_epi32(from, p));
            from = _mm256_add_epi32(from, step);
        }
    }
#endif
    int64_t at = j / keep * group, left = keep - j % keep;
    for (; j < count; j++) {
        out[j] = (int32_t)(at + (packed[j * bits / 8] >> (j * bits & 7) & ((1 << bits) - 1)));
        if (--left == 0) {
            left = keep;
            at += group;
        }
    }
}

/* The positions in their groups of the bits below n, packed; the row's bytes are cleared first. */
static void positions_of_words(const uint64_t *words, int64_t n, int64_t group, int bits, uint8_t *packed,
                               int64_t bytes)
{
    int64_t j = 0;
    memset(packed, 0, (size_t)bytes);
    for (int64_t w = 0; w * 64 < n; w++)
        for (uint64_t word = words[w]; word; word &= word - 1, j++) {
            int64_t column = w * 64 + __builtin_ctzll(word);
            packed[j * bits / 8] |= (uint8_t)(column % group << (j * bits & 7));
        }
}

#define SC_BODY "storage_body.h"
#include "each_index.h"

const struct sc_storage_kernels SC_SYM(sc_storage) = {
    .columns_of_words = columns_of_words,
    .columns_of_positions = columns_of_positions,
    .positions_of_words = positions_of_words,
    .words_of_columns = SC_BY_IDX(words_of_columns),
};
