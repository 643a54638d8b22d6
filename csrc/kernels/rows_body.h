/* n[c >> shift]++ for every column c of entries p0 <= p < p1; n holds `buckets` counts four times over, in turn, and at
 * the end their sums are what counts: neighbours often share a bucket, and one count would wait for the other. */
static void SC_PASTE(count, INAME)(const void *indices, int64_t p0, int64_t p1, int shift, int64_t buckets, int64_t *n)
{
    const IDX *col = indices;
    int64_t *n1 = n + buckets, *n2 = n1 + buckets, *n3 = n2 + buckets, p = p0;
    for (; p + 4 <= p1; p += 4) {
        n[(UIDX)col[p] >> shift]++;
        n1[(UIDX)col[p + 1] >> shift]++;
        n2[(UIDX)col[p + 2] >> shift]++;
        n3[(UIDX)col[p + 3] >> shift]++;
    }
    for (; p < p1; p++) n[(UIDX)col[p] >> shift]++;
}

/* n[c]++ for every column c of entries p0 <= p < p1 */
static void SC_PASTE(count_columns, INAME)(const void *indices, int64_t p0, int64_t p1, void *counts)
{
    const IDX *col = indices;
    PTR *n = counts;
    for (int64_t p = p0; p < p1; p++) n[col[p]]++;
}

/* The entries of columns c0..c1 by counts[part][column], `cols` to a part. */
static int64_t SC_PASTE(sum_counts, INAME)(const void *counts, int64_t parts, int64_t cols, int64_t c0, int64_t c1)
{
    const PTR *n = counts;
    int64_t sum = 0;
    for (int64_t k = 0; k < parts; k++)
        for (int64_t c = c0; c < c1; c++) sum += n[k * cols + c];
    return sum;
}

/* Counts become the places where the parts write, column by column and then part by part, from `at` on. */
static void SC_PASTE(place_counts, INAME)(void *counts, int64_t parts, int64_t cols, int64_t c0, int64_t c1, int64_t at,
                                          void *indptr)
{
    PTR *next = counts, *ptr = indptr;
    for (int64_t c = c0; c < c1; c++) {
        ptr[c] = (PTR)at;
        for (int64_t k = 0; k < parts; k++) {
            PTR n = next[k * cols + c];
            next[k * cols + c] = (PTR)at;
            at += n;
        }
    }
}

/* The same for coordinates, which are of type PTR, where all lie within 0..limit; returns 0 where one does not. */
static int SC_PASTE(count_coo, INAME)(const void *coordinates, int64_t p0, int64_t p1, int64_t limit, int shift,
                                      int64_t *n)
{
    const PTR *at = coordinates;
    uint64_t top = 0;
    for (int64_t p = p0; p < p1; p++) top = SC_MAX(top, (uint64_t)(int64_t)at[p]);
    if (p0 < p1 && top >= (uint64_t)limit) return 0;
    if (n)
        for (int64_t p = p0; p < p1; p++) n[at[p] >> shift]++;
    return 1;
}
