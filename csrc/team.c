/* A team that does not wait for latecomers.
 *
 * The end of an OpenMP region waits for every thread of its team, at work or not.  Where another process, or another
 * library's spinning pool, holds the core of one of them, that is one or more of the scheduler's turns of 4 ms:
 * products of 0.1 ms took 8 to 12 ms on two shared cores, and 0.1 to 0.2 with this team.  Here the caller begins at
 * once, helpers take what is left when they come, and only those that have taken something are waited for; after a
 * moment's spinning the caller sleeps, so that a helper that was given the caller's own core can go on. */
#define _GNU_SOURCE
#include "team.h"

#include "driver.h"
#include "sparsecore.h"

#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define MAX_HELPERS 255
/* A helper looks for more work that long before it sleeps: waking it takes 5 to 50 us, and products come in rows. */
#define LINGER_NS 200000
/* The caller spins that long for the last part of a helper, which takes 10 to 30 us, before it sleeps. */
#define SPIN_NS 50000

/* A run of neighbouring parts.  Every thread begins with one of its own, so calls in a row find in its caches what they
 * left there (20 products of matrices of 0.7 to 30 MB: 4 % in the mean), and then takes what the others have left. */
struct share {
    _Alignas(64) _Atomic int64_t next;
    int64_t end;
};

struct work {
    sc_part_fn *part;
    void *job;
    int64_t parts, chunk;
    struct share *shares;             /* one for every thread */
    _Atomic int active;               /* helpers at work */
    int joined, threads, sleeping;    /* threads so far, at most; the caller sleeps until active is 0 */
    int cpu;                          /* where the caller was when it began */
    pthread_t caller;
    struct work *next;
    pthread_cond_t done;
};

/* Everything below, and what is not atomic above, is read and written under this lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t posted = PTHREAD_COND_INITIALIZER;
static struct work *open_works;       /* to which helpers may come */
static _Atomic int open_count;
static int helpers, asleep;
#define TOLD 16
static pthread_t hired[TOLD];
static int off[TOLD];                 /* the core that each of them keeps off */

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    for (int i = 0; i < 16; i++) __builtin_ia32_pause();
#endif
}

static void take_parts(struct work *w, int thread)
{
    for (int i = 0; i < w->threads; i++) {
        struct share *s = &w->shares[(thread + i) % w->threads];
        for (;;) {
            int64_t k = atomic_fetch_add_explicit(&s->next, w->chunk, memory_order_relaxed), end = k + w->chunk;
            if (k >= s->end) break;
            for (; k < end && k < s->end; k++) w->part(w->job, k, thread);
        }
    }
}

static void close_work(struct work *w)
{
    for (struct work **p = &open_works; *p; p = &(*p)->next)
        if (*p == w) {
            *p = w->next;
            atomic_fetch_sub(&open_count, 1);
            return;
        }
}

/* A helper is often woken on the core of the one that wakes it, and the scheduler leaves both there for 10 ms and more:
 * a product of 2.6 ms on one thread took as long on two.  So it may run on any core that the caller may use but the
 * caller's own. */
static int keep_off(pthread_t helper, int cpu, pthread_t caller)
{
#ifdef __linux__
    cpu_set_t set;
    if (pthread_getaffinity_np(caller, sizeof set, &set) != 0) return 0;
    CPU_CLR(cpu, &set);
    return CPU_COUNT(&set) > 0 && pthread_setaffinity_np(helper, sizeof set, &set) == 0;
#else
    (void)helper;
    (void)cpu;
    (void)caller;
    return 0;
#endif
}

/* Before they are woken: a helper queued behind the caller would tell so itself only after a turn of 3 ms.  On many
 * cores they seldom meet, and telling all takes longer; those at work for another caller are left where they are. */
static void clear_way(int cpu)
{
    if (helpers > TOLD || open_works) return;
    for (int i = 0; i < helpers; i++)
        if (off[i] != cpu) off[i] = keep_off(hired[i], cpu, pthread_self()) ? cpu : -1;
}

