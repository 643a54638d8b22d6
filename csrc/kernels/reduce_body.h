#define PANEL_ENTRIES 8192      /* as SC_PANEL in driver.h */
#define RFN(name) FN(SC_PASTE(name, RED))                  /* one instance: rows_sum_f32_i64 */

/* Eight more terms of a row joined with its lanes, those of values whose mask is set. */
static inline __attribute__((always_inline)) void RFN(join_eight)(RES *lane, const VAL *val, const uint64_t *mask,
                                                                  WIDE m)
{
    (void)m;
#pragma omp simd
    for (int k = 0; k < 8; k++) lane[k] = JOIN(lane[k], MASKED((RES)TERM((WIDE)LOAD(val[k]), m), mask[k]));
}

/* The largest of sixteen columns, by lanes; columns and values are asked for `ahead` entries on. */
static inline __attribute__((always_inline)) void RFN(look_at)(UIDX *top, const UIDX *col, const VAL *val,
                                                               int64_t ahead)
{
    __builtin_prefetch(col + ahead);
    for (size_t i = 0; i < 16 * sizeof(VAL); i += 64) __builtin_prefetch((const char *)(val + ahead) + i);
#pragma omp simd
    for (int k = 0; k < 16; k++) top[k] = SC_MAX(top[k], col[k]);
}

/* y[r] = terms of the values of row r, joined: by 8 lanes, the same at every instruction set.  Lines `ahead` entries
 * on are asked for meanwhile.  Short rows go without branches on their length, which would be guessed wrong (it
 * depends on nothing that came before).  Columns are no addresses here: the largest is returned (a negative one is a
 * huge unsigned number), and the caller can check the rows by it afterwards.  A pass of its own over them would let the
 * streams of columns and of values take turns (row sums, two threads: banded 16.0 to 14.4 ms, stencil 18.9 to 17.5). */
static uint64_t RFN(rows)(const sc_csr *A, int64_t r0, int64_t r1, const void *mean_, void *y_, int64_t ahead)
{
    enum { SHORT = 16 };
    const PTR *ptr = A->indptr;
    const VAL *val = A->data;
    const WIDE *mean = mean_;
    RES *y = y_;
    const UIDX *col = A->indices;
    UIDX top[16] = {0};
    int64_t q = ptr[r0];        /* columns before it have been looked at */
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        WIDE m = mean ? mean[r] : 0;
        RES lane[8] = {0};
        if (end - p <= SHORT && p + SHORT <= A->nnz) {
            const uint64_t *mask = first_of_16 + 16 - (end - p);
            RFN(join_eight)(lane, val + p, mask, m);
            RFN(join_eight)(lane, val + p + 8, mask + 8, m);
        } else {
            for (; p + 16 <= end; p += 16, q += 16) {
                RFN(join_eight)(lane, val + p, first_of_16, m);
                RFN(join_eight)(lane, val + p + 8, first_of_16, m);
                RFN(look_at)(top, col + q, val + q, ahead);
            }
            if (p + 8 <= end) {
                RFN(join_eight)(lane, val + p, first_of_16, m);
                p += 8;
            }
            for (int k = 0; p < end; k++, p++) lane[k] = JOIN(lane[k], TERM((WIDE)LOAD(val[p]), m));
        }
#pragma omp simd
        for (int k = 0; k < 4; k++) lane[k] = JOIN(lane[k], lane[k + 4]);
        y[r] = JOIN(JOIN(lane[0], lane[2]), JOIN(lane[1], lane[3]));
        for (; q + 16 <= end; q += 16) RFN(look_at)(top, col + q, val + q, ahead);
    }
    for (; q < ptr[r1]; q++) top[0] = SC_MAX(top[0], col[q]);
    for (int k = 1; k < 16; k++) top[0] = SC_MAX(top[0], top[k]);
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
