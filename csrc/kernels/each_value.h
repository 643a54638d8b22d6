/* Includes SC_EACH (each_index.h, or a body without index types) once for every value type.  In the body:
 *   VAL stored type, LOAD(v) its value as ACC, STORE(a) back, ACC the type of sums and of dense operands, VNAME,
 *   VREAL 1 where ACC is real, VBITS size of VAL in bits.
 * SC_REAL_ONLY leaves complex and half out; SC_NO_HALF leaves half out. */
#define VAL float
#define ACC float
#define LOAD(v) (v)
#define STORE(a) (a)
#define VNAME f32
#define VREAL 1
#define VBITS 32
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS

#define VAL double
#define ACC double
#define LOAD(v) (v)
#define STORE(a) (a)
#define VNAME f64
#define VREAL 1
#define VBITS 64
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS

#ifndef SC_REAL_ONLY
#define VAL sc_c64
#define ACC sc_c64
#define LOAD(v) (v)
#define STORE(a) (a)
#define VNAME c64
#define VREAL 0
#define VBITS 64
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS

#define VAL sc_c128
#define ACC sc_c128
#define LOAD(v) (v)
#define STORE(a) (a)
#define VNAME c128
#define VREAL 0
#define VBITS 128
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS

#ifndef SC_NO_HALF
#define VAL sc_f16
#define ACC float
#define LOAD(v) sc_f16_load(v)
#define STORE(a) sc_f16_store(a)
#define VNAME f16
#define VREAL 1
#define VBITS 16
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS

#define VAL sc_bf16
#define ACC float
#define LOAD(v) sc_bf16_load(v)
#define STORE(a) sc_bf16_store(a)
#define VNAME bf16
#define VREAL 1
#define VBITS 16
#include SC_EACH
#undef VAL
#undef ACC
#undef LOAD
#undef STORE
#undef VNAME
#undef VREAL
#undef VBITS
#endif
#endif
