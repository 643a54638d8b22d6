/* Movement of entries: transposition, buckets, sorting, slicing.  Values are bits here: instances by size. */
#include "wide.h"

#include "lanes.h"

#if defined(SC_X86) && SC_LEVEL == 0
#include <emmintrin.h>
#endif

typedef struct { uint64_t lo, hi; } sc_b16;

/* One full cache line past the caches: the buckets are read again only when all are full. */
static inline void stream_line(void *to, const void *from)
{
#if SC_LEVEL >= 512
    _mm512_stream_si512(to, _mm512_load_si512(from));
#elif SC_LEVEL >= 2
    _mm256_stream_si256((__m256i *)to, _mm256_load_si256(from));
    _mm256_stream_si256((__m256i *)to + 1, _mm256_load_si256((const __m256i *)from + 1));
#elif defined(SC_X86)
    for (int i = 0; i < 4; i++) _mm_stream_si128((__m128i *)to + i, _mm_load_si128((const __m128i *)from + i));
#else
    memcpy(to, from, 64);
#endif
}

/* Streamed lines become visible to the other threads. */
static inline void stream_end(void)
{
#ifdef SC_X86
    _mm_sfence();
#endif
}

#define SC_BODY "rows_body.h"
#include "each_index.h"
#undef SC_BODY

#define KFN(name) FN(SC_PASTE(name, KNAME))                /* one instance by key: place_k32_b8_i64 */
#define SC_EACH "each_index.h"
#define SC_BODY "structure_body.h"
#include "each_bits.h"
#undef SC_BODY
#define SC_BODY "range_body.h"
#include "each_bits.h"
#undef SC_BODY

#define KEY uint32_t
#define KNAME k32
#define SC_BODY "bucket_body.h"
#include "each_bits.h"
#undef KEY
#undef KNAME
#define KEY uint64_t
#define KNAME k64
#include "each_bits.h"
#undef SC_BODY

#define BY_SIZE_IDX(f) {SC_BY_IDX(f##_b2), SC_BY_IDX(f##_b4), SC_BY_IDX(f##_b8), SC_BY_IDX(f##_b16)}
#define BY_KEY_SIZE_IDX(f) {BY_SIZE_IDX(f##_k32), BY_SIZE_IDX(f##_k64)}

const struct sc_structure_kernels SC_SYM(sc_structure) = {
    .count = SC_BY_IDX(count),
    .count_columns = SC_BY_IDX(count_columns),
    .sum_counts = SC_BY_IDX(sum_counts),
    .place_counts = SC_BY_IDX(place_counts),
    .count_coo = SC_BY_IDX(count_coo),
    .flip = BY_SIZE_IDX(flip),
    .sort = BY_SIZE_IDX(sort),
    .take_range = BY_SIZE_IDX(take_range),
    .take_cols = BY_SIZE_IDX(take_cols),
    .append = BY_SIZE_IDX(append),
    .bucket = BY_KEY_SIZE_IDX(bucket),
    .bucket_coo = BY_KEY_SIZE_IDX(bucket_coo),
    .place = BY_KEY_SIZE_IDX(place),
    .by_column = BY_KEY_SIZE_IDX(by_column),
};
