/* Cuts of the rows by nonzeros.  The parts depend on the matrix, never on the thread count. */
#ifndef SC_SPLIT_H
#define SC_SPLIT_H

#include "sparsecore.h"

/* indptr[r] as int64; r in 0..rows. */
static inline int64_t sc_ptr(const sc_csr *A, int64_t r)
{
    return A->idx == SC_I32 ? ((const int32_t *)A->indptr)[r] : ((const int64_t *)A->indptr)[r];
}

/* The first row of part i of n, so that every part holds about (nnz + rows) / n of entries and rows.
 * Rising in i, 0 for i = 0 and rows for i = n, whatever indptr holds. */
int64_t sc_cut(const sc_csr *A, int64_t i, int64_t n);

/* A good number of parts for work units of about `grain` entries. */
int64_t sc_parts(const sc_csr *A, int64_t grain);

/* Are rows r0..r1 sound: indptr rising within 0..nnz and every index within 0..cols?  SC_OK or what is wrong.
 * Run on a panel just before its kernel, the panel's indices are in cache for both. */
int sc_check_rows(const sc_csr *A, int64_t r0, int64_t r1);
/* The same for indptr alone: enough for kernels that use no index as an address. */
int sc_check_pointers(const sc_csr *A, int64_t r0, int64_t r1);

/* Do the columns of successive entries mostly fall on lines of memory not touched just before, in a vector (or panel)
 * of cols * bytes so large that most of them come from memory?  From a sample of the indices; a wrong answer costs time
 * only. */
int sc_scattered(const sc_csr *A, int64_t bytes);

/* Do successive entries mostly meet columns again that were just met, as in banded matrices?  From a sample. */
int sc_local(const sc_csr *A);

size_t sc_val_size(enum sc_val val);
size_t sc_index_size(enum sc_idx idx);    /* of an entry of indices */

#endif
