/* Reductions over rows, columns and everything. */
#include "structure.h"

static int is_complex(enum sc_val val) { return val == SC_C64 || val == SC_C128; }

/* a[i] joined with b[i], i < n */
static void join(enum sc_reduce what, double *a, const double *b, int64_t n)
{
    if (what == SC_ABSMAX)
        for (int64_t i = 0; i < n; i++) a[i] = b[i] > a[i] || b[i] != b[i] ? b[i] : a[i];
    else
        for (int64_t i = 0; i < n; i++) a[i] += b[i];
}

static int per_row(const sc_csr *A, enum sc_reduce what, const void *mean, void *y, int *canonical, int threads)
{
    int64_t parts = sc_parts(A, 16 * SC_PANEL);
    int status = SC_OK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++)
        for (int64_t r = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts), next; r < r1; r = next) {
            next = sc_panel_end(A, r, r1);
            int found = sc_check_order(A, r, next, canonical);
            if (found == SC_OK) sc_kernels()->reduce->rows[what][A->val][A->idx](A, r, next, mean, y);
            sc_report(&status, found);
        }
    return status;
}

/* Fixed parts of the rows with an output each, which are joined in order. */
static int per_column(const sc_csr *A, enum sc_reduce what, const void *mean, double *y, int *canonical, int threads)
{
    int64_t words = what == SC_SUM && is_complex(A->val) ? 2 : 1, n = A->cols * words;
    /* An output more is cleared and read once: eight entries a column make up for that. */
    int64_t panels = sc_parts(A, SC_PANEL), outputs = SC_MIN(((int64_t)16 << 20) / (n * 8 + 1), A->nnz / (8 * n + 1));
    outputs = A->nnz < 1 << 15 || A->nnz < A->cols ? 1 : SC_MIN(panels, SC_MAX(2, SC_MIN(16, outputs)));
    double *P = outputs > 1 ? sc_alloc(outputs * n, sizeof *P) : y;
    int status = SC_OK;
    if (!P) return SC_NO_MEMORY;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < outputs; k++) {
            memset(P + k * n, 0, (size_t)n * sizeof *P);
            for (int64_t i = k * panels / outputs; i < (k + 1) * panels / outputs; i++) {
                int64_t r0 = sc_cut(A, i, panels), r1 = sc_cut(A, i + 1, panels);
                int found = sc_check_order(A, r0, r1, canonical);
                if (found == SC_OK) sc_kernels()->reduce->columns[what][A->val][A->idx](A, r0, r1, mean, P + k * n);
                sc_report(&status, found);
            }
        }
        if (outputs > 1) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < n; i += 4096) {
                int64_t m = SC_MIN(4096, n - i);
                memcpy(y + i, P + i, (size_t)m * sizeof *y);
                for (int64_t k = 1; k < outputs; k++) join(what, y + i, P + k * n + i, m);
            }
        }
    }
    if (outputs > 1) sc_free(P);
    return status;
}

/* Panels of entries are rows of their own: one partial result each, joined in order. */
static int everything(const sc_csr *A, enum sc_reduce what, const void *mean, double *y, int *canonical, int threads)
{
    int64_t parts = sc_parts(A, SC_PANEL), words = what == SC_SUM && is_complex(A->val) ? 2 : 1;
    double *P = sc_calloc(parts * words, sizeof *P);
    int status = SC_OK;
    if (!P) return SC_NO_MEMORY;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < parts; k++) {
        int64_t r0 = sc_cut(A, k, parts), r1 = sc_cut(A, k + 1, parts), found = sc_check_order(A, r0, r1, canonical);
        if (found == SC_OK) {
            int64_t wide[2] = {sc_ptr(A, r0), sc_ptr(A, r1)};
            int32_t narrow[2] = {(int32_t)wide[0], (int32_t)wide[1]};
            sc_csr row = *A;
            row.rows = 1;
            row.indptr = A->idx == SC_I32 ? (const void *)narrow : wide;
            sc_kernels()->reduce->rows[what][A->val][A->idx](&row, 0, 1, mean, P + k * words);
        }
        sc_report(&status, (int)found);
    }
    memset(y, 0, (size_t)words * sizeof *y);
    for (int64_t k = 0; k < parts; k++) join(what, y, P + k * words, words);
    sc_free(P);
    return status;
}

int sc_reduce(const sc_csr *A, enum sc_reduce what, enum sc_axis axis, const void *mean, void *y, int *canonical,
              int threads)
{
    *canonical = 1;
    if (axis == SC_OVER_COLUMNS) return per_row(A, what, mean, y, canonical, threads);
    if (axis == SC_OVER_ROWS) return per_column(A, what, mean, y, canonical, threads);
    return everything(A, what, mean, y, canonical, threads);
}
