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

/* Do the columns of every row r0 <= r < r1 rise strictly?  Falls are counted over the whole range, without regard to
 * rows, by a loop without branches; those between two rows are then taken off. */
static int SC_PASTE(canonical, INAME)(const void *indptr, const void *indices, int64_t r0, int64_t r1)
{
    const PTR *ptr = indptr;
    const IDX *col = indices;
    int64_t falls = 0, first = ptr[r0], last = ptr[r1] - 1;
    while (first < last) {                      /* short counters keep the loop in vectors of indices */
        int64_t end = SC_MIN(first + 4096, last);
        IDX n = 0;
        for (int64_t p = first; p < end; p++) n += col[p + 1] <= col[p];
        falls += n;
        first = end;
    }
    if (!falls) return 1;
    int64_t begin = ptr[r0];
    for (int64_t r = r0 + 1; r < r1; r++) {
        int64_t p = ptr[r];
        /* the last of several equal pointers stands for them all */
        if (p > begin && p <= last && p < ptr[r + 1]) falls -= col[p] <= col[p - 1];
    }
    return falls == 0;
}
