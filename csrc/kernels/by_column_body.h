/* Counting: the numbers of column c go to start[c + 2], so that start[c + 1] is where the next one of column c belongs
 * while entries are placed, and start[c + 1] its end, where column c + 1 begins, when all are. */
static int FN(by_column)(const sc_csr *A, int64_t r0, int64_t r1, int32_t *start, int32_t *row, void *val_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *data = A->data;
    VAL *val = val_;
    const uint64_t cols = (uint64_t)A->cols;
    const int64_t p0 = ptr[r0], p1 = ptr[r1];
    memset(start, 0, (size_t)(cols + 2) * sizeof *start);
    for (int64_t p = p0; p < p1; p++) {
        uint64_t c = (UIDX)col[p];
        if (c >= cols) return 0;
        start[c + 2]++;
    }
    for (uint64_t c = 2; c <= cols; c++) start[c + 1] += start[c];
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = SC_MAX(p0, ptr[r]); p < SC_MIN(p1, ptr[r + 1]); p++) {
            uint64_t c = (UIDX)col[p];
            if (c >= cols) return 0;
            int64_t k = start[c + 1]++;
            if (k >= p1 - p0) return 0;
            row[k] = (int32_t)r;
            val[k] = data[p];
        }
    return 1;
}
