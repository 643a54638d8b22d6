/* What the drivers of structural operations share. */
#ifndef SC_STRUCTURE_H
#define SC_STRUCTURE_H

#include "driver.h"

static inline enum sc_size sc_size_of(enum sc_val val)
{
    size_t size = sc_val_size(val);
    return size == 2 ? SC_B2 : size == 4 ? SC_B4 : size == 8 ? SC_B8 : SC_B16;
}

static inline void sc_put_ptr(void *indptr, enum sc_idx idx, int64_t r, int64_t value)
{
    if (idx == SC_I32) ((int32_t *)indptr)[r] = (int32_t)value; else ((int64_t *)indptr)[r] = value;
}

static inline size_t sc_ptr_size(enum sc_idx idx) { return idx == SC_I32 ? 4 : 8; }

static inline void *sc_at(const void *p, int64_t i, size_t size) { return (char *)p + (size_t)i * size; }

/* Bits that the numbers 0..n-1 need. */
static inline int sc_bits(int64_t n)
{
    int b = 0;
    while (b < 63 && ((int64_t)1 << b) < n) b++;
    return b;
}

/* sc_check_rows of rows r0..r1, in panels, and whether their columns rise strictly (*canonical is only cleared). */
int sc_check_order(const sc_csr *A, int64_t r0, int64_t r1, int *canonical);

/* The end of a panel of about SC_PANEL entries and rows from row r on, at most r1: a short search from where the last
 * panel would end if rows were alike.  (sc_cut looks through all of indptr: 1 us a panel of 10.) */
int64_t sc_panel_end(const sc_csr *A, int64_t r, int64_t r1);

/* Touches every large page of fresh memory that several threads are about to fill from many sides: two that meet on a
 * page nobody touched both clear it, one of them for nothing. */
void sc_touch(void *p, int64_t n, size_t size, int threads);

/* The buckets of a scatter of nnz entries over n rows by row >> shift, for `parts` parts: counts
 * [part][SC_COUNTS][bucket], which are added up, the places [part][bucket] where parts write, keys and values, and
 * lines of 16 per part and bucket. */
#define SC_COUNTS 4
struct sc_scatter {
    int64_t parts, buckets, rows, nnz, *counts, *next, *begin, *start, *room;
    int threads;
    int shift, wide, other_bits;        /* bits of a row inside its bucket; 64-bit keys; bits of the other number */
    int64_t room_size;                  /* of a thread */
    void *keys, *vals, *lines;
    size_t key_size, val_size, line_size;      /* bytes; of a bucket's lines */
};

/* `other` bounds the numbers that share a key with the low bits of a row. */
int sc_scatter_open(struct sc_scatter *S, int64_t rows, int64_t other, int64_t nnz, int64_t parts, enum sc_val val,
                    enum sc_idx idx, int threads);
static inline int64_t *sc_scatter_counts(const struct sc_scatter *S, int64_t part)
{
    return S->counts + part * SC_COUNTS * S->buckets;
}
void sc_scatter_scan(struct sc_scatter *S);                                    /* counts become places */
struct sc_buckets sc_scatter_part(const struct sc_scatter *S, int64_t part);   /* where this part writes */
/* Buckets to rows: indptr, indices and data of out; sorted by the other number too where `sorted` is asked for. */
void sc_scatter_place(const struct sc_scatter *S, enum sc_val val, enum sc_idx idx, const sc_out *out, int sorted,
                      int threads);
void sc_scatter_close(struct sc_scatter *S);

#endif
