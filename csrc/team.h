/* Who does the parts of a piece of work. */
#ifndef SC_TEAM_H
#define SC_TEAM_H

#include <stdint.h>

#ifdef _OPENMP
#include <omp.h>
/* Inside an OpenMP region: which scratch is its own. */
static inline int sc_thread(void) { return omp_get_thread_num(); }
#else
static inline int sc_thread(void) { return 0; }
#endif

/* part(job, k, thread) for every 0 <= k < parts, on the caller and on helpers, `threads` in all, of which each has a
 * number 0 <= thread < threads of its own (for scratch).  Each begins with a share of neighbouring parts, in runs of
 * `chunk`, and then takes what others have left; a helper that comes late finds its share done, and nobody waits. */
typedef void sc_part_fn(void *job, int64_t part, int thread);
void sc_team(int64_t parts, int64_t chunk, int threads, sc_part_fn *part, void *job);

/* The same in waves of so many parts, with a look at signals between two: SC_OK or SC_INTERRUPTED. */
int sc_team_waves(int64_t parts, int64_t wave, int threads, sc_part_fn *part, void *job);

#endif
