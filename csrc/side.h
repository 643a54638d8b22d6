/* One operand of a product of two sparse matrices: checked, and in the one index form that those kernels know
 * (SC_P64I32).  Borrows what is in that form already; a copy of 32-bit pointers costs 8 bytes a row. */
#ifndef SC_SIDE_H
#define SC_SIDE_H

#include "sparsecore.h"

struct sc_side {
    sc_csr m;          /* idx == SC_P64I32 */
    int canonical;     /* columns rise strictly within every row */
    void *pointers, *columns;   /* own copies, or NULL */
};

/* SC_OK, SC_BAD_INDPTR, SC_BAD_INDEX, SC_NO_MEMORY, or SC_TOO_LARGE: more than 2^31 - 1 columns.
 * Close it whatever came back. */
int sc_side_open(struct sc_side *side, const sc_csr *A, int threads);
void sc_side_close(struct sc_side *side);

#endif
