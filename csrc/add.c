/* alpha A + beta B and A * B by elements. */
#include "structure.h"

/* Entries of a stretch, between which signals are looked at; and of a panel, checked just before it is computed. */
#define STRETCH ((int64_t)1 << 27)
#define PANEL 16384

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

/* Rows r0..r1 of the result, one after the other, from place `at` of out on; the lengths of its rows. */
static int rows(const struct work *w, int64_t r0, int64_t r1, int64_t *length, int64_t at, int64_t *found)
{
    const sc_csr *A = w->A, *B = w->B;
    const struct sc_elementwise_kernels *kernels = sc_kernels()->elementwise;
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val);
    int64_t begin = at;
    while (r0 < r1) {
        int64_t r = r0 + 1, next = SC_MIN(r1, r0 + PANEL);
        /* a panel of rows, of about PANEL entries; sound pointers or not, it grows to the right */
        while (r < next && both(A, B, r + 1) - both(A, B, r0) <= PANEL) r++;
        int status = sc_check_order(A, r0, r, w->canonical);
        if (status == SC_OK) status = sc_check_order(B, r0, r, w->canonical);
        if (status != SC_OK) return status;
        void *col = sc_at(w->out->indices, at, index), *val = sc_at(w->out->data, at, value);
        if (w->alpha) at += kernels->add[A->val][A->idx](A, B, w->alpha, w->beta, r0, r, length, col, val);
        else at += kernels->multiply[A->val][A->idx](A, B, r0, r, length, col, val);
        length += r - r0;
        r0 = r;
    }
    *found = at - begin;
    return SC_OK;
}

/* One stretch of rows, in as many parts as threads: every part writes where it would if nothing coincided, then parts
 * close up in order.  A row is computed by itself, so there is one result, whatever the parts. */
static int stretch(const struct work *w, const int64_t *row, int64_t parts, int64_t *length, int64_t *found, int64_t *at,
                   int threads)
{
    const sc_csr *A = w->A, *B = w->B;
    size_t index = sc_index_size(A->idx), value = sc_val_size(A->val);
    int64_t base = *at - sc_ptr(A, row[0]) - sc_ptr(B, row[0]);
    int status = SC_OK;
    for (int64_t k = 0; k < parts; k++) {
        int64_t a0 = sc_ptr(A, row[k]), a1 = sc_ptr(A, row[k + 1]), b0 = sc_ptr(B, row[k]), b1 = sc_ptr(B, row[k + 1]);
        if (a0 < 0 || a1 < a0 || a1 > A->nnz || b0 < 0 || b1 < b0 || b1 > B->nnz) return SC_BAD_INDPTR;
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        sc_report(&status, rows(w, row[k], row[k + 1], length + row[k], base + sc_ptr(A, row[k]) + sc_ptr(B, row[k]),
                                found + k));
    for (int64_t k = 0; k < parts && status == SC_OK; k++) {
        int64_t from = base + sc_ptr(A, row[k]) + sc_ptr(B, row[k]);
        if (from != *at) {
            memmove(sc_at(w->out->indices, *at, index), sc_at(w->out->indices, from, index), (size_t)found[k] * index);
            memmove(sc_at(w->out->data, *at, value), sc_at(w->out->data, from, value), (size_t)found[k] * value);
        }
        *at += found[k];
    }
    return status;
}

static int run(const struct work *w, int64_t *nnz, int threads)
{
    const sc_csr *A = w->A, *B = w->B;
    int64_t total = A->nnz + B->nnz + A->rows, stretches = total / STRETCH + 1;
    int64_t parts = SC_MAX(1, SC_MIN(threads, total / stretches / PANEL)), all = stretches * parts, at = 0;
    int64_t *length = sc_alloc(A->rows, sizeof *length), *row = sc_alloc(parts + 1, sizeof *row),
            *found = sc_alloc(parts, sizeof *found);
    int status = length && row && found ? SC_OK : SC_NO_MEMORY;
    *w->canonical = 1;
    for (int64_t s = 0; s < stretches && status == SC_OK; s++) {
        for (int64_t k = 0; k <= parts; k++) row[k] = cut(A, B, s * parts + k, all);
        status = stretch(w, row, parts, length, found, &at, threads);
        if (status == SC_OK) status = sc_poll();
    }
    for (int64_t r = 0, p = 0; r < A->rows && status == SC_OK; r++) {
        sc_put_ptr(w->out->indptr, A->idx, r, p);
        p += length[r];
    }
    sc_put_ptr(w->out->indptr, A->idx, A->rows, at);
    *nnz = at;
    sc_free(length);
    sc_free(row);
    sc_free(found);
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
