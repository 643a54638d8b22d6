/* The number of this thread in its team: which scratch is its own. */
#ifndef SC_TEAM_H
#define SC_TEAM_H

#ifdef _OPENMP
#include <omp.h>
static inline int sc_thread(void) { return omp_get_thread_num(); }
#else
static inline int sc_thread(void) { return 0; }
#endif

#endif
