/* Layouts for repeated products: instances for float and double. */
#include "isa.h"
#include "prepared_vec.h"

#define SC_REAL_ONLY
#define SC_EACH "prepared_value_body.h"
#include "each_value.h"
#undef SC_EACH

#define SC_EACH "each_index.h"
#define SC_BODY "prepared_build_body.h"
#include "each_value.h"
#undef SC_BODY
#undef SC_EACH

#define WIDTHS(f) {f##_0, f##_1, f##_2, f##_3, f##_4}
/* Four rows of accumulators: four vectors each where there are 32 registers, three where there are 16 and none is
 * needed for a product that waits to be added, else two. */
#if SC_LEVEL == 512
#define GROUP_WIDTHS(f) WIDTHS(f)
#elif SC_LEVEL == 2
#define GROUP_WIDTHS(f) {f##_0, f##_1, f##_2, f##_3}
#else
#define GROUP_WIDTHS(f) {f##_0, f##_1, f##_2}
#endif

const struct sc_prepared_kernels SC_SYM(sc_prepared) = {
    .lanes = {sizeof(vec_t_f32) / sizeof(float), sizeof(vec_t_f64) / sizeof(double)},
    .tile = {{[SC_CSR16] = WIDTHS(csr16_f32), [SC_BLOCKED] = WIDTHS(blocked_f32),
              [SC_PATTERNED] = GROUP_WIDTHS(patterned_f32), [SC_BITMASK] = WIDTHS(bitmask_f32),
              [SC_SLICED] = WIDTHS(sliced_f32), [SC_LISTED] = WIDTHS(listed_f32)},
             {[SC_CSR16] = WIDTHS(csr16_f64), [SC_BLOCKED] = WIDTHS(blocked_f64),
              [SC_PATTERNED] = GROUP_WIDTHS(patterned_f64), [SC_BITMASK] = WIDTHS(bitmask_f64),
              [SC_SLICED] = WIDTHS(sliced_f64), [SC_LISTED] = WIDTHS(listed_f64)}},
    .count = {{[SC_CSR16] = SC_BY_IDX(csr16_count_f32), [SC_BLOCKED] = SC_BY_IDX(blocked_count_f32),
               [SC_BITMASK] = SC_BY_IDX(bitmask_count_f32), [SC_SLICED] = SC_BY_IDX(sliced_count_f32),
               [SC_LISTED] = SC_BY_IDX(listed_count_f32)},
              {[SC_CSR16] = SC_BY_IDX(csr16_count_f64), [SC_BLOCKED] = SC_BY_IDX(blocked_count_f64),
               [SC_BITMASK] = SC_BY_IDX(bitmask_count_f64), [SC_SLICED] = SC_BY_IDX(sliced_count_f64),
               [SC_LISTED] = SC_BY_IDX(listed_count_f64)}},
    .fill = {{[SC_CSR16] = SC_BY_IDX(csr16_fill_f32), [SC_BLOCKED] = SC_BY_IDX(blocked_fill_f32),
              [SC_PATTERNED] = SC_BY_IDX(patterned_fill_f32), [SC_BITMASK] = SC_BY_IDX(bitmask_fill_f32),
              [SC_SLICED] = SC_BY_IDX(sliced_fill_f32), [SC_LISTED] = SC_BY_IDX(listed_fill_f32)},
             {[SC_CSR16] = SC_BY_IDX(csr16_fill_f64), [SC_BLOCKED] = SC_BY_IDX(blocked_fill_f64),
              [SC_PATTERNED] = SC_BY_IDX(patterned_fill_f64), [SC_BITMASK] = SC_BY_IDX(bitmask_fill_f64),
              [SC_SLICED] = SC_BY_IDX(sliced_fill_f64), [SC_LISTED] = SC_BY_IDX(listed_fill_f64)}},
    .pack = {pack_f32, pack_f64},
    .finish = {finish_f32, finish_f64},
    .unpack = {unpack_f32, unpack_f64},
};
