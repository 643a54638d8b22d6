/* Memory of large results.  Given back, a block is kept for the next result: the kernel clears fresh pages at 4 to 6
 * GB/s a core, in huge pages too, which was a third to a half of the time of writing a result.  Kept blocks are the
 * kernel's for the asking (MADV_FREE): it takes their pages when memory runs short, and a reuse before that costs
 * nothing.  The first few megabytes are not: malloc would keep as much, and telling the kernel takes longer than a
 * small product. */
#define _GNU_SOURCE
#include "mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#define KEPT_BLOCKS 32
#define KEPT_BYTES ((size_t)1 << 30)      /* at most, and no more than an eighth of the machine's memory */
#define KEPT_PLAIN ((size_t)32 << 20)     /* of them without a word to the kernel */
#define HEAD 64         /* before each block: its size */
#define PAGE 4096

struct block { char *base; size_t bytes; };      /* bytes behind the head */

static struct { struct block block[KEPT_BLOCKS]; int n; size_t bytes; } kept;      /* the oldest first */
static atomic_flag busy = ATOMIC_FLAG_INIT;

/* Whoever finds the store busy (by another thread, or since a fork in a bad moment) does without it. */
static int enter(void) { return !atomic_flag_test_and_set_explicit(&busy, memory_order_acquire); }
static void leave(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

static size_t most(void)
{
    size_t bytes = KEPT_BYTES;
#ifdef __linux__
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0 && (size_t)pages / 8 < bytes / PAGE) bytes = (size_t)pages / 8 * PAGE;
#endif
    return bytes;
}

static struct block take_out(int i)
{
    struct block b = kept.block[i];
    kept.bytes -= b.bytes;
    kept.n--;
    memmove(kept.block + i, kept.block + i + 1, (size_t)(kept.n - i) * sizeof b);
    return b;
}

static size_t *size_of(void *p) { return (size_t *)((char *)p - HEAD); }

/* A kept block for so many bytes, or none. */
static void *take(size_t bytes)
{
    int best = -1;
    if (!enter()) return NULL;
    /* The smallest that does, at most twice as large: what is not written stays the kernel's to take. */
    for (int i = 0; i < kept.n; i++) {
        size_t has = kept.block[i].bytes;
        if (has >= bytes && has - bytes <= bytes && (best < 0 || has < kept.block[best].bytes)) best = i;
    }
    char *base = best >= 0 ? take_out(best).base : NULL;
    leave();
    return base ? base + HEAD : NULL;
}

void *sc_keep_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 4) return NULL;
    void *p = take(bytes);
    if (p) return p;
    char *base = sc_alloc((int64_t)bytes + HEAD, 1);
    if (!base) return NULL;
    sc_give(base);
    *(size_t *)base = bytes;
    return base + HEAD;
}

void sc_keep_free(void *p)
{
    if (!p) return;
    struct block b = {(char *)p - HEAD, *size_of(p)}, out[KEPT_BLOCKS];
    size_t limit = most();
    /* realloc may have moved a grown block to where its lines do not begin: the next owner counts on that */
    int aligned = ((uintptr_t)b.base & 63) == 0, n = 0;
    int stays = aligned && b.bytes >= SC_KEEP_LEAST && b.bytes <= limit / 2 && enter();
    if (stays) {
        while (kept.n && (kept.n == KEPT_BLOCKS || kept.bytes + b.bytes > limit)) out[n++] = take_out(0);
#if defined(__linux__) && defined(MADV_FREE)
        if (kept.bytes + b.bytes > KEPT_PLAIN) {
            uintptr_t from = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
            uintptr_t to = ((uintptr_t)p + b.bytes) & ~(uintptr_t)(PAGE - 1);
            madvise((void *)from, to - from, MADV_FREE);
        }
#endif
        kept.block[kept.n++] = b;
        kept.bytes += b.bytes;
        leave();
    } else {
        out[n++] = b;
    }
    while (n) free(out[--n].base);
}

#ifdef SC_FAULT
void *sc_borrow(int64_t n, size_t size) { return sc_alloc(n, size); }
void sc_return(void *p) { sc_free(p); }
#else
void *sc_borrow(int64_t n, size_t size)
{
    size_t bytes;
    return n < 0 || __builtin_mul_overflow((size_t)n, size, &bytes) ? NULL : sc_keep_alloc(bytes);
}

void sc_return(void *p) { sc_keep_free(p); }
#endif

void *sc_keep_resize(void *p, size_t bytes)
{
    if (!p) return sc_keep_alloc(bytes);
    if (bytes <= *size_of(p)) return p;
    if (bytes > SIZE_MAX / 4) return NULL;
    if (*size_of(p) <= bytes / 2) {         /* little to copy, and a kept block may be there */
        void *q = sc_keep_alloc(bytes);
        if (!q) return NULL;
        memcpy(q, p, *size_of(p));
        sc_keep_free(p);
        return q;
    }
    char *base = sc_resize((char *)p - HEAD, (int64_t)bytes + HEAD, 1);
    if (!base) return NULL;
    *(size_t *)base = bytes;
    return base + HEAD;
}
