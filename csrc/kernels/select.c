/* Selection by magnitude: instances for every width of stored reals. */
#include "isa.h"
#include "lanes.h"

/* A fixed pseudo-random number for each i (splitmix64). */
static inline uint64_t mix(uint64_t z)
{
    z = (z + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#define SC_BODY "select_body.h"
#include "each_key.h"

#define BY_KEY(f) {f##_k16, f##_k32, f##_k64}
const struct sc_select_kernels SC_SYM(sc_select) = {
    .keys = BY_KEY(keys),
    .sample = BY_KEY(sample),
    .bracket = BY_KEY(bracket),
    .histogram = BY_KEY(histogram),
    .pick = BY_KEY(pick),
    .at_least = BY_KEY(at_least),
    .ranked = BY_KEY(ranked),
};
