/* Vectors of one instruction set for the prepared layouts.  a * b + c is fused where the hardware has it: these kernels
 * promise the values of a plain product to rounding, not its bits.
 *
 * VEC(name) is the spelling for f32 or f64: VEC(t) the type, VEC(load), VEC(store), VEC(set1), VEC(fma). */
#ifndef SC_KERNELS_PREPARED_VEC_H
#define SC_KERNELS_PREPARED_VEC_H

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

#if SC_LEVEL > 0
#define fma_f32(a, b, c) __builtin_fmaf(a, b, c)
#define fma_f64(a, b, c) __builtin_fma(a, b, c)
#else
static inline float fma_f32(float a, float b, float c) { return a * b + c; }
static inline double fma_f64(double a, double b, double c) { return a * b + c; }
#endif
#define FMA SC_PASTE(fma, VNAME)

#define VEC(name) SC_PASTE(vec_##name, VNAME)
/* Full unrolling keeps the accumulators, arrays by their spelling, in registers. */
#define SC_UNROLL _Pragma("GCC unroll 16")

#endif
