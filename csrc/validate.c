/* Full structural check: indptr rises from 0 to nnz, every index lies within the columns. */
#include "driver.h"
#include "team.h"

static int64_t col_at(const sc_csr *A, int64_t p)
{
    return A->idx == SC_I64 ? ((const int64_t *)A->indices)[p] : ((const int32_t *)A->indices)[p];
}

/* The place of the first fault: a slow second look, only on the way to an exception. */
static int locate(const sc_csr *A, int64_t *row, int64_t *pos)
{
    for (int64_t r = 0; r < A->rows; r++) {
        *row = r;
        *pos = -1;
        int64_t p0 = sc_ptr(A, r), p1 = sc_ptr(A, r + 1);
        if (p0 < 0 || p1 < p0 || p1 > A->nnz) return SC_BAD_INDPTR;
        for (int64_t p = p0; p < p1; p++)
            if (col_at(A, p) < 0 || col_at(A, p) >= A->cols) { *pos = p; return SC_BAD_INDEX; }
    }
    return SC_OK;
}

struct job {
    const sc_csr *A;
    int64_t parts;
    int status;
};

static void check_part(void *job_, int64_t k, int thread)
{
    struct job *job = job_;
    (void)thread;
    sc_report(&job->status, sc_check_rows(job->A, sc_cut(job->A, k, job->parts), sc_cut(job->A, k + 1, job->parts)));
}

int sc_validate(const sc_csr *A, int threads, int64_t *row, int64_t *pos)
{
    struct job job = {A, sc_parts(A, 1 << 16), SC_OK};
    *row = *pos = -1;
    if (sc_ptr(A, 0) != 0 || sc_ptr(A, A->rows) > A->nnz) { *row = 0; job.status = SC_BAD_INDPTR; }
    sc_team(job.parts, job.parts / (8 * threads) + 1, threads, check_part, &job);
    if (job.status == SC_OK) return SC_OK;
    int found = locate(A, row, pos);
    return found != SC_OK ? found : job.status;
}
