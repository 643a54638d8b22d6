/* n[c >> shift]++ for every column c of entries p0 <= p < p1 */
static void SC_PASTE(count, INAME)(const void *indices, int64_t p0, int64_t p1, int shift, int64_t *n)
{
    const IDX *col = indices;
    for (int64_t p = p0; p < p1; p++) n[(UIDX)col[p] >> shift]++;
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
