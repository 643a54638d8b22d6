/* Sums over rows into few private outputs, by more threads than there are outputs.  How many outputs there are decides
 * about the bits and follows from the matrix; a thread more takes a range of the columns of one of them, and leaves
 * the other columns' entries to others.  Entries of a column are added in the order of the rows all the same. */
#ifndef SC_RANGE_H
#define SC_RANGE_H

#include "structure.h"

struct sc_ranges {
    int64_t n;              /* ranges of an output; 1: whole outputs, and nothing below is there */
    int64_t room;           /* entries of a thread's scratch */
    int32_t *rows;
    char *indices, *data;
};

/* What is done with n entries: their rows are counted from row `first` on. */
typedef void sc_entries_fn(void *job, int64_t first, const int32_t *row, const void *col, const void *val, int64_t n,
                           char *output);

/* n = 1 where the outputs are enough for the threads, or the matrix is small. */
int sc_ranges_open(struct sc_ranges *R, const sc_csr *A, int64_t outputs, int threads);
void sc_ranges_close(struct sc_ranges *R);

/* The first of `columns` columns that belongs to range i. */
static inline int64_t sc_range_begin(const struct sc_ranges *R, int64_t i, int64_t columns)
{
    return (int64_t)((__int128)columns * i / R->n);
}

/* add() for the entries of rows r0..r1, whose pointers were checked, in range i: SC_OK or what is wrong. */
int sc_ranges_run(const struct sc_ranges *R, const sc_csr *A, int64_t r0, int64_t r1, int64_t i, int thread,
                  sc_entries_fn *add, void *job, char *output);

#endif
