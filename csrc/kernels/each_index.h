/* Includes SC_BODY once for every index type.  In the body: PTR (indptr), IDX (indices), UIDX (unsigned), INAME.
 * No include guard: included once per family and per value type. */
#define PTR int32_t
#define IDX int32_t
#define UIDX uint32_t
#define INAME i32
#include SC_BODY
#undef PTR
#undef IDX
#undef UIDX
#undef INAME

#define PTR int64_t
#define IDX int64_t
#define UIDX uint64_t
#define INAME i64
#include SC_BODY
#undef PTR
#undef IDX
#undef UIDX
#undef INAME

#define PTR int64_t
#define IDX int32_t
#define UIDX uint32_t
#define INAME p64i32
#include SC_BODY
#undef PTR
#undef IDX
#undef UIDX
#undef INAME
