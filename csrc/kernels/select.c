/* Selection by magnitude: instances for every width of stored reals. */
#include "isa.h"
#include "lanes.h"

#define SC_BODY "select_body.h"
#include "each_key.h"

#define BY_KEY(f) {f##_k16, f##_k32, f##_k64}
const struct sc_select_kernels SC_SYM(sc_select) = {
    .keys = BY_KEY(keys),
    .bracket = BY_KEY(bracket),
    .histogram = BY_KEY(histogram),
    .pick = BY_KEY(pick),
    .at_least = BY_KEY(at_least),
    .ranked = BY_KEY(ranked),
};
