/* C = A @ A.T from its upper triangle: C[j, i] = C[i, j].
 *
 * Row j of C is column j of the triangle above the diagonal, in the order of its rows, and then row j of the triangle.
 * Each part of the columns is filled by one walk over the rows, so every place has one writer. */
#include "driver.h"
#include "spgemm.h"
#include "team.h"

struct mirror {
    const sc_csr_result *U;
    sc_csr_result *C;
    int64_t *start, *next;   /* where row j of C begins, and where its next mirrored entry goes */
    int64_t parts;
    size_t size;
};

static int64_t pointer(const sc_csr_result *M, int64_t r)
{
    return M->idx == SC_I32 ? ((const int32_t *)M->indptr)[r] : ((const int64_t *)M->indptr)[r];
}

static int64_t column(const sc_csr_result *M, int64_t p)
{
    return M->idx == SC_I32 ? ((const int32_t *)M->indices)[p] : ((const int64_t *)M->indices)[p];
}

/* The first entry of row r of U, from p on, whose column is at least c. */
static int64_t first_at_least(const sc_csr_result *U, int64_t p, int64_t end, int64_t c)
{
    while (p < end) {
        int64_t mid = p + (end - p) / 2;
        if (column(U, mid) < c) p = mid + 1; else end = mid;
    }
    return p;
}

/* The rows of U above the diagonal cut to the columns c0..c1: count them, or put them in their mirrored place. */
static void walk(const struct mirror *m, int64_t c0, int64_t c1, int fill)
{
    const sc_csr_result *U = m->U;
    for (int64_t r = 0; r < c1; r++) {
        int64_t end = pointer(U, r + 1), p = first_at_least(U, pointer(U, r), end, SC_MAX(c0, r + 1));
        for (; p < end; p++) {
            int64_t j = column(U, p);
            if (j >= c1) break;
            int64_t to = m->next[j]++;
            if (!fill) continue;
            if (m->C->idx == SC_I32) ((int32_t *)m->C->indices)[to] = (int32_t)r;
            else ((int64_t *)m->C->indices)[to] = r;
            memcpy((char *)m->C->data + (size_t)to * m->size, (char *)U->data + (size_t)p * m->size, m->size);
        }
    }
}

/* Row r of U, behind what was mirrored into row r of C; U may be in 32 bits where C is in 64. */
static void copy_row(const struct mirror *m, int64_t r)
{
    const sc_csr_result *U = m->U;
    int64_t p = pointer(U, r), n = pointer(U, r + 1) - p, to = m->next[r];
    if (m->C->idx == SC_I32)
        memcpy((int32_t *)m->C->indices + to, (const int32_t *)U->indices + p, (size_t)n * 4);
    else
        for (int64_t i = 0; i < n; i++) ((int64_t *)m->C->indices)[to + i] = column(U, p + i);
    memcpy((char *)m->C->data + (size_t)to * m->size, (char *)U->data + (size_t)p * m->size, (size_t)n * m->size);
}

static int64_t part_begin(const struct mirror *m, int64_t k) { return k * m->U->rows / m->parts; }

static void count_part(void *job, int64_t k, int thread)
{
    const struct mirror *m = job;
    (void)thread;
    walk(m, part_begin(m, k), part_begin(m, k + 1), 0);
}

static void fill_part(void *job, int64_t k, int thread)
{
    const struct mirror *m = job;
    int64_t c0 = part_begin(m, k), c1 = part_begin(m, k + 1);
    (void)thread;
    walk(m, c0, c1, 1);
    for (int64_t r = c0; r < c1; r++) copy_row(m, r);
}

static int fill(struct mirror *m, int threads)
{
    const sc_csr_result *U = m->U;
    sc_csr_result *C = m->C;
    int64_t n = U->rows;
    m->parts = SC_MIN(threads, n);
    memset(m->next, 0, (size_t)n * 8);
    sc_team(m->parts, 1, threads, count_part, m);
    for (int64_t r = 0; r < n; r++) {
        int64_t mirrored = m->next[r];
        m->start[r] = m->next[r] = C->nnz;
        C->nnz += mirrored + pointer(U, r + 1) - pointer(U, r);
    }
    m->start[n] = C->nnz;
    C->idx = C->nnz <= INT32_MAX ? SC_I32 : SC_I64;
    size_t width = C->idx == SC_I32 ? 4 : 8;
    if (!(C->indptr = sc_keep_alloc((size_t)(n + 1) * width)) ||
        !(C->indices = sc_keep_alloc((size_t)C->nnz * width)) || !(C->data = sc_keep_alloc((size_t)C->nnz * m->size)))
        return SC_NO_MEMORY;
    for (int64_t r = 0; r <= n; r++)
        if (C->idx == SC_I32) ((int32_t *)C->indptr)[r] = (int32_t)m->start[r];
        else ((int64_t *)C->indptr)[r] = m->start[r];
    sc_team(m->parts, 1, threads, fill_part, m);
    return sc_poll();
}

int sc_gram(const sc_csr *A, const sc_csr *B, sc_csr_result *C, int *wrong, int threads)
{
    sc_csr_result U;
    int whole;
    *C = (sc_csr_result){.rows = A->rows, .cols = A->rows};
    int status = sc_spgemm_upper(A, B, &U, &whole, wrong, threads);
    if (status == SC_OK && whole) {
        *C = U;
        sc_csr_result_end(C, 1);
        return SC_OK;
    }
    if (status == SC_OK) {
        struct mirror m = {.U = &U, .C = C, .size = sc_val_size(A->val)};
        m.start = sc_alloc(U.rows + 1, 8);
        m.next = sc_alloc(U.rows + 1, 8);
        status = m.start && m.next ? fill(&m, threads) : SC_NO_MEMORY;
        sc_free(m.start);
        sc_free(m.next);
    }
    sc_csr_result_end(&U, 0);
    sc_csr_result_end(C, status == SC_OK);
    return status;
}
