/* What the drivers of selection share: cuts of a dense array in row-major order, panels, and the k-th key. */
#ifndef SC_SELECT_H
#define SC_SELECT_H

#include <sched.h>
#include <stdatomic.h>

#include "driver.h"

#define SC_PART_BYTES (128 << 10)     /* read from memory once, then again from the second-level cache */
#define SC_PACK_BYTES (704 << 10)     /* rows of an array of other strides, gathered */
#define SC_POLL_PARTS 2048            /* parts between two looks at signals */

/* Parts of rows x cols, numbered in row-major order: whole rows together, or one row cut across. */
struct sc_cuts { int64_t rows, cols, height, width, across, n; };
struct sc_part { int64_t r0, r1, c0, c1; };
struct sc_cuts sc_cuts_of(const sc_dense *W, size_t size, int64_t multiple);
struct sc_part sc_part_of(const struct sc_cuts *cuts, int64_t k);

/* The rows of a part, each contiguous, `stride` bytes apart: in place, or gathered into `pack`. */
typedef struct { const char *data; int64_t stride; } sc_panel;
sc_panel sc_panel_of(const sc_dense *W, size_t size, const struct sc_part *q, char *pack);

/* What a part must know of its predecessor: waits until the value is there (it is -1 before). */
static inline int64_t sc_await(_Atomic int64_t *value)
{
    int64_t v;
    for (int turns = 0; (v = *value) < 0;) {
        if (++turns < 4096) {
#ifdef SC_X86
            __builtin_ia32_pause();
#endif
        } else {
            sched_yield();    /* more threads than processors: let the predecessor run */
        }
    }
    return v;
}

static inline char *sc_at(const sc_dense *D, int64_t r, int64_t c, size_t size)
{
    return (char *)D->data + (r * D->row_stride + c * D->col_stride) * (int64_t)size;
}

/* Keys: 0, 1, 2 for 16, 32, 64 bits, those of a complex value are of its modulus; the key of infinity, above which
 * there is only NaN. */
int sc_key_width(enum sc_val val);
uint64_t sc_key_inf(enum sc_val val);
static inline int sc_is_complex(enum sc_val val) { return val == SC_C64 || val == SC_C128; }

/* The moduli of n neighbours of single or double (wide) precision.  hypot, until another function is set: who compares
 * with moduli of their own sets what makes them. */
typedef void sc_modulus_fn(int wide, const void *z, int64_t n, void *moduli);
void sc_set_modulus(sc_modulus_fn *modulus);
/* The moduli of a part of a complex W, made in `pack`. */
sc_panel sc_moduli_of(const sc_dense *W, const struct sc_part *q, char *pack);

static inline uint64_t sc_key_at(int width, const void *keys, int64_t i)
{
    return width == 0 ? ((const uint16_t *)keys)[i] : width == 1 ? ((const uint32_t *)keys)[i]
                                                                 : ((const uint64_t *)keys)[i];
}

struct sc_found { uint64_t key; int64_t above, equal; };
struct sc_guess { int known; uint64_t lo, hi; };

/* The k-th largest key of x[0:n] in one thread, with room for `room` keys in buffer (at least 1024); the guess is where
 * it was last time, and is kept up to date.  Raises *top to the largest key. */
int sc_kth_serial(int width, const void *x, int64_t n, int64_t k, struct sc_guess *guess, void *buffer, int64_t room,
                  struct sc_found *f, uint64_t *top);

/* Arrays of one type taken together, cut into parts.  W: those that are not empty; first: the first part of each,
 * begin: its first value. */
struct sc_pieces {
    sc_dense *W;
    struct sc_cuts *cuts;
    int64_t *first, *begin, n, parts, values;
    int width, gather;      /* of keys; some array has no contiguous rows of keys */
};
/* any_order: a contiguous array of whatever order becomes one long row.  To be closed in any case. */
int sc_pieces_open(struct sc_pieces *p, const sc_dense *W, int64_t n, int any_order);
void sc_pieces_close(struct sc_pieces *p);

/* work(self, slot, p, which, q) for every part q of array `which`, begun in rising order. */
typedef int sc_piece_fn(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                        int64_t number);
int sc_everywhere(const struct sc_pieces *p, sc_piece_fn *work, void *self, int threads);

/* lo..hi holds the k-th of all values with near certainty, by about m samples kept in `keys`, which has room for
 * `room`; share: of the samples that are equal to lo, or to hi, whichever are more. */
struct sc_range { uint64_t lo, hi; double share; };
int sc_range_of_sample(const struct sc_pieces *p, int64_t k, int64_t m, char *keys, int64_t room,
                       struct sc_range *range);

#endif