static void *help(void *unused)
{
    (void)unused;
    for (;;) {
        int64_t until = nanoseconds() + LINGER_NS;
        while (!atomic_load_explicit(&open_count, memory_order_relaxed) && nanoseconds() < until) pause_briefly();
        pthread_mutex_lock(&lock);
        while (!open_works) {
            asleep++;
            pthread_cond_wait(&posted, &lock);
            asleep--;
        }
        struct work *w = open_works;
        int thread = w->joined++;
        atomic_fetch_add(&w->active, 1);
        if (w->joined == w->threads) close_work(w);
        pthread_mutex_unlock(&lock);
#ifdef __linux__
        if (sched_getcpu() == w->cpu) keep_off(pthread_self(), w->cpu, w->caller);
#endif
        take_parts(w, thread);
        pthread_mutex_lock(&lock);     /* until it is released the caller does not leave, and w exists */
        if (atomic_fetch_sub(&w->active, 1) == 1 && w->sleeping) pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

/* Signals go to the threads of the program, never to a helper. */
static void hire(int wanted)
{
    sigset_t all, before;
    pthread_attr_t detached;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t t;
    while (helpers < wanted && helpers < MAX_HELPERS && pthread_create(&t, &detached, help, 0) == 0) {
        if (helpers < TOLD) {
            hired[helpers] = t;
            off[helpers] = -1;
        }
        helpers++;
    }
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, 0);
}

void sc_team(int64_t parts, int64_t chunk, int threads, sc_part_fn *part, void *job)
{
    struct work w = {.part = part, .job = job, .parts = parts, .chunk = chunk, .joined = 1, .threads = threads,
                     .done = PTHREAD_COND_INITIALIZER};
    if (threads > parts) w.threads = (int)parts;
    if (w.threads > MAX_HELPERS + 1) w.threads = MAX_HELPERS + 1;
    if (w.threads <= 1 || sc_fork_child()) {     /* the helpers did not come along into a forked child */
        for (int64_t k = 0; k < parts; k++) part(job, k, 0);
        return;
    }
    struct share shares[w.threads];
    for (int i = 0; i < w.threads; i++) {
        shares[i].next = parts * i / w.threads;
        shares[i].end = parts * (i + 1) / w.threads;
    }
    w.shares = shares;
    w.caller = pthread_self();
#ifdef __linux__
    w.cpu = sched_getcpu();
#endif
    pthread_mutex_lock(&lock);
    hire(w.threads - 1);
    clear_way(w.cpu);
    w.next = open_works;
    open_works = &w;
    atomic_fetch_add(&open_count, 1);
    int wake = asleep < w.threads - 1 ? asleep : w.threads - 1;
    pthread_mutex_unlock(&lock);
    while (wake-- > 0) pthread_cond_signal(&posted);
    take_parts(&w, 0);
    pthread_mutex_lock(&lock);
    close_work(&w);
    pthread_mutex_unlock(&lock);
    if (atomic_load(&w.active)) {
        int64_t until = nanoseconds() + SPIN_NS;
        while (atomic_load(&w.active) && nanoseconds() < until) pause_briefly();
    }
    pthread_mutex_lock(&lock);
    while (atomic_load(&w.active)) {
        w.sleeping = 1;
        pthread_cond_wait(&w.done, &lock);
    }
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&w.done);
}

#else
void sc_team(int64_t parts, int64_t chunk, int threads, sc_part_fn *part, void *job)
{
    (void)chunk;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) part(job, k, sc_thread());
}
#endif

struct wave {
    sc_part_fn *part;
    void *job;
    int64_t first;
};

static void of_wave(void *wave, int64_t k, int thread)
{
    const struct wave *w = wave;
    w->part(w->job, w->first + k, thread);
}

int sc_team_waves(int64_t parts, int64_t wave, int threads, sc_part_fn *part, void *job)
{
    struct wave w = {part, job, 0};
    for (; w.first < parts; w.first += wave) {
        int64_t n = parts - w.first < wave ? parts - w.first : wave;
        if (w.first && sc_poll() != SC_OK) return SC_INTERRUPTED;
        sc_team(n, n / (8 * threads) + 1, threads, of_wave, &w);
    }
    return SC_OK;
}
