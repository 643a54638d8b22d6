/* Vectors of float and double as wide as the instruction set, named by ACC: lanes_float, lanes_double.
 * muladd is fused wherever there is an instruction for it; a `part` is the first few lanes. */
#ifndef SC_KERNELS_WIDE_H
#define SC_KERNELS_WIDE_H

#include "isa.h"

#define SC_INLINE static inline __attribute__((always_inline))
#define SC_APART __attribute__((noinline))      /* has all registers to itself */

#if SC_LEVEL >= 512
#define SC_LANE_BYTES 64
#elif SC_LEVEL >= 2
#define SC_LANE_BYTES 32
#else
#define SC_LANE_BYTES 16
#endif

typedef float lanes_float __attribute__((vector_size(SC_LANE_BYTES)));
typedef double lanes_double __attribute__((vector_size(SC_LANE_BYTES)));

SC_INLINE lanes_float load_float(const float *p) { lanes_float v; memcpy(&v, p, sizeof v); return v; }
SC_INLINE lanes_double load_double(const double *p) { lanes_double v; memcpy(&v, p, sizeof v); return v; }
SC_INLINE void store_float(float *p, lanes_float v) { memcpy(p, &v, sizeof v); }
SC_INLINE void store_double(double *p, lanes_double v) { memcpy(p, &v, sizeof v); }

/* Stores of whole aligned lines, part by part, past the caches; a fence comes after them, in the driver. */
#if SC_LEVEL >= 512
SC_INLINE void stream_float(float *p, lanes_float v) { _mm512_stream_ps(p, (__m512)v); }
SC_INLINE void stream_double(double *p, lanes_double v) { _mm512_stream_pd(p, (__m512d)v); }
#elif SC_LEVEL >= 2
SC_INLINE void stream_float(float *p, lanes_float v) { _mm256_stream_ps(p, (__m256)v); }
SC_INLINE void stream_double(double *p, lanes_double v) { _mm256_stream_pd(p, (__m256d)v); }
#else
#define stream_float store_float
#define stream_double store_double
#endif

#if SC_LEVEL >= 512
typedef __mmask16 part_float;
typedef __mmask8 part_double;
SC_INLINE lanes_float muladd_float(float a, lanes_float x, lanes_float c)
{
    return (lanes_float)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)x, (__m512)c);
}
SC_INLINE lanes_double muladd_double(double a, lanes_double x, lanes_double c)
{
    return (lanes_double)_mm512_fmadd_pd(_mm512_set1_pd(a), (__m512d)x, (__m512d)c);
}
SC_INLINE part_float first_float(int64_t n) { return (part_float)((1u << n) - 1); }
SC_INLINE part_double first_double(int64_t n) { return (part_double)((1u << n) - 1); }
SC_INLINE lanes_float load_part_float(const float *p, part_float m) { return (lanes_float)_mm512_maskz_loadu_ps(m, p); }
SC_INLINE lanes_double load_part_double(const double *p, part_double m)
{
    return (lanes_double)_mm512_maskz_loadu_pd(m, p);
}
SC_INLINE void store_part_float(float *p, part_float m, lanes_float v) { _mm512_mask_storeu_ps(p, m, (__m512)v); }
SC_INLINE void store_part_double(double *p, part_double m, lanes_double v) { _mm512_mask_storeu_pd(p, m, (__m512d)v); }

#elif SC_LEVEL >= 2
typedef __m256i part_float, part_double;
SC_INLINE lanes_float muladd_float(float a, lanes_float x, lanes_float c)
{
    return (lanes_float)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)x, (__m256)c);
}
SC_INLINE lanes_double muladd_double(double a, lanes_double x, lanes_double c)
{
    return (lanes_double)_mm256_fmadd_pd(_mm256_set1_pd(a), (__m256d)x, (__m256d)c);
}
SC_INLINE part_float first_float(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SC_INLINE part_double first_double(int64_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
SC_INLINE lanes_float load_part_float(const float *p, part_float m) { return (lanes_float)_mm256_maskload_ps(p, m); }
SC_INLINE lanes_double load_part_double(const double *p, part_double m)
{
    return (lanes_double)_mm256_maskload_pd(p, m);
}
SC_INLINE void store_part_float(float *p, part_float m, lanes_float v) { _mm256_maskstore_ps(p, m, (__m256)v); }
SC_INLINE void store_part_double(double *p, part_double m, lanes_double v) { _mm256_maskstore_pd(p, m, (__m256d)v); }

#else
typedef int64_t part_float, part_double;
SC_INLINE lanes_float muladd_float(float a, lanes_float x, lanes_float c) { return a * x + c; }
SC_INLINE lanes_double muladd_double(double a, lanes_double x, lanes_double c) { return a * x + c; }
SC_INLINE int64_t first_float(int64_t n) { return n; }
SC_INLINE int64_t first_double(int64_t n) { return n; }
SC_INLINE lanes_float load_part_float(const float *p, int64_t n)
{
    return (lanes_float){p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0};
}
SC_INLINE lanes_double load_part_double(const double *p, int64_t n) { (void)n; return (lanes_double){p[0]}; }
SC_INLINE void store_part_float(float *p, int64_t n, lanes_float v) { for (int64_t i = 0; i < n; i++) p[i] = v[i]; }
SC_INLINE void store_part_double(double *p, int64_t n, lanes_double v) { (void)n; p[0] = v[0]; }
#endif

#if SC_LEVEL >= 2
/* Is one of eight columns outside low..low+cols (cols > 0)?  One comparison for all where they are 32 bits wide. */
SC_INLINE int outside8_int32_t(const int32_t *col, int64_t low, uint64_t cols)
{
    __m256i last = _mm256_set1_epi32((int32_t)SC_MIN(cols - 1, (uint64_t)INT32_MAX));
    __m256i from_low = _mm256_sub_epi32(_mm256_loadu_si256((const void *)col), _mm256_set1_epi32((int32_t)low));
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(from_low, last), last)) != -1;
}
SC_INLINE int outside8_int64_t(const int64_t *col, int64_t low, uint64_t cols)
{
    int found = 0;
    for (int i = 0; i < 8; i++) found |= (uint64_t)col[i] - (uint64_t)low >= cols;
    return found;
}
#endif

