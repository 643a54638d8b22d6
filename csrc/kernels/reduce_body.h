#define PANEL_ENTRIES 8192      /* as SC_PANEL in driver.h */
#define RFN(name) FN(SC_PASTE(name, RED))                  /* one instance: rows_sum_f32_i64 */

/* y[r] = terms of the values of row r, joined; long rows by 8 lanes, the same at every instruction set.  Lines `ahead`
 * entries are asked for meanwhile.  Columns are no addresses here: the largest is returned (a negative one is a huge
 * unsigned number), and the caller can check the rows by it afterwards.  A pass of its own over them would let the
 * streams of columns and of values take turns (row sums, two threads: banded 16.0 to 14.4 ms, stencil 18.9 to 17.5). */
static uint64_t RFN(rows)(const sc_csr *A, int64_t r0, int64_t r1, const void *mean_, void *y_, int64_t ahead)
{
    const PTR *ptr = A->indptr;
    const VAL *val = A->data;
    const WIDE *mean = mean_;
    RES *y = y_;
    const UIDX *col = A->indices;
    UIDX top[8] = {0};
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        WIDE m = mean ? mean[r] : 0;
        RES s = 0;
        __builtin_prefetch(col + p + ahead);
        __builtin_prefetch(val + p + ahead);
        __builtin_prefetch(val + p + 8 + ahead);
        if (end - p >= 16) {
            RES lane[8] = {0};
            for (; p + 8 <= end; p += 8) {
                __builtin_prefetch(col + p + ahead);
                __builtin_prefetch(val + p + ahead);
                for (int k = 0; k < 8; k++) top[k] = SC_MAX(top[k], col[p + k]);
                for (int k = 0; k < 8; k++) lane[k] = JOIN(lane[k], TERM((WIDE)LOAD(val[p + k]), m));
            }
            s = JOIN(JOIN(JOIN(lane[0], lane[4]), JOIN(lane[2], lane[6])),
                     JOIN(JOIN(lane[1], lane[5]), JOIN(lane[3], lane[7])));
        }
        for (; p < end; p++) {
            top[0] = SC_MAX(top[0], col[p]);
            s = JOIN(s, TERM((WIDE)LOAD(val[p]), m));
        }
        (void)m;
        y[r] = s;
    }
    for (int k = 1; k < 8; k++) top[0] = SC_MAX(top[0], top[k]);
    return top[0];
}

/* y[c] joined with the terms of the entries of column c in rows r0 <= r < r1 */
static void RFN(columns)(const sc_csr *A, int64_t r0, int64_t r1, const void *mean_, void *y_)
{
    enum { AHEAD = 32 };
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    const WIDE *mean = mean_;
    RES *y = y_;
    int64_t p = ptr[r0], end = ptr[r1], far = A->cols > 1 << 14 ? end - AHEAD - 3 : 0;
    while (p + 4 <= end) {
        IDX a = col[p], b = col[p + 1], c = col[p + 2], d = col[p + 3];
        if ((uint64_t)(d - a) < 1024) {     /* where columns are scattered, memory has enough to do with y */
            __builtin_prefetch(col + p + PANEL_ENTRIES);
            __builtin_prefetch(val + p + PANEL_ENTRIES);
        }
        if (p < far)
            for (int k = 0; k < 4; k++) __builtin_prefetch(y + col[p + AHEAD + k], 1);
        if (a != b && a != c && a != d && b != c && b != d && c != d) {
            /* Four sums are read before one is written, or each reading would wait for the writing before it. */
            RES ya = JOIN(y[a], TERM((WIDE)LOAD(val[p]), mean[a]));
            RES yb = JOIN(y[b], TERM((WIDE)LOAD(val[p + 1]), mean[b]));
            RES yc = JOIN(y[c], TERM((WIDE)LOAD(val[p + 2]), mean[c]));
            RES yd = JOIN(y[d], TERM((WIDE)LOAD(val[p + 3]), mean[d]));
            y[a] = ya;
            y[b] = yb;
            y[c] = yc;
            y[d] = yd;
            p += 4;
        } else {
            for (int64_t stop = p + 4; p < stop; p++)
                y[col[p]] = JOIN(y[col[p]], TERM((WIDE)LOAD(val[p]), mean[col[p]]));
        }
    }
    for (; p < end; p++) y[col[p]] = JOIN(y[col[p]], TERM((WIDE)LOAD(val[p]), mean[col[p]]));
    (void)mean;
}

#undef RFN
#undef PANEL_ENTRIES
