/* Includes SC_EACH once for every size of a value in bytes.  In the body: VAL, SIZE,
 * and CNAME, the keys of that size. */
#define VAL uint8_t
#define SIZE 1
#include SC_EACH
#undef VAL
#undef SIZE

#define VAL uint16_t
#define SIZE 2
#define CNAME k16
#include SC_EACH
#undef VAL
#undef SIZE
#undef CNAME

#define VAL uint32_t
#define SIZE 4
#define CNAME k32
#include SC_EACH
#undef VAL
#undef SIZE
#undef CNAME

#define VAL uint64_t
#define SIZE 8
#define CNAME k64
#include SC_EACH
#undef VAL
#undef SIZE
#undef CNAME

#define VAL pair
#define SIZE 16
#include SC_EACH
#undef VAL
#undef SIZE
