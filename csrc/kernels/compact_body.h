/* data[0:], indices[0:] = x[i], base + i for every bit i; returns their number.  `room` is how many may be written:
 * whole vectors are stored while they fit, and what lies behind the cursor is overwritten by the next ones. */
static int64_t SC_PASTE(SC_PASTE(compact, INAME), SIZE)(const uint64_t *bits, int64_t n, const void *x_, int64_t base,
                                                        void *data_, void *indices_, int64_t room)
{
    const VAL *x = x_;
    VAL *data = data_;
    IDX *indices = indices_;
    int64_t at = 0, w = 0;
#if SC_LEVEL >= 512 && SIZE >= 2 && SIZE <= 8
#define C(name) SC_PASTE(name, CNAME)
    for (; sizeof(IDX) == 4 && data && w * 64 + 64 <= n; w++) {
        uint64_t word = bits[w];
        if (!word) continue;
        if (at + 64 + __builtin_popcountll(word) > room) break;
        const VAL *from = x + w * 64;
        __m512i column = _mm512_add_epi32(_mm512_set1_epi32((int)(base + w * 64)), numbers_k32());
        for (int j = 0; j < 64; j += C(NLANES)) {
            __mmask16 m = C(NLANES) == 16 ? (__mmask16)word : (__mmask16)(word & 0xff);
            C(store)(data + at, C(squeeze)(m, C(load)(from + j)));
            if (indices) _mm512_storeu_si512(indices + at, _mm512_maskz_compress_epi32(m, column));
            at += _mm_popcnt_u32(m);
            word >>= C(NLANES);
            column = _mm512_add_epi32(column, _mm512_set1_epi32(C(NLANES)));
        }
    }
#undef C
#elif SC_LEVEL >= 2 && SIZE >= 2 && SIZE <= 8
#define C(name) SC_PASTE(name, CNAME)
    for (; sizeof(IDX) == 4 && data && w * 64 + 64 <= n; w++) {
        uint64_t word = bits[w];
        if (!word) continue;
        if (at + 64 + __builtin_popcountll(word) > room) break;
        const VAL *from = x + w * 64;
        __m256i column = _mm256_set1_epi32((int)(base + w * 64));
        for (int j = 0; j < 64; j += C(NLANES)) {
            unsigned m = word & ((1u << C(NLANES)) - 1);
            __m256i places = places_k32(m);
            C(store)(data + at, C(squeeze)(m, C(load)(from + j)));
            if (indices) _mm256_storeu_si256((void *)(indices + at), _mm256_add_epi32(places, column));
            at += __builtin_popcount(m);
            word >>= C(NLANES);
            column = _mm256_add_epi32(column, _mm256_set1_epi32(C(NLANES)));
        }
    }
#undef C
#endif
    for (; w * 64 < n; w++)
        for (uint64_t word = bits[w]; word && at < room; word &= word - 1, at++) {
            int64_t i = w * 64 + __builtin_ctzll(word);
            if (data) data[at] = x[i];
            if (indices) indices[at] = (IDX)(base + i);
        }
    return at;
}
