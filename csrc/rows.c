/* Sorting, summing of duplicates, slicing and stacking of rows. */
#include "structure.h"
#include "team.h"

#define WAVE 1024       /* panels between two looks at signals */

struct rows {
    const sc_csr *A;
    const sc_out *out;
    int64_t parts;
    int64_t room;                   /* to sort: entries of a thread's scratch */
    char *columns, *values;
    const int64_t *first, *to;      /* to take columns: where each goes */
    int64_t *indptr;
    int status;
};

static void sort_part(void *job, int64_t k, int thread)
{
    const struct rows *j = job;
    const sc_csr *A = j->A;
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val), ptr = A->idx == SC_I32 ? 4 : 8;
    int64_t r0 = sc_cut(A, k, j->parts), r1 = sc_cut(A, k + 1, j->parts);
    if (r0 == r1) return;
    sc_kernels()->structure->sort[sc_size_of(A->val)][A->idx](
        sc_at(A->indptr, r0, ptr), r1 - r0, sc_ptr(A, r1), j->out->indices, j->out->data,
        j->columns + (size_t)(j->room * thread) * index, j->values + (size_t)(j->room * thread) * value);
}

int sc_sort_rows(const sc_csr *A, const sc_out *same, int threads)
{
    struct rows j = {.A = A, .out = same, .parts = sc_parts(A, SC_PANEL)};
    int64_t longest = 0;
    for (int64_t r = 0; r < A->rows; r++) longest = SC_MAX(longest, sc_ptr(A, r + 1) - sc_ptr(A, r));
    j.room = (longest + 15) / 16 * 16;
    j.columns = sc_alloc(j.room * threads, sc_index_size(A->idx));
    j.values = sc_alloc(j.room * threads, sc_val_size(A->val));
    int status = j.columns && j.values ? sc_team_waves(j.parts, WAVE, threads, sort_part, &j) : SC_NO_MEMORY;
    sc_free(j.columns);
    sc_free(j.values);
    return status;
}

struct merge {
    const sc_csr *A;
    const sc_out *same;
    int64_t *row, *begin, *end;     /* of the parts: their rows, where their entries begin, and end when merged */
};

static void merge_part(void *job, int64_t k, int thread)
{
    const struct merge *m = job;
    (void)thread;
    m->end[k] = sc_kernels()->entries->merge_equal[m->A->val][m->A->idx](m->same->indptr, m->row[k], m->row[k + 1],
                                                                         m->same->indices, m->same->data);
}

int sc_sum_duplicates(const sc_csr *A, const sc_out *same, int64_t *nnz, int threads)
{
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val);
    int64_t parts = sc_parts(A, 1 << 16);
    int64_t *row = sc_alloc(parts + 1, sizeof *row), *begin = sc_alloc(parts, sizeof *begin),
            *end = sc_alloc(parts, sizeof *end);
    int status = row && begin && end ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
        /* cuts first: pointers change under way */
        for (int64_t k = 0; k <= parts; k++) row[k] = sc_cut(A, k, parts);
        for (int64_t k = 0; k < parts; k++) begin[k] = sc_ptr(A, row[k]);
        struct merge m = {A, same, row, begin, end};
        sc_team(parts, 1, threads, merge_part, &m);
        int64_t at = 0;
        for (int64_t k = 0; k < parts; k++) {        /* parts close up, in order */
            int64_t n = end[k] - begin[k];
            if (at != begin[k]) {
                memmove(sc_at(same->indices, at, index), sc_at(same->indices, begin[k], index), (size_t)n * index);
                memmove(sc_at(same->data, at, value), sc_at(same->data, begin[k], value), (size_t)n * value);
                for (int64_t r = row[k]; r < row[k + 1]; r++)
                    sc_put_ptr(same->indptr, A->idx, r, sc_ptr(A, r) - begin[k] + at);
            }
            at += n;
        }
        sc_put_ptr(same->indptr, A->idx, A->rows, at);
        *nnz = at;
    }
    sc_free(row);
    sc_free(begin);
    sc_free(end);
    return status;
}

