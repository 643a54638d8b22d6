/* indptr[r0] <= indptr[r0 + 1] <= ... <= indptr[r1] */
static int SC_PASTE(rising, INAME)(const void *indptr, int64_t r0, int64_t r1)
{
    const PTR *ptr = indptr;
    int falls = 0;
    for (int64_t r = r0; r < r1; r++) falls |= ptr[r + 1] < ptr[r];
    return !falls;
}

/* max over p of (unsigned)indices[p] < cols: a negative index is a huge unsigned one. */
static int SC_PASTE(within, INAME)(const void *indices, int64_t p0, int64_t p1, int64_t cols)
{
    const UIDX *col = indices;
    UIDX top = 0;
    for (int64_t p = p0; p < p1; p++) top = SC_MAX(top, col[p]);
    return p0 == p1 || (uint64_t)top < (uint64_t)cols;
}

/* indices[p - 1] < indices[p] within every row of r0..r1? */
static int SC_PASTE(canonical, INAME)(const void *indptr, const void *indices, int64_t r0, int64_t r1)
{
    const PTR *ptr = indptr;
    const IDX *col = indices;
    int falls = 0;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r] + 1; p < ptr[r + 1]; p++) falls |= col[p - 1] >= col[p];
    return !falls;
}
