/* Tall matrices in panels of 64 bytes a row: inner products, updates and rotations of bases of the truncated SVD. */
#include "isa.h"

/* No other library's bits are at stake here, and the fused multiply-add doubles the speed. */
#if defined(__clang__)
#pragma clang fp contract(fast)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=fast")
#endif

/* Bytes of a vector: what the level has. */
#if SC_LEVEL >= 512
#define TALL_BYTES 64
#elif SC_LEVEL > 0
#define TALL_BYTES 32
#else
#define TALL_BYTES 16
#endif
#define SC_INLINE static inline __attribute__((always_inline))

#define SC_REAL_ONLY
#define SC_EACH "tall_body.h"
#include "each_value.h"

const struct sc_tall_kernels SC_SYM(sc_tall) = {
    .inner = {tall_inner_f32, tall_inner_f64},
    .subtract = {tall_subtract_f32, tall_subtract_f64},
    .rotate = {tall_rotate_f32, tall_rotate_f64},
    .residual = {tall_residual_f32, tall_residual_f64},
    .top = {tall_top_f32, tall_top_f64},
    .weigh = {tall_weigh_f32, tall_weigh_f64},
    .spread = {tall_spread_f32, tall_spread_f64},
    .move = {tall_move_f32, tall_move_f64},
};
