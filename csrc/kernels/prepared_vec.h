/* Vectors of one instruction set for the prepared layouts.  a * b + c is fused where the hardware has it: these kernels
 * promise the values of a plain product to rounding, not its bits.
 *
 * VEC(name) is the spelling for f32 or f64: VEC(t) the type, VEC(load), VEC(store), VEC(set1), VEC(fma). */
#ifndef SC_KERNELS_PREPARED_VEC_H
#define SC_KERNELS_PREPARED_VEC_H

/* Full unrolling keeps accumulators, arrays by their spelling, in registers. */
#define SC_UNROLL _Pragma("GCC unroll 16")

#if SC_LEVEL == 512
typedef __m512 vec_t_f32;
typedef __m512d vec_t_f64;
#define vec_load_f32(p) _mm512_loadu_ps(p)
#define vec_load_f64(p) _mm512_loadu_pd(p)
#define vec_store_f32(p, v) _mm512_storeu_ps(p, v)
#define vec_store_f64(p, v) _mm512_storeu_pd(p, v)
#define vec_set1_f32(a) _mm512_set1_ps(a)
#define vec_set1_f64(a) _mm512_set1_pd(a)
#define vec_fma_f32(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vec_fma_f64(a, b, c) _mm512_fmadd_pd(a, b, c)
#elif SC_LEVEL == 2
typedef __m256 vec_t_f32;
typedef __m256d vec_t_f64;
#define vec_load_f32(p) _mm256_loadu_ps(p)
#define vec_load_f64(p) _mm256_loadu_pd(p)
#define vec_store_f32(p, v) _mm256_storeu_ps(p, v)
#define vec_store_f64(p, v) _mm256_storeu_pd(p, v)
#define vec_set1_f32(a) _mm256_set1_ps(a)
#define vec_set1_f64(a) _mm256_set1_pd(a)
#define vec_fma_f32(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vec_fma_f64(a, b, c) _mm256_fmadd_pd(a, b, c)
#else
typedef float vec_t_f32 __attribute__((vector_size(16)));
typedef double vec_t_f64 __attribute__((vector_size(16)));
static inline vec_t_f32 vec_load_f32(const float *p) { vec_t_f32 v; memcpy(&v, p, sizeof v); return v; }
static inline vec_t_f64 vec_load_f64(const double *p) { vec_t_f64 v; memcpy(&v, p, sizeof v); return v; }
static inline void vec_store_f32(float *p, vec_t_f32 v) { memcpy(p, &v, sizeof v); }
static inline void vec_store_f64(double *p, vec_t_f64 v) { memcpy(p, &v, sizeof v); }
static inline vec_t_f32 vec_set1_f32(float a) { return (vec_t_f32){a, a, a, a}; }
static inline vec_t_f64 vec_set1_f64(double a) { return (vec_t_f64){a, a}; }
#define vec_fma_f32(a, b, c) ((a) * (b) + (c))
#define vec_fma_f64(a, b, c) ((a) * (b) + (c))
#endif

#if SC_LEVEL == 512
#define vec_masked_fma_f32(a, b, c, m) _mm512_mask3_fmadd_ps(a, b, c, (__mmask16)(m))
#define vec_masked_fma_f64(a, b, c, m) _mm512_mask3_fmadd_pd(a, b, c, (__mmask8)(m))
#define vec_sum_f32(v) _mm512_reduce_add_ps(v)
#define vec_sum_f64(v) _mm512_reduce_add_pd(v)
/* The next values of a stream, each to the lane of its bit.  Expanding from a register: from memory it is slow. */
static inline __m512 vec_expand_f32(unsigned m, const float *p)
{
    __m512 v = _mm512_loadu_ps(p);
    __asm__("" : "+v"(v));
    return _mm512_maskz_expand_ps((__mmask16)m, v);
}
static inline __m512d vec_expand_f64(unsigned m, const double *p)
{
    __m512d v = _mm512_loadu_pd(p);
    __asm__("" : "+v"(v));
    return _mm512_maskz_expand_pd((__mmask8)m, v);
}
#endif

