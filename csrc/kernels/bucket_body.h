/* First half of a transposition of scattered entries: entry (r, c) goes to bucket c >> shift as the key
 * (r << shift | low bits of c) and its value.  16 entries of a bucket collect in cache, keys before values (together:
 * 4.6 against 6.0 ns an entry), and leave it by whole lines. */
enum { KFN(room) = 16 * (sizeof(KEY) + SC_MAX(sizeof(VAL), 4)) };

static inline __attribute__((always_inline)) void KFN(put)(const struct sc_buckets *B, int64_t bucket, int64_t at,
                                                           KEY key, VAL v)
{
    KEY *keys = B->keys, *some_keys = (KEY *)((char *)B->lines + bucket * KFN(room));
    VAL *vals = B->vals, *some_vals = (VAL *)(some_keys + 16);
    int64_t slot = at & 15;
    some_keys[slot] = key;
    some_vals[slot] = v;
    if (slot == 15) {
        int64_t to = at - 15;
        if (to >= B->begin[bucket]) {
            for (size_t i = 0; i < 16 * sizeof(KEY); i += 64)
                stream_line((char *)(keys + to) + i, (char *)some_keys + i);
            if (sizeof(VAL) * 16 >= 64)
                for (size_t i = 0; i < 16 * sizeof(VAL); i += 64)
                    stream_line((char *)(vals + to) + i, (char *)some_vals + i);
            else
                memcpy(vals + to, some_vals, 16 * sizeof(VAL));
        } else {                            /* the first place lies in another part's share */
            for (int64_t i = B->begin[bucket]; i <= at; i++) {
                keys[i] = some_keys[i & 15];
                vals[i] = some_vals[i & 15];
            }
        }
    }
}

/* What is left in the lines. */
static inline void KFN(drain)(const struct sc_buckets *B)
{
    for (int64_t b = 0; b < B->n; b++) {
        const KEY *some_keys = (const KEY *)((const char *)B->lines + b * KFN(room));
        const VAL *some_vals = (const VAL *)(some_keys + 16);
        int64_t end = B->next[b];
        for (int64_t i = SC_MAX(B->begin[b], end & ~(int64_t)15); i < end; i++) {
            ((KEY *)B->keys)[i] = some_keys[i & 15];
            ((VAL *)B->vals)[i] = some_vals[i & 15];
        }
    }
    stream_end();
}

/* Do most entries of the first rows lie in the bucket of the entry before? */
static int KFN(in_runs)(const sc_csr *A, int64_t r0, int64_t r1, int shift)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    int64_t p0 = ptr[r0], p1 = SC_MIN((int64_t)ptr[r1], p0 + 4096), same = 0;
    for (int64_t p = p0 + 1; p < p1; p++) same += col[p] >> shift == col[p - 1] >> shift;
    return 2 * same > p1 - p0;
}

static void KFN(bucket)(const sc_csr *A, int64_t r0, int64_t r1, const struct sc_buckets *buckets)
{
    const struct sc_buckets B = *buckets;       /* a copy stays in registers, whatever is written */
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    KEY low = ((KEY)1 << B.shift) - 1;
    if (KFN(in_runs)(A, r0, r1, B.shift)) {
        /* The place of one entry need not wait for the place of the one before to be written (this step of stencil,
         * two threads: 54 to 37 ms; AVX2). */
        for (int64_t r = r0; r < r1; r++)
            for (int64_t p = ptr[r], end = ptr[r + 1]; p < end;) {
                int64_t bucket = col[p] >> B.shift, at = B.next[bucket];
                do {
                    KFN(put)(&B, bucket, at++, (KEY)r << B.shift | ((KEY)col[p] & low), val[p]);
                    p++;
                } while (p < end && col[p] >> B.shift == bucket);
                B.next[bucket] = at;
            }
    } else {
        for (int64_t r = r0; r < r1; r++)
            for (int64_t p = ptr[r], end = ptr[r + 1]; p < end; p++) {
                int64_t bucket = col[p] >> B.shift;
                KFN(put)(&B, bucket, B.next[bucket]++, (KEY)r << B.shift | ((KEY)col[p] & low), val[p]);
            }
    }
    KFN(drain)(&B);
}

/* The same for entries p0 <= p < p1 of coordinates (of type PTR): bucket row >> shift, key (column << shift | low). */
static void KFN(bucket_coo)(const void *rows, const void *cols, const void *data, int64_t p0, int64_t p1,
                            const struct sc_buckets *buckets)
{
    const struct sc_buckets B = *buckets;
    const PTR *row = rows, *col = cols;
    const VAL *val = data;
    KEY low = ((KEY)1 << B.shift) - 1;
    for (int64_t p = p0; p < p1; p++) {
        int64_t bucket = row[p] >> B.shift;
        KFN(put)(&B, bucket, B.next[bucket]++, (KEY)col[p] << B.shift | ((KEY)row[p] & low), val[p]);
    }
    KFN(drain)(&B);
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
    int64_t k = k0, at = k0;
    for (; k + 16 <= k1; k += 16) {
        /* Which lines will be written is known, in what order is not: they are asked for here, in a row (4.3 against
         * 7.5 ns an entry). */
        for (size_t i = 0; i < 16 * sizeof(IDX); i += 64) __builtin_prefetch((char *)(out_col + k + 16) + i, 1);
        for (size_t i = 0; i < 16 * sizeof(VAL); i += 64) __builtin_prefetch((char *)(out_val + k + 16) + i, 1);
        for (int i = 0; i < 16; i++) next[keys[k + i] & low]++;
    }
    for (; k < k1; k++) next[keys[k] & low]++;
    for (int64_t j = 0; j < n; j++) {
        int64_t m = next[j];
        ptr[j] = (PTR)(next[j] = at);
        at += m;
    }
    for (k = k0; k < k1; k++) {
        int64_t to = next[keys[k] & low]++;
        out_col[to] = (IDX)(keys[k] >> B->shift);
        out_val[to] = vals[k];
    }
}

/* Sorts n entries of a bucket by column, equal columns in their order, in two passes of counting, there and back.  next
 * has room for the numbers of both halves of `bits`. */
static void KFN(by_column)(void *bucket_keys, void *bucket_vals, int64_t n, int shift, int bits, int64_t *next,
                           void *room_keys, void *room_vals)
{
    KEY *keys = bucket_keys, *to = room_keys;
    VAL *vals = bucket_vals, *to_val = room_vals;
    int half = bits / 2, high_shift = shift + half;
    KEY low = ((KEY)1 << half) - 1;
    int64_t *high = next + ((int64_t)1 << half), all = ((int64_t)1 << half) + ((int64_t)1 << (bits - half)), at = 0;
    memset(next, 0, (size_t)all * sizeof *next);
    for (int64_t k = 0; k < n; k++) {
        next[keys[k] >> shift & low]++;
        high[keys[k] >> high_shift]++;
    }
    for (int64_t j = 0; j < all; j++) {
        int64_t m = next[j];
        if (next + j == high) at = 0;
        next[j] = at;
        at += m;
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t place = next[keys[k] >> shift & low]++;
        to[place] = keys[k];
        to_val[place] = vals[k];
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t place = high[to[k] >> high_shift]++;
        keys[place] = to[k];
        vals[place] = to_val[k];
    }
}
