/* alpha A + beta B and A * B by elements. */
#include "structure.h"

/* Entries that a part reads: its result waits in the L2 cache for its place in the output. */
#define PART 32768
#define WAVE 16

static int64_t both(const sc_csr *A, const sc_csr *B, int64_t r) { return sc_ptr(A, r) + sc_ptr(B, r) + r; }

/* sc_cut by the entries of both; rising in i for the same reason. */
static int64_t cut(const sc_csr *A, const sc_csr *B, int64_t i, int64_t n)
{
    if (i <= 0) return 0;
    if (i >= n) return A->rows;
    int64_t target = (int64_t)((__int128)(A->nnz + B->nnz + A->rows) * i / n), lo = 0, hi = A->rows;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (both(A, B, mid) < target) lo = mid + 1; else hi = mid;
    }
    return lo;
}

struct work {
    const sc_csr *A, *B;
    const void *alpha, *beta;           /* NULL: the product by elements */
    const sc_out *out;
    int *canonical;
};

/* Rows r0..r1 of the result to col and val; the lengths of its rows. */
static int rows(const struct work *w, int64_t r0, int64_t r1, int64_t *length, void *col, void *val, int64_t *found)
{
    const sc_csr *A = w->A, *B = w->B;
    const struct sc_elementwise_kernels *kernels = sc_kernels()->elementwise;
    int status = sc_check_order(A, r0, r1, w->canonical);
    if (status == SC_OK) status = sc_check_order(B, r0, r1, w->canonical);
    *found = 0;
    if (status != SC_OK) return status;
    if (w->alpha) *found = kernels->add[A->val][A->idx](A, B, w->alpha, w->beta, r0, r1, length, col, val);
    else *found = kernels->multiply[A->val][A->idx](A, B, r0, r1, length, col, val);
    return SC_OK;
}

/* Parts in waves: all of a wave are computed into rooms, then their places are known and they are copied out.  On one
 * thread every place is known in time. */
static int run(const struct work *w, int64_t *nnz, int threads)
{
    const sc_csr *A = w->A, *B = w->B;
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val);
    int64_t parts = SC_MAX(1, SC_MIN(A->rows, (A->nnz + B->nnz + A->rows) / PART + 1)), widest = 0, tallest = 0, at = 0;
    *w->canonical = 1;
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = cut(A, B, k, parts), r1 = cut(A, B, k + 1, parts), a0 = sc_ptr(A, r0), a1 = sc_ptr(A, r1),
                b0 = sc_ptr(B, r0), b1 = sc_ptr(B, r1);
        if (a0 < 0 || a1 < a0 || a1 > A->nnz || b0 < 0 || b1 < b0 || b1 > B->nnz) return SC_BAD_INDPTR;
        widest = SC_MAX(widest, a1 - a0 + b1 - b0);
        tallest = SC_MAX(tallest, r1 - r0);
    }
    widest = (widest + 64) / 64 * 64;
    int64_t wave = parts == 1 || threads == 1 ? 1 : SC_MIN(parts, SC_MIN(WAVE, (1 << 26) / widest + 2)), found[WAVE];
    int64_t *length = sc_alloc(tallest * wave, sizeof *length);
    char *cols = wave > 1 ? sc_alloc(widest * wave, index) : NULL, *vals = wave > 1 ? sc_alloc(widest * wave, value) : NULL;
    int status = !length || (wave > 1 && (!cols || !vals)) ? SC_NO_MEMORY : SC_OK;
    for (int64_t k0 = 0; k0 < parts && status == SC_OK; k0 += wave) {
        int64_t n = SC_MIN(wave, parts - k0);
        if (wave == 1) {
            status = rows(w, cut(A, B, k0, parts), cut(A, B, k0 + 1, parts), length, sc_at(w->out->indices, at, index),
                          sc_at(w->out->data, at, value), found);
        } else {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
            for (int64_t i = 0; i < n; i++)
                sc_report(&status, rows(w, cut(A, B, k0 + i, parts), cut(A, B, k0 + i + 1, parts), length + tallest * i,
                                        cols + widest * i * index, vals + widest * i * value, found + i));
        }
        if (status == SC_OK) {
            int64_t place[WAVE];
            for (int64_t i = 0; i < n; i++) {
                place[i] = at;
                at += found[i];
            }
#pragma omp parallel for num_threads(threads) schedule(static) if (wave > 1)
            for (int64_t i = 0; i < n; i++) {
                int64_t r0 = cut(A, B, k0 + i, parts), r1 = cut(A, B, k0 + i + 1, parts), p = place[i];
                for (int64_t r = r0; r < r1; r++) {
                    sc_put_ptr(w->out->indptr, A->idx, r, p);
                    p += length[tallest * i + r - r0];
                }
                if (wave == 1) continue;
                memcpy(sc_at(w->out->indices, place[i], index), cols + widest * i * index, (size_t)found[i] * index);
                memcpy(sc_at(w->out->data, place[i], value), vals + widest * i * value, (size_t)found[i] * value);
            }
            if (k0 / wave % 64 == 63) status = sc_poll();
        }
    }
    sc_put_ptr(w->out->indptr, A->idx, A->rows, at);
    *nnz = at;
    sc_free(length);
    sc_free(cols);
    sc_free(vals);
    return status;
}

int sc_add(const sc_csr *A, const sc_csr *B, const void *alpha, const void *beta, const sc_out *out, int64_t *nnz,
           int *canonical, int threads)
{
    struct work w = {A, B, alpha, beta, out, canonical};
    return run(&w, nnz, threads);
}

int sc_multiply(const sc_csr *A, const sc_csr *B, const sc_out *out, int64_t *nnz, int *canonical, int threads)
{
    struct work w = {A, B, NULL, NULL, out, canonical};
    return run(&w, nnz, threads);
}

int sc_scale(const sc_csr *A, const void *left, const void *right, void *out, int *canonical, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL);
    int status = SC_OK;
    *canonical = 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_order(A, r0, r1, canonical);
        if (found == SC_OK) sc_kernels()->elementwise->scale[A->val][A->idx](A, r0, r1, left, right, out);
        sc_report(&status, found);
    }
    return status;
}

int sc_times_dense(const sc_csr *A, const sc_dense *D, void *out, int *canonical, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL);
    int status = SC_OK;
    *canonical = 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts);
        int found = sc_check_order(A, r0, r1, canonical);
        if (found == SC_OK) sc_kernels()->elementwise->times_dense[A->val][A->idx](A, r0, r1, D, out);
        sc_report(&status, found);
    }
    return status;
}
