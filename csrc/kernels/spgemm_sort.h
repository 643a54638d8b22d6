/* Sorting the products of one row by column.  A key is (column << 32 | number of the product): the number keeps the
 * order of summation, and finds the value again. */
#ifndef SC_SPGEMM_SORT_H
#define SC_SPGEMM_SORT_H

static inline void insertion_sort(uint64_t *key, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        uint64_t k = key[i];
        int64_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) key[j] = key[j - 1];
        key[j] = k;
    }
}

/* Sorts key[0:n], with room for as many in spare; returns where the sorted keys are. */
static uint64_t *merge_sort(uint64_t *key, uint64_t *spare, int64_t n)
{
    enum { RUN = 16 };
    for (int64_t i = 0; i < n; i += RUN) insertion_sort(key + i, SC_MIN(RUN, n - i));
    for (int64_t width = RUN; width < n; width *= 2) {
        for (int64_t i = 0; i < n; i += 2 * width) {
            int64_t a = i, ae = SC_MIN(i + width, n), b = ae, be = SC_MIN(i + 2 * width, n);
            for (int64_t o = i; o < be; o++) {
                int left = b >= be || (a < ae && key[a] < key[b]);
                spare[o] = left ? key[a] : key[b];
                a += left;
                b += !left;
            }
        }
        uint64_t *t = key;
        key = spare;
        spare = t;
    }
    return key;
}

#endif
