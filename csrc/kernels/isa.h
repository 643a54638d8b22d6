/* Names of one instruction set.  SC_ISA (base, avx2 or avx512) and SC_LEVEL (0, 2 or 512) come from the build. */
#ifndef SC_KERNELS_ISA_H
#define SC_KERNELS_ISA_H

#include <string.h>

#include "../kernels.h"
#include "../types.h"

#if SC_LEVEL > 0
#include <immintrin.h>
#endif

#define SC_PASTE_(a, b) a##_##b
#define SC_PASTE(a, b) SC_PASTE_(a, b)
#define SC_SYM(name) SC_PASTE(name, SC_ISA)                /* the table: sc_product_avx512 */
#define FN(name) SC_PASTE(SC_PASTE(name, VNAME), INAME)    /* one instance: spmv_f32_i64 */

#define SC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SC_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Rows of a table of instances, in the order of the enums. */
#define SC_BY_IDX(f) {SC_PASTE(f, i32), SC_PASTE(f, i64), SC_PASTE(f, p64i32)}
#define SC_BY_VAL_IDX(f)                                                                                 \
    {SC_BY_IDX(f##_f32), SC_BY_IDX(f##_f64), SC_BY_IDX(f##_c64), SC_BY_IDX(f##_c128), SC_BY_IDX(f##_f16), \
     SC_BY_IDX(f##_bf16)}
#define SC_BY_REAL_IDX(f) {SC_BY_IDX(f##_f32), SC_BY_IDX(f##_f64)}    /* complex and half: no kernel */

#endif
