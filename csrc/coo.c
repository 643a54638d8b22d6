/* Coordinates to sorted rows. */
#include "structure.h"

int sc_from_coo(const void *row, const void *col, const void *data, int64_t n, int wide, enum sc_val val, int64_t rows,
                int64_t cols, enum sc_idx idx, const sc_out *out, int threads)
{
    const struct sc_structure_kernels *kernels = sc_kernels()->structure;
    enum sc_idx at = wide ? SC_I64 : SC_I32;
    int64_t parts = SC_MAX(1, SC_MIN(threads, n / SC_PANEL));   /* there is one result, whatever the parts */
    struct sc_scatter S;
    int status = sc_scatter_open(&S, rows, cols, n, parts, val, idx, threads);
    if (status == SC_OK) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            int64_t p1 = (int64_t)((__int128)n * (k + 1) / parts);
            for (int64_t p = (int64_t)((__int128)n * k / parts); p < p1; p += SC_PANEL) {
                int64_t end = SC_MIN(p1, p + SC_PANEL);
                if (!kernels->count_coo[at](row, p, end, rows, S.shift, S.next + k * S.buckets) ||
                    !kernels->count_coo[at](col, p, end, cols, 0, NULL)) {
                    sc_report(&status, SC_BAD_INDEX);
                    break;
                }
            }
        }
    }
    if (status == SC_OK) status = sc_poll();
    if (status == SC_OK) {
        sc_scatter_scan(&S);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
        for (int64_t k = 0; k < parts; k++) {
            struct sc_buckets B = sc_scatter_part(&S, k);
            kernels->bucket_coo[S.wide][sc_size_of(val)][at](row, col, data, (int64_t)((__int128)n * k / parts),
                                                             (int64_t)((__int128)n * (k + 1) / parts), &B);
        }
        status = sc_poll();
    }
    if (status == SC_OK) sc_scatter_place(&S, val, idx, out, 1, threads);
    sc_scatter_close(&S);
    return status;
}
