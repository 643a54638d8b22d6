/* Parts whose results have lengths that only computing tells, packed in order one behind the other.
 *
 * A thread keeps a result in scratch until every part before it is done, and computes the next one in the meantime:
 * nobody waits to be told a place.  (Handing the place on from part to part cost a time slice of the scheduler, 4 ms,
 * for every part as soon as something else ran on one of the processors.) */
#ifndef SC_SEQUENCE_H
#define SC_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

struct sc_sequence {
    void *col, *val;            /* where results go: `limit` places of `index` and `value` bytes */
    int64_t limit, filled;
    size_t index, value;
    int threads;
    int64_t parts, *length;     /* of every part that is done, else -1 */
    int64_t room, buffers;      /* scratch: entries of a result, results of a thread */
    char *cols, *vals;
};

/* Part `part` by thread `thread` into col and val; *n is its length. */
typedef int sc_sequence_fn(void *job, int thread, int64_t part, void *col, void *val, int64_t *n);

/* With index, value and threads set: scratch for results of at most `room` entries. */
int sc_sequence_open(struct sc_sequence *S, int64_t parts, int64_t room);
/* Parts k0 <= k < k1, behind what is there already. */
int sc_sequence_run(struct sc_sequence *S, int64_t k0, int64_t k1, sc_sequence_fn *compute, void *job);
void sc_sequence_close(struct sc_sequence *S);

#endif
