/* Products of which only the entries of a pattern are wanted. */
#include "driver.h"
#include "side.h"
#include "team.h"

/* Panels of rows with about this many products or entries, and this many panels between two looks at signals. */
#define PART 16384
#define WAVE 512

static int masked(const struct sc_side *A, const struct sc_side *B, const struct sc_side *M, char *out, int threads)
{
    size_t size = sc_val_size(A->m.val);
    int64_t rows = A->m.rows, columns = B->m.cols + 64, sum = 0;
    int64_t *work = sc_alloc(rows + 1, 8);
    char *acc = sc_alloc(threads * columns, size);
    int status = work && acc ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
        const int64_t *Mp = M->m.indptr;
        sc_kernels()->spgemm->work(&A->m, &B->m, 0, rows, work);
        for (int64_t r = 0; r < rows; r++) {
            int64_t n = Mp[r] == Mp[r + 1] ? 0 : work[r] + Mp[r + 1] - Mp[r];
            work[r] = sum;
            sum += n;
        }
        work[rows] = sum;
    }
    sc_csr parts = {.rows = rows, .nnz = sum, .indptr = work, .idx = SC_P64I32};
    int64_t n = sc_parts(&parts, PART);
    for (int64_t k0 = 0; k0 < n && status == SC_OK; k0 += WAVE) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = k0; k < SC_MIN(k0 + WAVE, n); k++)
            sc_kernels()->spgemm->masked[A->m.val](&A->m, &B->m, &M->m, sc_cut(&parts, k, n), sc_cut(&parts, k + 1, n),
                                                   B->canonical ? SC_CANONICAL : 0,
                                                   acc + (size_t)(sc_thread() * columns) * size, out);
        status = sc_poll();
    }
    sc_free(work);
    sc_free(acc);
    return status;
}

int sc_masked_matmul(const sc_csr *A, const sc_csr *B, const sc_csr *M, void *out, int *wrong, int threads)
{
    *wrong = 0;
    if (A->cols != B->rows || M->rows != A->rows || M->cols != B->cols) return SC_BAD_SHAPE;
    if (A->val != B->val || !sc_kernels()->spgemm->masked[A->val]) return SC_BAD_TYPE;
    const sc_csr *in[3] = {A, B, M};
    struct sc_side side[3] = {0};
    int status = SC_OK;
    for (int i = 0; i < 3 && status == SC_OK; i++) {
        status = sc_side_open(&side[i], in[i], threads);
        *wrong = i;
    }
    if (status == SC_OK) status = masked(&side[0], &side[1], &side[2], out, threads);
    for (int i = 0; i < 3; i++) sc_side_close(&side[i]);
    return status;
}

int sc_sddmm(const sc_csr *P, const void *X, const void *Y, int64_t n, int weights, void *out, int threads)
{
    struct sc_side side;
    if (!sc_kernels()->spgemm->sddmm[P->val]) return SC_BAD_TYPE;
    int status = sc_side_open(&side, P, threads);
    int64_t parts = sc_parts(P, SC_MAX(64, (1 << 16) / SC_MAX(1, n)));
    for (int64_t k0 = 0; k0 < parts && status == SC_OK; k0 += WAVE) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (int64_t k = k0; k < SC_MIN(k0 + WAVE, parts); k++)
            sc_kernels()->spgemm->sddmm[P->val](&side.m, sc_cut(P, k, parts), sc_cut(P, k + 1, parts), X, Y, n,
                                                weights, out);
        status = sc_poll();
    }
    sc_side_close(&side);
    return status;
}
