/* Entries of rows r0 <= r < r1 of A go to the places that `next` holds for their columns: A.T, rows rising.  Every
 * column has a place of its own to write, too many streams for the processor to foresee, and a line not there holds up
 * all stores behind it.  So the places of 64 entries later are asked for, and a little behind them, as they will have
 * moved by then (ns an entry without, at the place, 16 bytes on: zipf 6.5, 4.4, 2.3, stencil 6.2, 5.0, 3.9, wing_adj
 * 6.6, 5.5, 5.9 past the caches and 3.0 in them; two threads, AVX2). */
static void FN(flip)(const sc_csr *A, int64_t r0, int64_t r1, void *places, void *indices, void *data)
{
    enum { AHEAD = 64, ON = 16 };
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    PTR *next = places;
    IDX *to_row = indices;
    VAL *to_val = data;
    int64_t known = (int64_t)ptr[r1] - AHEAD;
    for (int64_t r = r0; r < r1; r++) {
        int64_t p = ptr[r], end = ptr[r + 1];
        if (end <= known)
            for (; p < end; p++) {
                int64_t soon = next[col[p + AHEAD]], to = next[col[p]]++;
                __builtin_prefetch((char *)(to_row + soon) + ON, 1);
                __builtin_prefetch((char *)(to_val + soon) + ON, 1);
                to_row[to] = (IDX)r;
                to_val[to] = val[p];
            }
        else
            for (; p < end; p++) {
                int64_t to = next[col[p]]++;
                to_row[to] = (IDX)r;
                to_val[to] = val[p];
            }
    }
}

/* Runs of so many entries are sorted at once */
#define RUN 32

#if SC_LEVEL >= 2
/* Sorts n <= 8 * blocks entries by column: the place of an entry is its rank, the number of columns that are smaller,
 * and no branch depends on columns.  Both arrays go on for RUN + 1 entries.  Returns 0, and leaves all as it was, if
 * two columns are the same. */
SC_INLINE int FN(sort_by_rank)(int32_t *col, VAL *val, int64_t n, const int blocks)
{
    int32_t c[RUN], rank[RUN];
    VAL v[RUN];
    __m256i at[RUN / 8], before[RUN / 8];
    unsigned falls = 0;
    for (int b = 0; b < blocks; b++) {
        at[b] = _mm256_loadu_si256((const __m256i *)(col + 8 * b));
        before[b] = _mm256_setzero_si256();
        __m256i next = _mm256_loadu_si256((const __m256i *)(col + 8 * b + 1));
        falls |= (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(at[b], next))) << 8 * b;
    }
    if (!(falls & (((unsigned)1 << (n - 1)) - 1))) return 1;
    for (int b = 0; b < blocks; b++) _mm256_storeu_si256((__m256i *)(c + 8 * b), at[b]);
    memcpy(v, val, 8 * (size_t)blocks * sizeof *v);
    for (int64_t j = 0; j < n; j++) {
        __m256i x = _mm256_set1_epi32(c[j]);
        for (int b = 0; b < blocks; b++) before[b] = _mm256_sub_epi32(before[b], _mm256_cmpgt_epi32(at[b], x));
    }
    for (int b = 0; b < blocks; b++) _mm256_storeu_si256((__m256i *)(rank + 8 * b), before[b]);
    uint64_t places = 0;
    for (int64_t i = 0; i < n; i++) {
        col[rank[i]] = c[i];
        val[rank[i]] = v[i];
        places |= (uint64_t)1 << rank[i];
    }
    if (places == ((uint64_t)1 << n) - 1) return 1;
    memcpy(col, c, (size_t)n * sizeof *c);
    memcpy(val, v, (size_t)n * sizeof *v);
    return 0;
}
#endif

/* Sorts n <= RUN entries by column, equal columns in their order; both arrays go on for `room` entries. */
static inline void FN(sort_few)(IDX *col, VAL *val, int64_t n, int64_t room)
{
#if SC_LEVEL >= 2
    if (sizeof(IDX) == 4 && n > 1 && room > RUN) {
        int32_t *c = (int32_t *)col;
        if (n <= 8 ? FN(sort_by_rank)(c, val, n, 1)
                   : n <= 16 ? FN(sort_by_rank)(c, val, n, 2) : FN(sort_by_rank)(c, val, n, RUN / 8)) return;
    }
#endif
    (void)room;
    for (int64_t p = 1; p < n; p++) {
        IDX c = col[p];
        VAL v = val[p];
        int64_t q = p;
        for (; q > 0 && col[q - 1] > c; q--) {
            col[q] = col[q - 1];
            val[q] = val[q - 1];
        }
        col[q] = c;
        val[q] = v;
    }
}

/* Sorts n entries by column, equal columns in their order: short runs, then merging of runs, with room for n. */
static void FN(sort_row)(IDX *col, VAL *val, int64_t n, int64_t room, IDX *room_col, VAL *room_val)
{
    for (int64_t b = 0; b < n; b += RUN) FN(sort_few)(col + b, val + b, SC_MIN(RUN, n - b), room - b);
    IDX *from = col, *to = room_col;
    VAL *from_val = val, *to_val = room_val;
    for (int64_t run = RUN; run < n; run *= 2) {
        for (int64_t b = 0; b < n; b += 2 * run) {
            int64_t i = b, mid = SC_MIN(b + run, n), j = mid, end = SC_MIN(b + 2 * run, n), w = b;
            while (i < mid && j < end) {        /* no branch depends on columns */
                int64_t second = from[j] < from[i], k = i + ((j - i) & -second);
                to[w] = from[k];
                to_val[w++] = from_val[k];
                j += second;
                i += 1 - second;
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
        if (stop - begin > RUN)
            while (p + 1 < stop && col[p] <= col[p + 1]) p++;
        if (p + 1 < stop) FN(sort_row)(col + begin, val + begin, stop - begin, end - begin, room_indices, room_data);
    }
}
#undef RUN

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
