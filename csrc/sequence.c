/* Results of unknown length, packed in order. */
#include "sequence.h"

#include "structure.h"
#include "team.h"

#ifndef _WIN32
#include <sched.h>
#endif
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BUFFERS 16                    /* results that a thread keeps at most: what it computes in a time slice */
#define SCRATCH ((int64_t)8 << 20)    /* bytes for them, if results are not large themselves */
#define PAGE ((size_t)2 << 20)
#define STREAM ((size_t)16 << 20)     /* bytes of a result from which on its lines will not stay in cache anyway */

int sc_sequence_open(struct sc_sequence *S, int64_t parts, int64_t room)
{
    S->parts = parts;
    S->room = (room + 64 + 15) / 16 * 16;
    S->buffers = SC_MAX(2, SC_MIN(BUFFERS, SCRATCH / (S->room * (int64_t)(S->index + S->value))));
    if (S->threads == 1) S->buffers = 1;
    S->length = sc_alloc(parts, sizeof *S->length);
    S->cols = sc_alloc(S->threads * S->buffers * S->room, S->index);
    S->vals = sc_alloc(S->threads * S->buffers * S->room, S->value);
    if (!S->length || !S->cols || !S->vals) return SC_NO_MEMORY;
    memset(S->length, 0xff, (size_t)parts * sizeof *S->length);
    return SC_OK;
}

void sc_sequence_close(struct sc_sequence *S)
{
    sc_free(S->length);
    sc_free(S->cols);
    sc_free(S->vals);
}

/* Copies past the caches what nobody reads soon: otherwise every line of the result is read before it is written, a
 * fifth of the traffic of a sum (AVX2). */
static void stream(char *to, const char *from, size_t n)
{
#ifdef __SSE2__
    size_t head = (size_t)(-(uintptr_t)to & 63);
    if (n > 256 + head) {
        memcpy(to, from, head);
        for (to += head, from += head, n -= head; n >= 64; to += 64, from += 64, n -= 64)
            for (int i = 0; i < 4; i++)
                _mm_stream_si128((__m128i *)to + i, _mm_loadu_si128((const __m128i *)from + i));
        _mm_sfence();
    }
#endif
    memcpy(to, from, n);
}

/* `n` entries to place `at` of one array.  Who reaches a new large page touches the next one: two threads that meet on
 * a page nobody touched would both clear it, one of them for nothing. */
static void put(const struct sc_sequence *S, void *to, const void *from, int64_t at, int64_t n, size_t size)
{
    size_t begin = (size_t)at * size, end = begin + (size_t)n * size, ahead = (end / PAGE + 1) * PAGE;
    if (end / PAGE > begin / PAGE && ahead < (size_t)S->limit * size)
        __atomic_fetch_or((char *)to + ahead, 0, __ATOMIC_RELAXED);      /* another thread may have written there */
    if ((size_t)S->limit * (S->index + S->value) > STREAM) stream((char *)to + begin, from, end - begin);
    else memcpy((char *)to + begin, from, end - begin);
}

static void yield(void)
{
#ifndef _WIN32
    sched_yield();
#endif
}

/* A result that is kept until its place is known. */
struct kept {
    int64_t part, n;
    void *col, *val;
};

/* Are the parts before `part` all done?  `next` and `at` are this thread's own view of what is. */
static int placed(const struct sc_sequence *S, int64_t part, int64_t *next, int64_t *at)
{
    for (int64_t m; *next < part; ++*next, *at += m)
        if ((m = __atomic_load_n(&S->length[*next], __ATOMIC_ACQUIRE)) < 0) return 0;
    return 1;
}

/* What one thread does. */
static int work(struct sc_sequence *S, int64_t k1, int64_t first, int64_t *turn, sc_sequence_fn *compute, void *job,
                int thread)
{
    struct kept kept[BUFFERS];
    int64_t head = 0, count = 0, next = first, at = S->filled, more = 1;
    int status = SC_OK;
    while (more || count) {
        for (; count; head = --count ? (head + 1) % S->buffers : 0) {
            const struct kept *k = &kept[head];
            if (!placed(S, k->part, &next, &at)) break;
            if (!k->n) continue;                /* there may be no room for nothing */
            if (k->n > S->limit - at) { status = SC_CHANGED; continue; }
            put(S, S->col, k->col, at, k->n, S->index);
            put(S, S->val, k->val, at, k->n, S->value);
        }
        if (!more || count == S->buffers) {
            if (count) yield();
            continue;
        }
        int64_t part = __atomic_fetch_add(turn, 1, __ATOMIC_RELAXED);
        if (!(more = part < k1)) continue;
        /* One thread writes to its place at once if what it may write beyond the end has room too. */
        int direct = S->threads == 1 && placed(S, part, &next, &at) && S->room <= S->limit - at;
        int64_t slot = (head + count) % S->buffers, from = (thread * S->buffers + slot) * S->room, n = 0;
        void *col = direct ? sc_at(S->col, at, S->index) : sc_at(S->cols, from, S->index);
        void *val = direct ? sc_at(S->val, at, S->value) : sc_at(S->vals, from, S->value);
        int found = compute(job, thread, part, col, val, &n);
        if (found != SC_OK) status = found;
        if (!direct) kept[(head + count++) % S->buffers] = (struct kept){part, n, col, val};
        __atomic_store_n(&S->length[part], n, __ATOMIC_RELEASE);
    }
    return status;
}

struct run {
    struct sc_sequence *S;
    int64_t k0, k1, turn;
    sc_sequence_fn *compute;
    void *job;
    int status;
};

static void work_thread(void *run, int64_t unused, int thread)
{
    struct run *r = run;
    (void)unused;
    sc_report(&r->status, work(r->S, r->k1, r->k0, &r->turn, r->compute, r->job, thread));
}

int sc_sequence_run(struct sc_sequence *S, int64_t k0, int64_t k1, sc_sequence_fn *compute, void *job)
{
    struct run r = {S, k0, k1, k0, compute, job, SC_OK};
    sc_team(S->threads, 1, S->threads, work_thread, &r);
    for (int64_t k = k0; k < k1; k++) S->filled += S->length[k];
    return r.status;
}
