/* Includes SC_BODY once for every width of stored reals.  In the body: KEY, the unsigned integer of that width;
 * KBITS; KNAME.  The key of x is its bits without the sign: the order of keys is the order of |x|. */
#define KEY uint16_t
#define KBITS 16
#define KNAME k16
#include SC_BODY
#undef KEY
#undef KBITS
#undef KNAME

#define KEY uint32_t
#define KBITS 32
#define KNAME k32
#include SC_BODY
#undef KEY
#undef KBITS
#undef KNAME

#define KEY uint64_t
#define KBITS 64
#define KNAME k64
#include SC_BODY
#undef KEY
#undef KBITS
#undef KNAME
