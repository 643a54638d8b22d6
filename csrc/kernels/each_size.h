/* Includes SC_EACH once for every size of a value in bytes.  In the body: VAL, SIZE. */
#define VAL uint8_t
#define SIZE 1
#include SC_EACH
#undef VAL
#undef SIZE

#define VAL uint16_t
#define SIZE 2
#include SC_EACH
#undef VAL
#undef SIZE

#define VAL uint32_t
#define SIZE 4
#include SC_EACH
#undef VAL
#undef SIZE

#define VAL uint64_t
#define SIZE 8
#include SC_EACH
#undef VAL
#undef SIZE

#define VAL pair
#define SIZE 16
#include SC_EACH
#undef VAL
#undef SIZE
