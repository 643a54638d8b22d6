/* Coordinates to sorted rows. */
#include "structure.h"
#include "team.h"

struct job {
    const void *row, *col, *data;
    int64_t n, rows, cols, parts;
    enum sc_idx at;             /* of coordinates */
    enum sc_val val;
    struct sc_scatter *S;
    int status;
};

static int64_t part_begin(const struct job *j, int64_t k) { return (int64_t)((__int128)j->n * k / j->parts); }

/* The rows of part k, checked like its columns, by buckets. */
static void count_part(void *job, int64_t k, int thread)
{
    struct job *j = job;
    const struct sc_scatter *S = j->S;
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    int64_t p1 = part_begin(j, k + 1);
    (void)thread;
    for (int64_t p = part_begin(j, k); p < p1; p += SC_PANEL) {
        int64_t end = SC_MIN(p1, p + SC_PANEL);
        if (!kernels->count_coo[j->at](j->row, p, end, j->rows, S->shift, sc_scatter_counts(S, k)) ||
            !kernels->count_coo[j->at](j->col, p, end, j->cols, 0, NULL)) {
            sc_report(&j->status, SC_BAD_INDEX);
            return;
        }
    }
}

static void bucket_part(void *job, int64_t k, int thread)
{
    const struct job *j = job;
    struct sc_buckets B = sc_scatter_part(j->S, k);
    (void)thread;
    sc_kernels()->structure->bucket_coo[j->S->wide][sc_size_of(j->val)][j->at](
        j->row, j->col, j->data, part_begin(j, k), part_begin(j, k + 1), &B);
}

int sc_from_coo(const void *row, const void *col, const void *data, int64_t n, int wide, enum sc_val val, int64_t rows,
                int64_t cols, enum sc_idx idx, const sc_out *out, int threads)
{
    struct sc_scatter S;
    struct job j = {.row = row, .col = col, .data = data, .n = n, .rows = rows, .cols = cols,
                    .parts = SC_MAX(1, SC_MIN(threads, n / SC_PANEL)),   /* there is one result, whatever the parts */
                    .at = wide ? SC_I64 : SC_I32, .val = val, .S = &S};
    j.status = sc_scatter_open(&S, rows, cols, n, j.parts, val, idx, threads);
    if (j.status == SC_OK) sc_team(j.parts, 1, threads, count_part, &j);
    if (j.status == SC_OK) j.status = sc_poll();
    if (j.status == SC_OK) {
        sc_scatter_scan(&S);
        sc_team(j.parts, 1, threads, bucket_part, &j);
        j.status = sc_poll();
    }
    if (j.status == SC_OK) sc_scatter_place(&S, val, idx, out, 1, threads);
    sc_scatter_close(&S);
    return j.status;
}
