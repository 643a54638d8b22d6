/* What every driver needs: kernels, cuts and scratch.  Work in parallel goes by parts, which a team does (team.h):
 *
 *     sc_team(parts, chunk, threads, part, job);
 *
 * Parts depend on the matrix only, so it does not matter to the result which thread takes which. */
#ifndef SC_DRIVER_H
#define SC_DRIVER_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "mem.h"
#include "split.h"
#include "types.h"

/* Entries of a panel that is checked and then computed while its indices are in cache. */
#define SC_PANEL 8192

/* Called between long panels, outside any parallel region: SC_OK or SC_INTERRUPTED. */
int sc_poll(void);

/* The size of a sum or dense operand that goes with a stored value. */
static inline size_t sc_acc_size(enum sc_val val) { return val == SC_F16 || val == SC_BF16 ? 4 : sc_val_size(val); }

/* Keeps the first bad status that any thread reports. */
static inline void sc_report(int *status, int found)
{
    if (found != SC_OK) {
#pragma omp atomic write
        *status = found;
    }
}

/* What any thread has reported so far: whether it is worth going on. */
static inline int sc_reported(int *status)
{
    int found;
#pragma omp atomic read
    found = *status;
    return found;
}

#define SC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SC_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
