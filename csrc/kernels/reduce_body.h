#define RFN(name) FN(SC_PASTE(name, RED))                  /* one instance: rows_sum_f32_i64 */

/* y[r] = terms of the values of row r, joined; long rows by 8 lanes, the same at every instruction set */
static void RFN(rows)(const sc_csr *A, int64_t r0, int64_t r1, const void *mean_, void *y_)
{
    const PTR *ptr = A->indptr;
    const VAL *val = A->data;
    const WIDE *mean = mean_;
    RES *y = y_;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        WIDE m = mean ? mean[r] : 0;
        RES s = 0;
        if (end - p >= 16) {
            RES lane[8] = {0};
            for (; p + 8 <= end; p += 8)
                for (int k = 0; k < 8; k++) lane[k] = JOIN(lane[k], TERM((WIDE)LOAD(val[p + k]), m));
            s = JOIN(JOIN(JOIN(lane[0], lane[4]), JOIN(lane[2], lane[6])),
                     JOIN(JOIN(lane[1], lane[5]), JOIN(lane[3], lane[7])));
        }
        for (; p < end; p++) s = JOIN(s, TERM((WIDE)LOAD(val[p]), m));
        (void)m;
        y[r] = s;
    }
}

/* y[c] joined with the terms of the entries of column c in rows r0 <= r < r1 */
static void RFN(columns)(const sc_csr *A, int64_t r0, int64_t r1, const void *mean_, void *y_)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const WIDE *mean = mean_;
    RES *y = y_;
    for (int64_t p = ptr[r0]; p < ptr[r1]; p++) y[col[p]] = JOIN(y[col[p]], TERM((WIDE)LOAD(val[p]), mean[col[p]]));
    (void)mean;
}

#undef RFN
