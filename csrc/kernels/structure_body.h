/* Entries of rows r0 <= r < r1 of A go to the places that `next` holds for their columns: A.T, rows rising. */
static void FN(flip)(const sc_csr *A, int64_t r0, int64_t r1, int64_t *next, void *indices, void *data)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    IDX *to_row = indices;
    VAL *to_val = data;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
            int64_t to = next[col[p]]++;
            to_row[to] = (IDX)r;
            to_val[to] = val[p];
        }
}

/* Sorts n entries by column, equal columns in their order: insertion into runs of 16, then merging of runs, with
 * room for n entries. */
static void FN(sort_row)(IDX *col, VAL *val, int64_t n, IDX *room_col, VAL *room_val)
{
    for (int64_t b = 0; b < n; b += 16)
        for (int64_t p = b + 1; p < SC_MIN(b + 16, n); p++) {
            IDX c = col[p];
            VAL v = val[p];
            int64_t q = p;
            for (; q > b && col[q - 1] > c; q--) {
                col[q] = col[q - 1];
                val[q] = val[q - 1];
            }
            col[q] = c;
            val[q] = v;
        }
    IDX *from = col, *to = room_col;
    VAL *from_val = val, *to_val = room_val;
    for (int64_t run = 16; run < n; run *= 2) {
        for (int64_t b = 0; b < n; b += 2 * run) {
            int64_t i = b, mid = SC_MIN(b + run, n), j = mid, end = SC_MIN(b + 2 * run, n), w = b;
            while (i < mid && j < end) {
                int64_t k = from[j] < from[i] ? j++ : i++;
                to[w] = from[k];
                to_val[w++] = from_val[k];
            }
            for (; i < mid; i++, w++) { to[w] = from[i]; to_val[w] = from_val[i]; }
            for (; j < end; j++, w++) { to[w] = from[j]; to_val[w] = from_val[j]; }
        }
        IDX *c = from; from = to; to = c;
        VAL *v = from_val; from_val = to_val; to_val = v;
    }
    if (from != col) {
        memcpy(col, from, (size_t)n * sizeof(IDX));
        memcpy(val, from_val, (size_t)n * sizeof(VAL));
    }
}

/* Sorts n rows in place, equal columns in their order; row i begins at indptr[i], the last one ends at `end`; the
 * rooms hold the longest row. */
static void FN(sort)(const void *indptr, int64_t n, int64_t end, void *indices, void *data, void *room_indices,
                     void *room_data)
{
    const PTR *ptr = indptr;
    IDX *col = indices;
    VAL *val = data;
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = ptr[i], stop = i + 1 < n ? ptr[i + 1] : end, p = begin;
        while (p + 1 < stop && col[p] <= col[p + 1]) p++;
        if (p + 1 < stop) FN(sort_row)(col + begin, val + begin, stop - begin, room_indices, room_data);
    }
}

/* Every entry of rows r0..r1 once for each place of its column: places to[first[c]] .. to[first[c + 1]]. */
static void FN(take_cols)(const sc_csr *A, int64_t r0, int64_t r1, const int64_t *first, const int64_t *to,
                          const void *out_indptr, void *out_indices, void *out_data)
{
    const PTR *ptr = A->indptr, *out = out_indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    IDX *out_col = out_indices;
    VAL *out_val = out_data;
    int64_t w = out[r0];
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++)
            for (int64_t k = first[col[p]]; k < first[col[p] + 1]; k++, w++) {
                out_col[w] = (IDX)to[k];
                out_val[w] = val[p];
            }
}

/* Row rows[i] of A (row i where rows is NULL), columns moved by `shift`, to place next[i] on; next[i] moves on. */
static void FN(append)(const sc_csr *A, const int64_t *rows, int64_t i0, int64_t i1, int64_t shift, int64_t *next,
                       void *out_indices, void *out_data)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    for (int64_t i = i0; i < i1; i++) {
        int64_t r = rows ? rows[i] : i, p = ptr[r], n = ptr[r + 1] - p;
        IDX *restrict out_col = (IDX *)out_indices + next[i];
        VAL *restrict out_val = (VAL *)out_data + next[i];
        for (int64_t k = 0; k < n; k++) out_col[k] = (IDX)(col[p + k] + shift);
        for (int64_t k = 0; k < n; k++) out_val[k] = val[p + k];
        next[i] += n;
    }
}
