/* Includes SC_EACH once for every size of a stored value, for kernels that move values and never compute with them:
 * VAL an opaque type of that size, VNAME.  Tables of such kernels are indexed by enum sc_size. */
#define VAL uint16_t
#define VNAME b2
#include SC_EACH
#undef VAL
#undef VNAME

#define VAL uint32_t
#define VNAME b4
#include SC_EACH
#undef VAL
#undef VNAME

#define VAL uint64_t
#define VNAME b8
#include SC_EACH
#undef VAL
#undef VNAME

#define VAL sc_b16
#define VNAME b16
#include SC_EACH
#undef VAL
#undef VNAME
