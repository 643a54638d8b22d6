/* What gram.c borrows of spgemm.c. */
#ifndef SC_SPGEMM_H
#define SC_SPGEMM_H

#include "sparsecore.h"

/* The entries of A @ B on and above the diagonal; the whole product, and *whole = 1, if B has unsorted or repeated
 * columns.  */
int sc_spgemm_upper(const sc_csr *A, const sc_csr *B, sc_csr_result *C, int *whole, int *wrong, int threads);

/* The buffers of a good result stay with the caller, who frees them by sc_keep_free; those of a bad one are freed. */
void sc_csr_result_end(sc_csr_result *C, int good);

/* work[r] = the number of products of row r of A @ B */
void sc_count_work(const sc_csr *A, const sc_csr *B, int64_t *work, int threads);

#endif
