/* The machine's own limit for memory: reads and triads as STREAM does them (McCalpin, 1995). */
#include <stddef.h>

double read_sum(const double *a, ptrdiff_t n, int threads)
{
    double total = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : total) schedule(static)
    for (ptrdiff_t i = 0; i < n / 64; i++) {
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (int j = 0; j < 64; j++) s += a[64 * i + j];
        total += s;
    }
    return total;
}

void triad(double *a, const double *b, const double *c, double q, ptrdiff_t n, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (ptrdiff_t i = 0; i < n; i++) a[i] = b[i] + q * c[i];
}
