/* First half of a transposition of scattered entries: entry (r, c) goes to bucket c >> shift as the key
 * (r << shift | low bits of c) and its value.  A line of 16 entries per bucket collects in cache and leaves as one. */
static inline void KFN(put)(const struct sc_buckets *B, int64_t bucket, KEY key, VAL v)
{
    KEY *keys = B->keys, *key_line = (KEY *)B->key_lines + bucket * 16;
    VAL *vals = B->vals, *val_line = (VAL *)B->val_lines + bucket * 16;
    int64_t at = B->next[bucket]++, slot = at & 15;
    key_line[slot] = key;
    val_line[slot] = v;
    if (slot == 15) {
        int64_t to = at - 15;
        if (to >= B->begin[bucket]) {
            for (size_t i = 0; i < 16 * sizeof(KEY); i += 64) stream_line((char *)(keys + to) + i, (char *)key_line + i);
            if (sizeof(VAL) * 16 >= 64)
                for (size_t i = 0; i < 16 * sizeof(VAL); i += 64)
                    stream_line((char *)(vals + to) + i, (char *)val_line + i);
            else
                memcpy(vals + to, val_line, 16 * sizeof(VAL));
        } else {                            /* the line begins in another part's share */
            for (int64_t i = B->begin[bucket]; i <= at; i++) {
                keys[i] = key_line[i & 15];
                vals[i] = val_line[i & 15];
            }
        }
    }
}

/* What is left in the lines. */
static inline void KFN(drain)(const struct sc_buckets *B)
{
    for (int64_t b = 0; b < B->n; b++) {
        int64_t end = B->next[b];
        for (int64_t i = SC_MAX(B->begin[b], end & ~(int64_t)15); i < end; i++) {
            ((KEY *)B->keys)[i] = ((KEY *)B->key_lines)[b * 16 + (i & 15)];
            ((VAL *)B->vals)[i] = ((VAL *)B->val_lines)[b * 16 + (i & 15)];
        }
    }
    stream_end();
}

static void KFN(bucket)(const sc_csr *A, int64_t r0, int64_t r1, const struct sc_buckets *B)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    KEY low = ((KEY)1 << B->shift) - 1;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t p = ptr[r]; p < ptr[r + 1]; p++)
            KFN(put)(B, col[p] >> B->shift, (KEY)r << B->shift | ((KEY)col[p] & low), val[p]);
    KFN(drain)(B);
}

/* The same for entries p0 <= p < p1 of coordinates (of type PTR): bucket row >> shift, key (column << shift | low). */
static void KFN(bucket_coo)(const void *rows, const void *cols, const void *data, int64_t p0, int64_t p1,
                            const struct sc_buckets *B)
{
    const PTR *row = rows, *col = cols;
    const VAL *val = data;
    KEY low = ((KEY)1 << B->shift) - 1;
    for (int64_t p = p0; p < p1; p++)
        KFN(put)(B, row[p] >> B->shift, (KEY)col[p] << B->shift | ((KEY)row[p] & low), val[p]);
    KFN(drain)(B);
}

/* Second half, inside the cache: the entries k0 <= k < k1 of one bucket by counting on the low bits of their keys.
 * Row j of the n rows of the bucket begins at out_indptr[j]; next has room for n + 1. */
static void KFN(place)(const struct sc_buckets *B, int64_t k0, int64_t k1, int64_t n, int64_t *next, void *out_indptr,
                       void *out_indices, void *out_data)
{
    const KEY *keys = B->keys;
    const VAL *vals = B->vals;
    PTR *ptr = out_indptr;
    IDX *out_col = out_indices;
    VAL *out_val = out_data;
    KEY low = ((KEY)1 << B->shift) - 1;
    memset(next, 0, (size_t)n * sizeof *next);
    for (int64_t k = k0; k < k1; k++) next[keys[k] & low]++;
    int64_t at = k0;
    for (int64_t j = 0; j < n; j++) {
        int64_t m = next[j];
        ptr[j] = (PTR)(next[j] = at);
        at += m;
    }
    for (int64_t k = k0; k < k1; k++) {
        int64_t to = next[keys[k] & low]++;
        out_col[to] = (IDX)(keys[k] >> B->shift);
        out_val[to] = vals[k];
    }
}