#if SC_LEVEL == 2
/* Lane i of spread[m]: how many of the bits of m are below i, with the sign bit set if bit i is: the order of a
 * permutation that gives the next values of a stream to the lanes of their bits, and the mask of a blend. */
#define LANE(m, i) ((m) >> (i) & 1 ? (int32_t)(INT32_MIN | __builtin_popcount((m) & ((1u << (i)) - 1))) : 0)
#define ROW(m) {LANE(m, 0), LANE(m, 1), LANE(m, 2), LANE(m, 3), LANE(m, 4), LANE(m, 5), LANE(m, 6), LANE(m, 7)}
#define ROWS4(m) ROW(m), ROW(m + 1), ROW(m + 2), ROW(m + 3)
#define ROWS16(m) ROWS4(m), ROWS4(m + 4), ROWS4(m + 8), ROWS4(m + 12)
#define ROWS64(m) ROWS16(m), ROWS16(m + 16), ROWS16(m + 32), ROWS16(m + 48)
static const int32_t spread_f32[256][8] __attribute__((aligned(32))) = {
    ROWS64(0), ROWS64(64), ROWS64(128), ROWS64(192)};
#undef LANE
#undef ROW
/* The same of four bits: a lane of 64 bits moves as two. */
#define HALF(m, i, h) \
    ((m) >> (i) & 1 ? (int32_t)(INT32_MIN | (2 * __builtin_popcount((m) & ((1u << (i)) - 1)) + (h))) : 0)
#define LANE(m, i) HALF(m, i, 0), HALF(m, i, 1)
#define ROW(m) {LANE(m, 0), LANE(m, 1), LANE(m, 2), LANE(m, 3)}
static const int32_t spread_f64[16][8] __attribute__((aligned(32))) = {ROWS16(0)};
#undef HALF
#undef LANE
#undef ROW
#undef ROWS4
#undef ROWS16
#undef ROWS64

/* c + a * b in the lanes of the bits of m, a: the next values of a stream.  The other lanes keep c whatever they met:
 * neither a value that belongs elsewhere nor b may bring a NaN. */
static inline __m256 vec_spread_fma_f32(unsigned m, const float *a, __m256 b, __m256 c)
{
    __m256i order = _mm256_load_si256((const __m256i *)spread_f32[m]);
    __m256 v = _mm256_permutevar8x32_ps(_mm256_loadu_ps(a), order);
    return _mm256_blendv_ps(c, _mm256_fmadd_ps(v, b, c), _mm256_castsi256_ps(order));
}
static inline __m256d vec_spread_fma_f64(unsigned m, const double *a, __m256d b, __m256d c)
{
    __m256i order = _mm256_load_si256((const __m256i *)spread_f64[m]);
    __m256 v = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(a)), order);
    return _mm256_blendv_pd(c, _mm256_fmadd_pd(_mm256_castps_pd(v), b, c), _mm256_castsi256_pd(order));
}

/* x[col[0]], x[col[1]], ...: the columns are loaded four at a time, the elements one by one, which is faster than a
 * gather instruction on Zen 3 (90 % zeros, in cache, two threads: 0.35 ms against 0.57; one by one from memory too:
 * 0.37). */
