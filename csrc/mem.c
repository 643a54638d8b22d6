/* The one allocation seam.  Fault injection (-DSC_FAULT) lives here and nowhere else. */
#define _GNU_SOURCE
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "sparsecore.h"

#ifdef SC_FAULT
#include <stdatomic.h>
static _Atomic int64_t countdown = -1, live = 0;
static _Atomic int forever = 0;

void sc_fault_after(int64_t allocations, int for_ever) { forever = for_ever; countdown = allocations; }
int64_t sc_live_blocks(void) { return live; }

static int fault(void)
{
    if (countdown < 0) return 0;
    if (countdown == 0) { if (!forever) countdown = -1; return 1; }
    countdown--;
    return 0;
}
#else
void sc_fault_after(int64_t allocations, int for_ever) { (void)allocations; (void)for_ever; }
int64_t sc_live_blocks(void) { return -1; }
static int fault(void) { return 0; }
#endif

static size_t rounded(size_t bytes) { return bytes ? (bytes + 63) / 64 * 64 : 64; }

/* Page faults dominate fresh large buffers; huge pages make them 512 times fewer. */
static void advise_huge(void *p, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (p && bytes >= (size_t)8 << 20) {
        /* Whole pages outward: advice on a part would split the mapping, and realloc could no longer move it. */
        uintptr_t a = (uintptr_t)p & ~(uintptr_t)4095, e = ((uintptr_t)p + bytes + 4095) & ~(uintptr_t)4095;
        madvise((void *)a, e - a, MADV_HUGEPAGE);
    }
#else
    (void)p;
    (void)bytes;
#endif
}

void *sc_alloc(int64_t n, size_t size)
{
    if (n < 0 || (uint64_t)n > (SIZE_MAX / 2 - 64) / (size ? size : 1) || fault()) return NULL;
    size_t bytes = rounded((size_t)n * size);
    void *p = aligned_alloc(64, bytes);
#ifdef SC_FAULT
    if (p) live++;
#endif
    advise_huge(p, bytes);
    return p;
}

void *sc_resize(void *p, int64_t n, size_t size)
{
    if (n < 0 || (uint64_t)n > (SIZE_MAX / 2 - 64) / (size ? size : 1) || fault()) return NULL;
    size_t bytes = rounded((size_t)n * size);
    void *q = realloc(p, bytes);   /* large blocks move by their page tables, nothing is copied */
    advise_huge(q, bytes);
#ifdef SC_FAULT
    if (q && !p) live++;
#endif
    return q;
}

void *sc_calloc(int64_t n, size_t size)
{
    void *p = sc_alloc(n, size);
    if (p) memset(p, 0, (size_t)n * size);
    return p;
}

void sc_free(void *p)
{
#ifdef SC_FAULT
    if (p) live--;
#endif
    free(p);
}

void sc_give(void *p)
{
#ifdef SC_FAULT
    if (p) live--;
#else
    (void)p;
#endif
}
