/* The one allocation seam: 64-byte aligned, overflow-checked, counted and failable with -DSC_FAULT. */
#ifndef SC_MEM_H
#define SC_MEM_H

#include <stddef.h>
#include <stdint.h>

void *sc_alloc(int64_t n, size_t size);    /* NULL when there is no memory or n * size overflows */
void *sc_calloc(int64_t n, size_t size);   /* the same, zeroed */
void *sc_resize(void *p, int64_t n, size_t size);   /* NULL, and p as it was, when there is no memory */
void sc_free(void *p);
void sc_give(void *p);                     /* p now belongs to a caller who frees it with free() */

/* Memory of large results, which a later result takes over (keep.c).  Of any content; NULL when there is none. */
#define SC_KEEP_LEAST ((size_t)1 << 20)
void *sc_keep_alloc(size_t bytes);
void *sc_keep_resize(void *p, size_t bytes);    /* shrinking never moves, and gives nothing back */
void sc_keep_free(void *p);

/* Scratch as large as a result, from there and back there. */
void *sc_borrow(int64_t n, size_t size);
void sc_return(void *p);

#endif
