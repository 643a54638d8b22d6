/* The entries of columns low <= c < high of some rows, one after the other; see sc_taking in kernels.h.  Eight or
 * sixteen columns are compared at once and those wanted squeezed together, whatever their number: a loop over them
 * would be mispredicted at every end (uniform, ranges of an eighth: 1.4 ns an entry). */
static void FN(take_range)(const sc_csr *A, struct sc_taking *t)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const uint64_t low = (uint64_t)t->low, width = (uint64_t)(t->high - t->low), cols = (uint64_t)A->cols;
    const int64_t first = t->row;
    int32_t *to_row = t->rows;
    IDX *to_col = t->indices;
    VAL *to_val = t->data;
    int64_t n = 0, p = t->entry, outside = 0;
    while (t->row < t->end && n < t->room) {
        int64_t end = ptr[t->row + 1], stop = SC_MIN(end, p + (t->room - n));
        const int32_t r = (int32_t)(t->row - first);
#if SC_LEVEL >= 512
        if (sizeof(IDX) == 4 && (sizeof(VAL) == 4 || sizeof(VAL) == 8)) {
            const __m512i most = _mm512_set1_epi32((int)(cols - 1));
            for (; p < stop; p += 16) {
                __mmask16 all = (__mmask16)(stop - p >= 16 ? 0xffff : (1 << (stop - p)) - 1);
                __m512i c = _mm512_maskz_loadu_epi32(all, col + p);
                outside |= _mm512_mask_cmpgt_epu32_mask(all, c, most);
                unsigned in = _mm512_mask_cmplt_epu32_mask(all, _mm512_sub_epi32(c, _mm512_set1_epi32((int)low)),
                                                           _mm512_set1_epi32((int)width));
                _mm512_storeu_si512(to_row + n, _mm512_set1_epi32(r));
                _mm512_storeu_si512(to_col + n, _mm512_maskz_compress_epi32((__mmask16)in, c));
                if (sizeof(VAL) == 4) {
                    __m512i v = _mm512_maskz_loadu_epi32((__mmask16)in, val + p);
                    _mm512_storeu_si512(to_val + n, _mm512_maskz_compress_epi32((__mmask16)in, v));
                    n += __builtin_popcount(in);
                    continue;
                }
                for (int half = 0; half < 16; half += 8) {
                    __mmask8 m = (__mmask8)(in >> half);
                    __m512i v = _mm512_maskz_loadu_epi64(m, val + p + half);
                    _mm512_storeu_si512(to_val + n, _mm512_maskz_compress_epi64(m, v));
                    n += __builtin_popcount(m);
                }
            }
            p = SC_MIN(p, stop);
        }
#elif SC_LEVEL >= 2
        if (sizeof(IDX) == 4 && (sizeof(VAL) == 4 || sizeof(VAL) == 8)) {
            const __m256i most = _mm256_set1_epi32((int)(cols - 1)), wide = _mm256_set1_epi32((int)(width - 1));
            /* The last few are compared together with their successors in the next rows. */
            for (; p < stop && p + 8 <= A->nnz; p += 8) {
                unsigned all = stop - p >= 8 ? 0xff : (1u << (stop - p)) - 1;
                __m256i c = _mm256_loadu_si256((const void *)(col + p));
                __m256i c_low = _mm256_sub_epi32(c, _mm256_set1_epi32((int)low));
                __m256i sound = _mm256_cmpeq_epi32(_mm256_max_epu32(c, most), most);
                unsigned in = all & bits_k32(_mm256_cmpeq_epi32(_mm256_max_epu32(c_low, wide), wide));
                outside |= all & ~bits_k32(sound);
                _mm256_storeu_si256((void *)(to_row + n), _mm256_set1_epi32(r));
                _mm256_storeu_si256((void *)(to_col + n), squeeze_k32(in, c));
                if (sizeof(VAL) == 4) {
                    __m256i v = _mm256_loadu_si256((const void *)(val + p));
                    _mm256_storeu_si256((void *)(to_val + n), squeeze_k32(in, v));
                    n += __builtin_popcount(in);
                    continue;
                }
                for (int half = 0; half < 8; half += 4) {
                    unsigned m = in >> half & 15;
                    __m256i v = _mm256_loadu_si256((const void *)(val + p + half));
                    _mm256_storeu_si256((void *)(to_val + n), squeeze_k64(m, v));
                    n += __builtin_popcount(m);
                }
            }
            p = SC_MIN(p, stop);
        }
#endif
        for (; p < stop; p++) {
            uint64_t c = (uint64_t)(UIDX)col[p];
            outside |= c >= cols;
            to_row[n] = r;
            to_col[n] = col[p];
            to_val[n] = val[p];
            n += c - low < width;
        }
        if (p == end) t->row++;
    }
    t->entry = p;
    t->entries = n;
    t->outside |= outside != 0;
}
