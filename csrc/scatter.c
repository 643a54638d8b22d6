/* Scattering entries over rows in two steps that both stay in cache: first into buckets of 2^shift rows, through lines
 * of 16 entries that leave the cache whole, then every bucket by counting.  Every part of the input has its own share
 * of a bucket, in the order of parts, so entries keep their order: there is one result, whatever the parts. */
#include "structure.h"
#include "team.h"

/* A bucket should fit the L2 cache together with its result; more buckets than this would push out the lines. */
#define BUCKET_ENTRIES 16384
#define MAX_BUCKETS 2048

/* Columns of at most so many bits are sorted by two passes of counting, from so many entries a row on (below, rows are
 * sorted one by one). */
#define COUNTED_BITS 24
#define COUNTED_ROW 16

int sc_scatter_open(struct sc_scatter *S, int64_t rows, int64_t other, int64_t nnz, int64_t parts, enum sc_val val,
                    enum sc_idx idx, int threads)
{
    int64_t want = SC_MAX(16, SC_MIN(MAX_BUCKETS, nnz / BUCKET_ENTRIES));
    memset(S, 0, sizeof *S);
    S->shift = SC_MAX(0, sc_bits(rows) - sc_bits(want));
    if (S->shift > 16) S->shift = SC_MAX(16, sc_bits(rows) - sc_bits(MAX_BUCKETS));
    S->rows = rows;
    S->nnz = nnz;
    S->threads = threads;
    S->parts = parts;
    S->buckets = rows ? ((rows - 1) >> S->shift) + 1 : 0;
    S->wide = idx == SC_I64 || sc_bits(other) + S->shift > 32;
    if (sc_bits(other) + S->shift > 64) return SC_TOO_LARGE;
    S->key_size = S->wide ? 8 : 4;
    S->val_size = sc_val_size(val);
    S->line_size = 16 * (S->key_size + SC_MAX(S->val_size, 4));
    S->counts = sc_calloc(parts * SC_COUNTS * S->buckets, sizeof(int64_t));
    S->next = sc_alloc(parts * S->buckets, sizeof(int64_t));
    S->begin = sc_alloc(parts * S->buckets, sizeof(int64_t));
    S->start = sc_alloc(S->buckets + 1, sizeof(int64_t));
    S->other_bits = sc_bits(other);
    S->room_size = SC_MAX((int64_t)1 << S->shift, (int64_t)2 << (SC_MIN(S->other_bits, COUNTED_BITS) + 1) / 2);
    S->room = sc_alloc(threads * S->room_size, sizeof(int64_t));
    /* One block, so that the lines, which are written at random, lie in large pages too. */
    size_t keys = (size_t)(nnz + 16) * S->key_size / 64 * 64 + 64, lines = (size_t)(parts * S->buckets) * S->line_size,
           vals = (size_t)(nnz + 16) * S->val_size;
    S->keys = sc_borrow((int64_t)(keys + lines + vals), 1);
    S->lines = (char *)S->keys + keys;
    S->vals = (char *)S->lines + lines;
    int ok = S->counts && S->next && S->begin && S->start && S->room && S->keys;
    return ok ? SC_OK : SC_NO_MEMORY;
}

void sc_scatter_close(struct sc_scatter *S)
{
    void *blocks[] = {S->counts, S->next, S->begin, S->start, S->room};
    sc_return(S->keys);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) sc_free(blocks[i]);
}

void sc_scatter_scan(struct sc_scatter *S)
{
    int64_t at = 0;
    sc_touch(S->keys, S->nnz, S->key_size, S->threads);
    sc_touch(S->vals, S->nnz, S->val_size, S->threads);
    for (int64_t b = 0; b < S->buckets; b++) {
        S->start[b] = at;
        for (int64_t k = 0; k < S->parts; k++) {
            S->begin[k * S->buckets + b] = S->next[k * S->buckets + b] = at;
            for (int i = 0; i < SC_COUNTS; i++) at += sc_scatter_counts(S, k)[i * S->buckets + b];
        }
    }
    S->start[S->buckets] = at;
}

struct sc_buckets sc_scatter_part(const struct sc_scatter *S, int64_t part)
{
    int64_t first = part * S->buckets;
    return (struct sc_buckets){.n = S->buckets, .next = S->next + first, .begin = S->begin + first, .keys = S->keys,
                               .vals = S->vals, .lines = sc_at(S->lines, first, S->line_size), .shift = S->shift};
}

/* The first bucket that begins at entry k or later; all of them where k is beyond the entries. */
static int64_t first_bucket(const struct sc_scatter *S, int64_t k)
{
    int64_t lo = 0, hi = S->buckets;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (S->start[mid] < k) lo = mid + 1; else hi = mid;
    }
    return lo;
}

struct place {
    const struct sc_scatter *S;
    enum sc_val val;
    enum sc_idx idx;
    const sc_out *out;
    int sorted;
    int64_t step;       /* entries of a run of buckets */
};

static void place_run(void *job, int64_t run, int thread)
{
    const struct place *p = job;
    const struct sc_scatter *S = p->S;
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    enum sc_size size = sc_size_of(p->val);
    size_t index = p->idx == SC_I32 ? 4 : 8;
    struct sc_buckets B = sc_scatter_part(S, 0);
    int64_t end = first_bucket(S, (run + 1) * p->step);
    for (int64_t b = first_bucket(S, run * p->step); b < end; b++) {
        int64_t r0 = b << S->shift, r1 = SC_MIN(S->rows, (b + 1) << S->shift), k0 = S->start[b], k1 = S->start[b + 1];
        void *ptr = sc_at(p->out->indptr, r0, index), *keys = sc_at(S->keys, k0, S->key_size),
             *vals = sc_at(S->vals, k0, S->val_size);
        int64_t *room = S->room + thread * S->room_size;
        int counted = p->sorted && S->key_size == index && S->other_bits <= COUNTED_BITS &&
                      k1 - k0 >= SC_MAX(COUNTED_ROW * (r1 - r0), (int64_t)1 << (S->other_bits + 1) / 2);
        if (counted)        /* the places of the result are free until the end */
            kernels->by_column[S->wide][size][p->idx](keys, vals, k1 - k0, S->shift, S->other_bits, room,
                                                      sc_at(p->out->indices, k0, index),
                                                      sc_at(p->out->data, k0, S->val_size));
        kernels->place[S->wide][size][p->idx](&B, k0, k1, r1 - r0, room, ptr, p->out->indices, p->out->data);
        /* The last pointer of a bucket is the next one's to write: it is known to be k1. */
        if (p->sorted && !counted)
            kernels->sort[size][p->idx](ptr, r1 - r0, k1, p->out->indices, p->out->data, keys, vals);
    }
}

void sc_scatter_place(const struct sc_scatter *S, enum sc_val val, enum sc_idx idx, const sc_out *out, int sorted,
                      int threads)
{
    /* Runs of buckets that fill a large page of values: threads that filled neighbours would meet on fresh pages. */
    struct place p = {S, val, idx, out, sorted, SC_MAX(1, SC_MIN(1 << 18, S->nnz / (8 * threads)))};
    sc_put_ptr(out->indptr, idx, S->rows, S->start[S->buckets]);
    sc_team(S->nnz / p.step + 1, 1, threads, place_run, &p);
}
