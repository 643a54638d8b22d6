/* Reductions by row and by column, in double: instances for every reduction, value and index type. */
#include <math.h>
#include <string.h>

#include "isa.h"

/* |x| and |x|^2 of whatever ACC is */
#define SQUARE(x) _Generic((x), float: square_real, double: square_real, default: square_complex)(x)
#define MAGNITUDE(x) _Generic((x), float: fabs, double: fabs, default: cabs)(x)
static inline double square_real(double x) { return x * x; }
static inline double square_complex(sc_c128 x) { return creal(x) * creal(x) + cimag(x) * cimag(x); }

/* x where all bits of mask are set, 0 where none is */
#define MASKED(x, mask) _Generic((x), double: masked_real, default: masked_complex)(x, mask)
static inline double masked_real(double x, uint64_t mask)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= mask;
    memcpy(&x, &bits, sizeof bits);
    return x;
}
static inline sc_c128 masked_complex(sc_c128 x, uint64_t mask) { return mask ? x : 0; }

/* From 16 - n on: the masks of the first n of 16. */
#define ALL ~(uint64_t)0
static const uint64_t first_of_16[32] = {ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL,
                                         ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL};


/* Of two magnitudes, and NaN stays: they are ordered as their bits are, NaN above all.  No branch: it would be guessed
 * wrong as often as not. */
static inline double largest(double a, double b)
{
    int64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = y > x ? y : x;
    memcpy(&a, &x, sizeof a);
    return a;
}

/* A reduction: RED its name, RES the type of result (WIDE: double, or complex double of complex values), the term of
 * a value x with the mean m, and how terms join. */
#define SC_EACH "each_reduce.h"
#define SC_BODY "reduce_body.h"
#include "each_value.h"

#define BY_REDUCE(f)                                                                                               \
    {[SC_SUM] = SC_BY_VAL_IDX(f##_sum), [SC_ABS] = SC_BY_VAL_IDX(f##_abs), [SC_SQUARE] = SC_BY_VAL_IDX(f##_square), \
     [SC_DEVIATION] = SC_BY_VAL_IDX(f##_deviation), [SC_COUNT] = SC_BY_VAL_IDX(f##_count),                         \
     [SC_ABSMAX] = SC_BY_VAL_IDX(f##_absmax)}

const struct sc_reduce_kernels SC_SYM(sc_reduce) = {
    .rows = BY_REDUCE(rows),
    .columns = BY_REDUCE(columns),
};