static inline int32_t vec_bits(const float *x)
{
    int32_t bits;
    memcpy(&bits, x, sizeof bits);
    return bits;
}
/* As integers, which compilers insert from memory in one instruction: 10 % faster than insert_ps. */
static inline __m128i vec_pick4(const float *x, const uint16_t *col)
{
    uint64_t w;
    memcpy(&w, col, 8);
    __m128i v = _mm_cvtsi32_si128(vec_bits(x + (w & 0xffff)));
    v = _mm_insert_epi32(v, vec_bits(x + (w >> 16 & 0xffff)), 1);
    v = _mm_insert_epi32(v, vec_bits(x + (w >> 32 & 0xffff)), 2);
    return _mm_insert_epi32(v, vec_bits(x + (w >> 48)), 3);
}
static inline __m256 vec_pick_f32(const float *x, const uint16_t *col)
{
    __m256i low = _mm256_castsi128_si256(vec_pick4(x, col));
    return _mm256_castsi256_ps(_mm256_inserti128_si256(low, vec_pick4(x, col + 4), 1));
}
static inline __m256d vec_pick_f64(const double *x, const uint16_t *col)
{
    uint64_t w;
    memcpy(&w, col, 8);
    __m128d low = _mm_loadh_pd(_mm_load_sd(x + (w & 0xffff)), x + (w >> 16 & 0xffff));
    __m128d high = _mm_loadh_pd(_mm_load_sd(x + (w >> 32 & 0xffff)), x + (w >> 48));
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1);
}

/* The first n lanes of v, zeros in the others */
static inline __m256 vec_first_f32(__m256 v, int64_t n)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
                                                                    _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0))));
}
static inline __m256d vec_first_f64(__m256d v, int64_t n)
{
    return _mm256_and_pd(v, _mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_set1_epi64x(n),
                                                                    _mm256_set_epi64x(3, 2, 1, 0))));
}
static inline double vec_sum_f64(__m256d v)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
static inline float vec_sum_f32(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
#endif

/* b[j * ldb + i] = a[i * lda + j] for 8 x 8 */
#if SC_LEVEL > 0
static inline void transpose8_f32(const float *a, int64_t lda, float *b, int64_t ldb)
{
    __m256 r[8], t[8];
    SC_UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(a + i * lda);
    SC_UNROLL for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    SC_UNROLL for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    SC_UNROLL for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(b + i * ldb, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(b + (i + 4) * ldb, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
static inline void transpose4_f64(const double *a, int64_t lda, double *b, int64_t ldb)
{
    __m256d r0 = _mm256_loadu_pd(a), r1 = _mm256_loadu_pd(a + lda);
    __m256d r2 = _mm256_loadu_pd(a + 2 * lda), r3 = _mm256_loadu_pd(a + 3 * lda);
    __m256d t0 = _mm256_unpacklo_pd(r0, r1), t1 = _mm256_unpackhi_pd(r0, r1);
    __m256d t2 = _mm256_unpacklo_pd(r2, r3), t3 = _mm256_unpackhi_pd(r2, r3);
    _mm256_storeu_pd(b, _mm256_permute2f128_pd(t0, t2, 0x20));
    _mm256_storeu_pd(b + ldb, _mm256_permute2f128_pd(t1, t3, 0x20));
    _mm256_storeu_pd(b + 2 * ldb, _mm256_permute2f128_pd(t0, t2, 0x31));
    _mm256_storeu_pd(b + 3 * ldb, _mm256_permute2f128_pd(t1, t3, 0x31));
}
static inline void transpose8_f64(const double *a, int64_t lda, double *b, int64_t ldb)
{
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 8; j += 4) transpose4_f64(a + i * lda + j, lda, b + j * ldb + i, ldb);
}
#else
static inline void transpose8_f32(const float *a, int64_t lda, float *b, int64_t ldb)
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) b[j * ldb + i] = a[i * lda + j];
}
static inline void transpose8_f64(const double *a, int64_t lda, double *b, int64_t ldb)
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) b[j * ldb + i] = a[i * lda + j];
}
#endif

#if SC_LEVEL > 0
#define fma_f32(a, b, c) __builtin_fmaf(a, b, c)
#define fma_f64(a, b, c) __builtin_fma(a, b, c)
#else
static inline float fma_f32(float a, float b, float c) { return a * b + c; }
static inline double fma_f64(double a, double b, double c) { return a * b + c; }
#endif
#define FMA SC_PASTE(fma, VNAME)

#define VEC(name) SC_PASTE(vec_##name, VNAME)
#endif
