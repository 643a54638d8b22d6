/* Which instruction set runs.  Compiled for the baseline only: it executes before anything is known. */
#define _GNU_SOURCE
#ifdef _OPENMP
#include <omp.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "kernels.h"

#define X(family) extern const struct sc_##family##_kernels sc_##family##_base;
SC_FAMILIES(X)
#undef X
static const struct sc_kernels table_base = {
#define X(family) &sc_##family##_base,
    SC_FAMILIES(X)
#undef X
};

#ifdef SC_X86
#define X(family) extern const struct sc_##family##_kernels sc_##family##_avx2, sc_##family##_avx512;
SC_FAMILIES(X)
#undef X
static const struct sc_kernels table_avx2 = {
#define X(family) &sc_##family##_avx2,
    SC_FAMILIES(X)
#undef X
};
static const struct sc_kernels table_avx512 = {
#define X(family) &sc_##family##_avx512,
    SC_FAMILIES(X)
#undef X
};
static const struct sc_kernels *const tables[SC_NISA] = {&table_base, &table_avx2, &table_avx512};
#else
static const struct sc_kernels *const tables[SC_NISA] = {&table_base, 0, 0};
#endif

static enum sc_isa chosen = SC_BASE;

int sc_isa_built(enum sc_isa isa) { return isa >= 0 && isa < SC_NISA && tables[isa] != 0; }

/* Every feature that the level's files are compiled for (setup.py), and the system's support of its registers
 * (the compiler's run-time check includes XGETBV). */
int sc_isa_runs(enum sc_isa isa)
{
    if (!sc_isa_built(isa)) return 0;
#ifdef SC_X86
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("f16c");
    if (isa == SC_AVX2) return avx2;
    if (isa == SC_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd");
#endif
    return 1;
}

int sc_isa_choose(int isa)
{
    if (isa < 0) {
        for (isa = SC_NISA - 1; isa > 0 && !sc_isa_runs(isa);) isa--;
    } else if (!sc_isa_runs(isa)) {
        return SC_UNSUPPORTED_ISA;
    }
    chosen = isa;
    return SC_OK;
}

enum sc_isa sc_isa_chosen(void) { return chosen; }

const struct sc_kernels *sc_kernels(void) { return tables[chosen]; }

const struct sc_kernels *sc_short_kernels(void) { return tables[chosen == SC_AVX512 ? SC_AVX2 : chosen]; }

int sc_openmp_version(void)
{
#ifdef _OPENMP
    return _OPENMP;
#else
    return 0;
#endif
}

int sc_max_threads(void)
{
#ifdef _OPENMP
    return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}

int sc_in_parallel(void)
{
#ifdef _OPENMP
    return omp_in_parallel();
#else
    return 0;
#endif
}

/* libgomp's thread pool does not survive fork: a child that opens a team hangs.  The child gets one thread. */
static int forked = 0;
int sc_fork_child(void) { return forked; }

#if !defined(_WIN32)
static void in_child(void) { forked = 1; }
__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(0, 0, in_child); }
#endif

const char *sc_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

const char *sc_status_message(int status)
{
    switch (status) {
#define X(name, exception, message) \
    case SC_##name: return message;
        SC_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

static int (*poll_hook)(void) = 0;
void sc_set_poll(int (*poll)(void)) { poll_hook = poll; }
int sc_poll(void) { return poll_hook && poll_hook() ? SC_INTERRUPTED : SC_OK; }
