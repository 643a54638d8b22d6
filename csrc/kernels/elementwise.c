/* Sums and products by elements, and scaling: instances for every value and index type. */
#include "wide.h"

#include "lanes.h"

#define SC_EACH "each_index.h"
#define SC_BODY "elementwise_body.h"
#include "each_value.h"

const struct sc_elementwise_kernels SC_SYM(sc_elementwise) = {
    .add = SC_BY_VAL_IDX(add),
    .multiply = SC_BY_VAL_IDX(multiply),
    .scale = SC_BY_VAL_IDX(scale),
    .times_dense = SC_BY_VAL_IDX(times_dense),
};
