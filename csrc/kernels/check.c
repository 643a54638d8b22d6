/* Is a panel of a matrix sound?  Instances for every index type. */
#include "isa.h"

#define SC_BODY "check_body.h"
#include "each_index.h"

const struct sc_check_kernels SC_SYM(sc_check) = {
    .rising = SC_BY_IDX(rising),
    .within = SC_BY_IDX(within),
    .canonical = SC_BY_IDX(canonical),
};
