/* Products of a sparse matrix with dense vectors and panels: instances for every value and index type. */
#if defined(__GNUC__) && !defined(__clang__)
/* GCC packs neighbouring scalar products of a row into vectors element by element, at half the speed. */
#pragma GCC optimize("no-tree-slp-vectorize")
#endif
#include "wide.h"

#define SC_EACH "each_index.h"
#define SC_BODY "vector_body.h"
#include "each_value.h"
#undef SC_BODY
#define SC_BODY "panel_body.h"
#include "each_value.h"
#undef SC_BODY
#define SC_BODY "by_column_body.h"
#include "each_value.h"
#undef SC_EACH

#define SC_EACH "sum_parts_body.h"
#include "each_value.h"

const struct sc_product_kernels SC_SYM(sc_product) = {
    .spmv = SC_BY_VAL_IDX(spmv),
    .spmv_t = SC_BY_VAL_IDX(spmv_t),
    .spmm = SC_BY_VAL_IDX(spmm),
    .spmm_t = SC_BY_VAL_IDX(spmm_t),
    .add_entries = SC_BY_VAL_IDX(add_entries),
    .add_entry_rows = SC_BY_VAL_IDX(add_entry_rows),
    .by_column = SC_BY_VAL_IDX(by_column),
    .add_parts = {add_parts_f32, add_parts_f64, add_parts_c64, add_parts_c128, add_parts_f16, add_parts_bf16},
    .sum_parts = {sum_parts_f32, sum_parts_f64, sum_parts_c64, sum_parts_c128, sum_parts_f16, sum_parts_bf16},
};
