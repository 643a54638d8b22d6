/* Transposed products of matrices whose entries all lie near the diagonal.
 *
 * The rows are cut into wide parts with narrow ones between.  Narrow ones have so many rows that two wide parts share
 * no column, so wide parts scatter into the result side by side, then the narrow ones do: no output of each thread's
 * own has to be cleared, filled and added (21 diagonals on AVX2, two threads: A.T @ x 15.4 to 12.6 ms, with 8 columns
 * 51.7 to 34.8; 27-point stencil 19.1 to 18.0 and 54.0 to 51.9). */
#ifndef SC_BAND_H
#define SC_BAND_H

#include "sparsecore.h"

/* A smaller result stays in cache, where outputs of each thread's own cost less than a second round (bcsstk16 on AVX2,
 * 8 columns, 0.3 MB: 0.36 ms against 0.40). */
#define SC_BAND_BYTES ((int64_t)4 << 20)

struct sc_band {
    int64_t parts;             /* wide ones, one narrow one less; 0: this is no band */
    int64_t period, narrow;    /* rows of a wide part and the narrow one after it; of the narrow one */
    int64_t left, right;       /* how far from the diagonal columns are looked for */
};

/* From a sample of the rows.  Whoever scatters must check that columns lie in the part's, and begin anew if not. */
struct sc_band sc_band_find(const sc_csr *A);

/* Rows r0 <= r < r1 with their columns c0 <= c < c1.  Up to `clear` there are none of the next wide part. */
struct sc_band_part { int64_t r0, r1, c0, c1, clear; };
struct sc_band_part sc_band_part(const sc_csr *A, const struct sc_band *B, int64_t k, int narrow);

#endif
