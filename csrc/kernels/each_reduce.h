/* Includes each_index.h once for every reduction of the value type at hand. */
#if VREAL
#define WIDE double
#else
#define WIDE sc_c128
#endif

#define RED sum
#define RES WIDE
#define TERM(x, m) (x)
#define JOIN(a, b) ((a) + (b))
#include "each_index.h"
#undef RED
#undef RES
#undef TERM

#define RES double
#define RED abs
#define TERM(x, m) MAGNITUDE(x)
#include "each_index.h"
#undef RED
#undef TERM

#define RED square
#define TERM(x, m) SQUARE(x)
#include "each_index.h"
#undef RED
#undef TERM

#define RED deviation
#define TERM(x, m) SQUARE((x) - (m))
#include "each_index.h"
#undef RED
#undef TERM

#define RED count
#define TERM(x, m) ((void)(x), 1.0)
#include "each_index.h"
#undef RED
#undef TERM
#undef JOIN

#define RED absmax
#define TERM(x, m) MAGNITUDE(x)
#define JOIN(a, b) largest(a, b)
#include "each_index.h"
#undef RED
#undef TERM
#undef JOIN
#undef RES
#undef WIDE
