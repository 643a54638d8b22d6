/* Passes over entries that compute with values: sums of duplicates, dense to sparse and back. */
#include "isa.h"

#define SC_EACH "each_index.h"
#define SC_BODY "entries_body.h"
#include "each_value.h"
#undef SC_EACH

#define SC_EACH "count_dense_body.h"
#include "each_value.h"

const struct sc_entries_kernels SC_SYM(sc_entries) = {
    .merge_equal = SC_BY_VAL_IDX(merge_equal),
    .count_dense = {count_dense_f32, count_dense_f64, count_dense_c64, count_dense_c128, count_dense_f16,
                    count_dense_bf16},
    .from_dense = SC_BY_VAL_IDX(from_dense),
    .to_dense = SC_BY_VAL_IDX(to_dense),
};
