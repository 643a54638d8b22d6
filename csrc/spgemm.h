/* What the plan of a product borrows of spgemm.c. */
#ifndef SC_SPGEMM_H
#define SC_SPGEMM_H

#include "sparsecore.h"

/* work[r] = the number of products of row r of A @ B */
void sc_count_work(const sc_csr *A, const sc_csr *B, int64_t *work, int threads);

#endif
