/* Do the columns rise strictly within every row r0 <= r < r1 (already found sound)? */
static int SC_PASTE(canonical, INAME)(const sc_csr *A, int64_t r0, int64_t r1)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    int wrong = 0;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r]; p + 1 < ptr[r + 1]; p++) wrong |= col[p + 1] <= col[p];
    return !wrong;
}
