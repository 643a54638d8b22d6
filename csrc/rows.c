/* Sorting, summing of duplicates, slicing and stacking of rows. */
#include "structure.h"

int sc_sort_rows(const sc_csr *A, const sc_out *same, int threads)
{
    enum sc_size size = sc_size_of(A->val);
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val), ptr = A->idx == SC_I32 ? 4 : 8;
    int64_t longest = 0, parts = sc_parts(A, SC_PANEL), turn = 0;
    for (int64_t r = 0; r < A->rows; r++) longest = SC_MAX(longest, sc_ptr(A, r + 1) - sc_ptr(A, r));
    int64_t room = (longest + 15) / 16 * 16;
    char *columns = sc_alloc(room * threads, index), *values = sc_alloc(room * threads, value);
    int status = columns && values ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int t = 0; t < threads; t++)
            for (;;) {
                int64_t k;
#pragma omp atomic capture
                k = turn++;
                if (k >= parts) break;
                int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
                if (r0 == r1) continue;
                sc_kernels()->structure->sort[size][A->idx](sc_at(A->indptr, r0, ptr), r1 - r0, sc_ptr(A, r1),
                                                            same->indices, same->data, columns + room * t * index,
                                                            values + room * t * value);
            }
    }
    sc_free(columns);
    sc_free(values);
    return status;
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
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++)
            end[k] = sc_kernels()->entries->merge_equal[A->val][A->idx](same->indptr, row[k], row[k + 1],
                                                                        same->indices, same->data);
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

int sc_take_cols_count(const sc_csr *A, const int64_t *first, int64_t *indptr, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL);
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_rows(A, r0, r1);
        if (found == SC_OK)
            for (int64_t r = r0; r < r1; r++) {
                int64_t n = 0;
                for (int64_t p = sc_ptr(A, r); p < sc_ptr(A, r + 1); p++) {
                    int64_t c = A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p];
                    n += first[c + 1] - first[c];
                }
                indptr[r + 1] = n;
            }
        sc_report(&status, found);
    }
    indptr[0] = 0;
    if (status == SC_OK)
        for (int64_t r = 0; r < A->rows; r++)
            if (__builtin_add_overflow(indptr[r + 1], indptr[r], &indptr[r + 1])) return SC_TOO_LARGE;
    return status;
}

int sc_take_cols(const sc_csr *A, const int64_t *first, const int64_t *to, const sc_out *out, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        sc_kernels()->structure->take_cols[sc_size_of(A->val)][A->idx](
            A, sc_cut(A, k, parts), sc_cut(A, k + 1, parts), first, to, out->indptr, out->indices, out->data);
    return SC_OK;
}

int sc_append_rows(const sc_csr *A, const int64_t *rows, int64_t n, int64_t shift, int64_t *next, int64_t room,
                   const sc_out *out, int threads)
{
    enum { BLOCK = 512 };
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) if (threads > 1)
    for (int64_t i0 = 0; i0 < n; i0 += BLOCK) {
        int64_t i1 = SC_MIN(n, i0 + BLOCK);
        int found = rows ? SC_OK : sc_check_rows(A, i0, i1);
        for (int64_t i = i0; i < i1 && found == SC_OK; i++) {
            int64_t r = rows ? rows[i] : i;
            if (r < 0 || r >= A->rows) found = SC_BAD_SHAPE;
            else if (rows) found = sc_check_rows(A, r, r + 1);
            if (found == SC_OK && (next[i] < 0 || next[i] + sc_ptr(A, r + 1) - sc_ptr(A, r) > room)) found = SC_CHANGED;
        }
        if (found == SC_OK)
            sc_kernels()->structure->append[sc_size_of(A->val)][A->idx](A, rows, i0, i1, shift, next, out->indices,
                                                                        out->data);
        sc_report(&status, found);
    }
    return status;
}
