/* In rows r0 <= r < r1, sorted, entries of equal column become their sum, in their order; rows close up from
 * indptr[r0] on.  indptr[r0] and indptr[r1] stay: neighbours work on the same array. */
static int64_t FN(merge_equal)(void *indptr, int64_t r0, int64_t r1, void *indices, void *data)
{
    PTR *ptr = indptr;
    IDX *col = indices;
    VAL *val = data;
    int64_t w = ptr[r0], p = w;
    for (int64_t r = r0; r < r1; r++) {
        int64_t end = ptr[r + 1];
        if (r > r0) ptr[r] = (PTR)w;
        while (p < end) {
            IDX c = col[p];
            VAL one = val[p++];
            if (p < end && col[p] == c) {
                ACC sum = LOAD(one);
                for (; p < end && col[p] == c; p++) sum += LOAD(val[p]);
                one = STORE(sum);
            }
            col[w] = c;
            val[w++] = one;
        }
    }
    return w;
}

/* The entries of rows r0 <= r < r1 of W that are not zero.  Never more than indptr gives room for: W may have changed
 * since it was counted. */
static void FN(from_dense)(const sc_dense *W, int64_t r0, int64_t r1, const void *indptr, void *indices, void *data)
{
    const PTR *ptr = indptr;
    IDX *col = indices;
    VAL *val = data;
    for (int64_t r = r0; r < r1; r++) {
        const VAL *w = (const VAL *)W->data + r * W->row_stride;
        int64_t p = ptr[r], end = ptr[r + 1];
        for (int64_t c = 0; c < W->cols && p < end; c++) {
            VAL v = w[c * W->col_stride];
            col[p] = (IDX)c;
            val[p] = v;
            p += LOAD(v) != 0;
        }
        for (; p < end; p++) { col[p] = 0; val[p] = STORE(0); }
    }
}

/* D[r, c] += value of every entry of rows r0 <= r < r1 */
static void FN(to_dense)(const sc_csr *A, int64_t r0, int64_t r1, const sc_dense *D)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    for (int64_t r = r0; r < r1; r++) {
        VAL *d = (VAL *)D->data + r * D->row_stride;
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            VAL *to = d + col[p] * D->col_stride;
            *to = STORE(LOAD(*to) + LOAD(val[p]));
        }
    }
}