static void count_part(void *job, int64_t k, int thread)
{
    struct rows *j = job;
    const sc_csr *A = j->A;
    int64_t r0 = sc_cut(A, k, j->parts), r1 = sc_cut(A, k + 1, j->parts);
    int found = sc_check_rows(A, r0, r1);
    (void)thread;
    sc_report(&j->status, found);
    for (int64_t r = r0; r < r1 && found == SC_OK; r++) {
        int64_t n = 0;
        for (int64_t p = sc_ptr(A, r); p < sc_ptr(A, r + 1); p++) {
            int64_t c = A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p];
            n += j->first[c + 1] - j->first[c];
        }
        j->indptr[r + 1] = n;
    }
}

int sc_take_cols_count(const sc_csr *A, const int64_t *first, int64_t *indptr, int threads)
{
    struct rows j = {.A = A, .parts = sc_parts(A, SC_PANEL), .first = first, .indptr = indptr};
    int status = sc_team_waves(j.parts, WAVE, threads, count_part, &j);
    if (status == SC_OK) status = j.status;
    indptr[0] = 0;
    if (status == SC_OK)
        for (int64_t r = 0; r < A->rows; r++)
            if (__builtin_add_overflow(indptr[r + 1], indptr[r], &indptr[r + 1])) return SC_TOO_LARGE;
    return status;
}

static void take_part(void *job, int64_t k, int thread)
{
    const struct rows *j = job;
    const sc_csr *A = j->A;
    (void)thread;
    sc_kernels()->structure->take_cols[sc_size_of(A->val)][A->idx](
        A, sc_cut(A, k, j->parts), sc_cut(A, k + 1, j->parts), j->first, j->to, j->out->indptr, j->out->indices,
        j->out->data);
}

int sc_take_cols(const sc_csr *A, const int64_t *first, const int64_t *to, const sc_out *out, int threads)
{
    struct rows j = {.A = A, .out = out, .parts = sc_parts(A, SC_PANEL), .first = first, .to = to};
    return sc_team_waves(j.parts, WAVE, threads, take_part, &j);
}

struct append {
    const sc_csr *A;
    const int64_t *rows;
    int64_t n, block, shift, *next, room;       /* rows to append, in blocks */
    const sc_out *out;
    int status;
};

static void append_block(void *job, int64_t k, int thread)
{
    struct append *j = job;
    const sc_csr *A = j->A;
    int64_t i0 = k * j->block, i1 = SC_MIN(j->n, i0 + j->block);
    int found = j->rows ? SC_OK : sc_check_rows(A, i0, i1);
    (void)thread;
    for (int64_t i = i0; i < i1 && found == SC_OK; i++) {
        int64_t r = j->rows ? j->rows[i] : i;
        if (r < 0 || r >= A->rows) found = SC_BAD_SHAPE;
        else if (j->rows) found = sc_check_rows(A, r, r + 1);
        if (found == SC_OK && (j->next[i] < 0 || j->next[i] + sc_ptr(A, r + 1) - sc_ptr(A, r) > j->room))
            found = SC_CHANGED;
    }
    if (found == SC_OK)
        sc_kernels()->structure->append[sc_size_of(A->val)][A->idx](A, j->rows, i0, i1, j->shift, j->next,
                                                                    j->out->indices, j->out->data);
    sc_report(&j->status, found);
}

int sc_append_rows(const sc_csr *A, const int64_t *rows, int64_t n, int64_t shift, int64_t *next, int64_t room,
                   const sc_out *out, int threads)
{
    struct append j = {.A = A, .rows = rows, .n = n, .shift = shift, .next = next, .room = room, .out = out};
    int64_t mean = A->nnz / SC_MAX(1, A->rows) + 1;
    j.block = SC_MAX(1, SC_MIN(512, 4 * SC_PANEL / mean));
    int status = sc_team_waves((n + j.block - 1) / j.block, 256, threads, append_block, &j);
    return status == SC_OK ? j.status : status;
}