#if SC_LEVEL >= 512
SC_INLINE float total_float(lanes_float v) { return _mm512_reduce_add_ps((__m512)v); }
SC_INLINE double total_double(lanes_double v) { return _mm512_reduce_add_pd((__m512d)v); }

/* x[col[0]], x[col[1]], ... in the lanes of m, zeros in the others and where a column is above `last`, which is noted
 * in *outside. */
SC_INLINE lanes_float pick_float_int32_t(const int32_t *col, part_float m, uint64_t last, const float *x,
                                         unsigned *outside)
{
    __m512i i = _mm512_maskz_loadu_epi32(m, col);
    __mmask16 out = _mm512_mask_cmpgt_epu32_mask(m, i, _mm512_set1_epi32((int)SC_MIN(last, (uint64_t)INT32_MAX)));
    *outside |= out;
    return (lanes_float)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), m & (__mmask16)~out, i, x, 4);
}
SC_INLINE lanes_double pick_double_int32_t(const int32_t *col, part_double m, uint64_t last, const double *x,
                                           unsigned *outside)
{
    __m256i i = _mm256_maskz_loadu_epi32(m, col);
    __mmask8 out = _mm256_mask_cmpgt_epu32_mask(m, i, _mm256_set1_epi32((int)SC_MIN(last, (uint64_t)INT32_MAX)));
    *outside |= out;
    return (lanes_double)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), m & (__mmask8)~out, i, x, 8);
}
SC_INLINE lanes_double pick_double_int64_t(const int64_t *col, part_double m, uint64_t last, const double *x,
                                           unsigned *outside)
{
    __m512i i = _mm512_maskz_loadu_epi64(m, col);
    __mmask8 out = _mm512_mask_cmpgt_epu64_mask(m, i, _mm512_set1_epi64((long long)last));
    *outside |= out;
    return (lanes_double)_mm512_mask_i64gather_pd(_mm512_setzero_pd(), m & (__mmask8)~out, i, x, 8);
}
SC_INLINE __m256 pick_half(const int64_t *col, __mmask8 m, uint64_t last, const float *x, unsigned *outside)
{
    __m512i i = _mm512_maskz_loadu_epi64(m, col);
    __mmask8 out = _mm512_mask_cmpgt_epu64_mask(m, i, _mm512_set1_epi64((long long)last));
    *outside |= out;
    return _mm512_mask_i64gather_ps(_mm256_setzero_ps(), m & (__mmask8)~out, i, x, 4);
}
SC_INLINE lanes_float pick_float_int64_t(const int64_t *col, part_float m, uint64_t last, const float *x,
                                         unsigned *outside)
{
    __m256 low = pick_half(col, (__mmask8)m, last, x, outside);
    __m256 high = pick_half(col + 8, (__mmask8)(m >> 8), last, x, outside);
    return (lanes_float)_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
#elif SC_LEVEL >= 2
SC_INLINE float total_float(lanes_float v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
SC_INLINE double total_double(lanes_double v)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
#endif

/* A hint to bring the line of base + offset bytes into L2.  The offset may come from an index nobody has checked yet:
 * the address is formed as a number, and a prefetch never faults. */
SC_INLINE void prefetch_far(const void *base, uint64_t offset)
{
    __builtin_prefetch((const void *)((uintptr_t)base + (uintptr_t)offset), 0, 2);
}

/* The same of so many bytes.  Rows that do not begin with a line straddle one more: NumPy's large arrays begin 16 bytes
 * into one (Slashdot on AVX2: SpMM 8 4.7 to 4.0 ms, its transpose 6.2 to 4.9). */
SC_INLINE void prefetch_row(const void *base, uint64_t offset, const uint64_t bytes, int straddles)
{
    for (uint64_t b = 0; b < bytes; b += 64) prefetch_far(base, offset + b);
    if (straddles) prefetch_far(base, offset + bytes - 1);
}

#endif
