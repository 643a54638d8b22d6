/* col, val = the `top` largest of each row of A @ B that are above `floor`: ties go to the lowest column, NaN to none.
 *
 * One scan in the order of columns keeps what is above a bar.  Whenever enough is kept the bar rises to the top-th
 * largest so far, and the kept are thinned in their order: nothing is ever sorted. */

static int64_t SC_PASTE(topn, VNAME)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int flags,
                                     const sc_spgemm_scratch *s, int32_t *col, void *val_, int64_t *count)
{
    int64_t total = 0, limit = 4 * s->top + 64;
    const int32_t *row_col = s->row_col;
    const VAL *row_val = s->row_val;
    for (int64_t r = r0; r < r1; r++) {
        int64_t m = SC_PASTE(spgemm_row, VNAME)(A, B, r, flags, s, s->row_col, s->row_val), n = 0;
        /* Candidates are gathered at the head of the row's own buffer, behind the reading. */
        int32_t *c = s->row_col;
        VAL *v = s->row_val;
        VAL bar = (VAL)s->floor;
        for (int64_t i = 0; i < m; i++) {
            int32_t at = row_col[i];
            VAL x = row_val[i];
            c[n] = at;
            v[n] = x;
            n += x > bar;
            if (n == limit) {
                bar = SC_PASTE(thin, VNAME)(c, v, n, s->top, s->pick);
                n = s->top;
            }
        }
        if (n > s->top) {
            SC_PASTE(thin, VNAME)(c, v, n, s->top, s->pick);
            n = s->top;
        }
        memcpy(col + total, c, (size_t)n * sizeof *c);
        memcpy((VAL *)val_ + total, v, (size_t)n * sizeof *v);
        total += count[r] = n;
    }
    return total;
}
