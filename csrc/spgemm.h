/* What gram.c borrows of spgemm.c. */
#ifndef SC_SPGEMM_H
#define SC_SPGEMM_H

#include "sparsecore.h"

/* The entries of A @ B on and above the diagonal; the whole product, and *whole = 1, if B has unsorted or repeated
 * columns.  The buffers of C belong to mem.c until sc_csr_result_end. */
int sc_spgemm_upper(const sc_csr *A, const sc_csr *B, sc_csr_result *C, int *whole, int *wrong, int threads);

/* Hands the buffers of a good result to the caller, frees those of a bad one. */
void sc_csr_result_end(sc_csr_result *C, int good);

#endif
