/* The function tables of one instruction set.  A kernel is serial, trusts its arguments (drivers have checked them),
 * allocates nothing and reports nothing.  Tables are indexed by [enum sc_val][enum sc_idx] or [enum sc_idx].
 *
 * A family is one struct here, one file kernels/<family>.c (compiled once per instruction set) with its bodies in
 * kernels/<family>_body.h, and one row in SC_FAMILIES. */
#ifndef SC_KERNELS_H
#define SC_KERNELS_H

#include "sparsecore.h"

/* indptr[r0..r1] rises?  0 <= indices[p0..p1) < cols?  Columns rise strictly within every row? */
struct sc_check_kernels {
    int (*rising[SC_NIDX])(const void *indptr, int64_t r0, int64_t r1);
    int (*within[SC_NIDX])(const void *indices, int64_t p0, int64_t p1, int64_t cols);
    int (*canonical[SC_NIDX])(const void *indptr, const void *indices, int64_t r0, int64_t r1);
};

/* y[r0:r1] = A[r0:r1] @ x              C[r0:r1, :n] = (SC_ADD: +=) A[r0:r1] @ X[:, :n], rows ldx and ldc apart
 * y += A[r0:r1].T @ x[r0:r1]           C[:, :n] += A[r0:r1].T @ X[r0:r1, :n]
 * asking for the lines that indices point to `ahead` entries before they are used (0: not at all).
 * They check columns as they read them and return a status; those with vectors check pointers too. */
enum { SC_WRITE, SC_ADD, SC_WRITE_PAST };     /* the last: past the caches where C lies so; a fence comes after it */
typedef int sc_spmv_fn(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t ahead);
/* Transposed products also refuse columns before `low`. */
typedef int sc_spmv_t_fn(const sc_csr *A, int64_t r0, int64_t r1, const void *x, void *y, int64_t low, int64_t ahead);
typedef int sc_spmm_fn(const sc_csr *A, int64_t r0, int64_t r1, const void *X, int64_t ldx, void *C, int64_t ldc,
                       int64_t n, int64_t ahead, int how);
typedef int sc_spmm_t_fn(const sc_csr *A, int64_t r0, int64_t r1, const void *X, int64_t ldx, void *C, int64_t ldc,
                         int64_t n, int64_t low, int64_t ahead);
/* Rows r0 <= r < r1 of A by columns: column c has the entries start[c] <= k < start[c + 1] of row and val, in the order
 * of rows.  start has A->cols + 2 places.  0 where A changed in between. */
typedef int sc_by_column_fn(const sc_csr *A, int64_t r0, int64_t r1, int32_t *start, int32_t *row, void *val);
struct sc_product_kernels {
    sc_spmv_fn *spmv[SC_NVAL][SC_NIDX];
    sc_spmv_t_fn *spmv_t[SC_NVAL][SC_NIDX];
    sc_spmm_fn *spmm[SC_NVAL][SC_NIDX];
    sc_spmm_t_fn *spmm_t[SC_NVAL][SC_NIDX];
    /* y[col[i]] += val[i] * x[row[i]], and C[col[i], :columns] += val[i] * X[row[i], :columns], i < n, unchecked: the
     * bits of spmv_t and spmm_t */
    void (*add_entries[SC_NVAL][SC_NIDX])(const int32_t *row, const void *col, const void *val, int64_t n,
                                          const void *x, void *y);
    void (*add_entry_rows[SC_NVAL][SC_NIDX])(const int32_t *row, const void *col, const void *val, int64_t n,
                                             const void *X, int64_t ldx, void *C, int64_t ldc, int64_t columns);
    sc_by_column_fn *by_column[SC_NVAL][SC_NIDX];
    /* y[0:n] = or += sum over parts k of P[k * stride : k * stride + n], in the order of k */
    void (*add_parts[SC_NVAL])(const void *P, int64_t parts, int64_t stride, int64_t n, void *y);
    void (*sum_parts[SC_NVAL])(const void *P, int64_t parts, int64_t stride, int64_t n, void *y);
};

/* Products of two sparse matrices, both SC_P64I32 (csrc/side.h); no instances for half precision. */
enum { SC_CANONICAL = 1 };     /* columns of B rise strictly within every row */
/* Scratch of one thread, and what to keep of a row: */
typedef struct {
    void *acc;            /* sums by column, zero between rows */
    uint8_t *flag;        /* which of them are in use, zero between rows, 64 more than `span` */
    int64_t span;         /* how many */
    void *product;        /* products of a row in the order they are summed, 64 more than `sort` */
    uint64_t *key, *spare;
    int64_t sort;         /* rows of at most so many products are sorted */
    int64_t *segment;     /* where the entries of a row of A begin and end in B */
    int64_t top;          /* the so many largest of a row, if they are above `floor` */
    double floor;
    int32_t *row_col;     /* a row before the choice */
    void *row_val, *pick;
} sc_spgemm_scratch;

/* col, val = the entries of rows r0 <= r < r1 of A @ B, one row after the other, sorted, without exact zeros;
 * count[r] = how many; returns their number.  col and val have room for 64 more. */
typedef int64_t sc_spgemm_fn(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int flags,
                             const sc_spgemm_scratch *s, int32_t *col, void *val, int64_t *count);
struct sc_spgemm_kernels {
    /* work[r] = the number of products of row r of A @ B */
    void (*work)(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, int64_t *work);
    sc_spgemm_fn *rows[SC_NVAL], *topn[SC_NVAL];
    /* out[p] = (A @ B)[r, col[p]] for the entries p of rows r0 <= r < r1 of M; acc holds B->cols sums, of any value */
    void (*masked[SC_NVAL])(const sc_csr *A, const sc_csr *B, const sc_csr *M, int64_t r0, int64_t r1, int flags,
                            void *acc, void *out);
    /* Of a plan: slot[work[r] ...] = the place within row r of C of each product of the row (place: B->cols of
     * scratch); then the sums, row r of C beginning at Cp[r]. */
    void (*slots)(const sc_csr *A, const sc_csr *B, const sc_csr *C, int64_t r0, int64_t r1, uint16_t *place,
                  const int64_t *work, uint16_t *slot);
    void (*planned[SC_NVAL])(const sc_csr *A, const sc_csr *B, const int64_t *Cp, int64_t r0, int64_t r1,
                             int flags, const int64_t *work, const uint16_t *slot, void *out);
    /* out[p] = X[r, :n] . Y[col[p], :n], times the value of p if `weights`, for the entries p of rows r0 <= r < r1 */
    void (*sddmm[SC_NVAL])(const sc_csr *P, int64_t r0, int64_t r1, const void *X, const void *Y, int64_t n,
                           int weights, void *out);
};

/* Selection by magnitude.  Tables are indexed by the width of a stored real: 16, 32, 64 bits.  The key of x is its bits
 * without the sign, as an unsigned integer: keys are ordered as magnitudes. */
struct sc_bracket { int64_t over_hi, from_hi, over_lo, from_lo, kept; uint64_t top; };
struct sc_select_kernels {
    void (*keys[3])(const void *x, int64_t n, void *out);
    void (*sample[3])(const void *x, int64_t n, int64_t m, void *out);
    void (*bracket[3])(const void *x, int64_t n, uint64_t lo, uint64_t hi, void *out, int64_t room,
                       struct sc_bracket *b);
    void (*grade[3])(const void *x, int64_t n, uint64_t lo, uint64_t hi, int shift, uint8_t *mask, int far,
                     int64_t *bins, uint64_t *top);
    int64_t (*count_code)(const uint8_t *mask, int64_t n, uint8_t code);
    int64_t (*settle)(uint8_t *mask, int64_t n, uint8_t code, uint8_t from, int32_t *places, int64_t room);
    void (*histogram[3])(const void *x, int64_t n, uint64_t lo, uint64_t hi, int shift, int64_t *bins);
    uint64_t (*pick[3])(void *keys, int64_t n, int64_t k, int64_t *above, int64_t *equal);
    int64_t (*at_least[3])(const void *x, int64_t n, uint64_t key, uint64_t *bits, uint64_t *top);
    void (*ranked[3])(const void *x, int64_t n, uint64_t key, uint64_t *larger, uint64_t *same, int64_t *above,
                      int64_t *equal);
};

/* From bits (one word for 64 values) to results.  compact is indexed by [64-bit indices?][log2 of the value's size]. */
typedef int64_t sc_compact_fn(const uint64_t *bits, int64_t n, const void *x, int64_t base, void *data, void *indices,
                              int64_t room);
struct sc_threshold_kernels {
    void (*bytes_of_bits)(const uint64_t *bits, int64_t n, uint8_t *mask);
    int64_t (*bits_of_bytes)(const uint8_t *mask, int64_t n, uint64_t *bits);
    int64_t (*take_first)(uint64_t *larger, const uint64_t *same, int64_t words, int64_t quota);
    sc_compact_fn *compact[2][5];
    void (*groups[3])(const void *x, int64_t n, int64_t keep, int64_t group, uint64_t *bits, uint64_t *top);
};

/* Layouts for repeated products (sc_prepared).  A tile is block_rows x block_cols of the matrix.
 *     C[0:block_rows, :] += tile(rb, kb) @ X[kb * block_cols : ...]     rows of X and C packed, `width` columns each
 * tile[layout][vectors]: width is lanes * vectors, or 1 for vectors = 0; NULL where there is no such kernel. */
enum { SC_PREPARED_VECTORS = 5 };
typedef void sc_tile_fn(const sc_prepared *P, int64_t rb, int64_t kb, const void *X, void *C);
/* Counts, then fills, one part of a layout: a block of rows, or with `by_columns` a block of columns of the layout
 * (rows of A).  0 where A changed in between.  `scratch` is one thread's own. */
typedef void sc_count_part_fn(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part);
typedef int sc_fill_part_fn(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch);
struct sc_prepared_kernels {
    int lanes[2];                                                     /* f32, f64 */
    sc_tile_fn *tile[2][SC_NLAYOUT][SC_PREPARED_VECTORS];
    sc_count_part_fn *count[2][SC_NLAYOUT][SC_NIDX];
    sc_fill_part_fn *fill[2][SC_NLAYOUT][SC_NIDX];
    /* to[k, 0:width] = X[k0 + k, j0 : j0 + n], zeros beyond n; and C[r0 + r, j0 : j0 + n] = from[r, 0:n] */
    void (*pack[2])(const sc_dense *X, int64_t k0, int64_t k1, int64_t j0, int64_t n, int64_t width, void *to);
    /* c[r, 0:width] += bias[r] (NULL: not); relu: where < 0 it becomes 0 */
    void (*finish[2])(void *c, int64_t rows, int64_t width, const void *bias, int relu);
    void (*unpack[2])(const sc_dense *C, int64_t r0, int64_t r1, int64_t j0, int64_t n, int64_t width,
                      const void *from);
};

/* Movement of entries: values are bits, instances go by their size. */
enum sc_size { SC_B2, SC_B4, SC_B8, SC_B16, SC_NSIZE };

/* Entries on their way through buckets.  Of one part: bucket b has the places begin[b] <= k < next[b] of keys and
 * vals so far, and its last ones, up to 16, in `lines`: keys, then values of at least 4 bytes. */
struct sc_buckets {
    int64_t n, *next;
    const int64_t *begin;
    void *keys, *vals, *lines;
    int shift;
};

/* Entries of columns low <= c < high <= cols, of rows row..end of a matrix, go to `rows` (counted from the first of
 * this turn), `indices` and `data`, of which there are `room` and 16 more.  `row` and `entry` move on to where the
 * taking stopped for want of room, within a row as well. */
struct sc_taking {
    int64_t low, high, row, entry, end, room;
    int32_t *rows;
    void *indices, *data;
    int64_t entries;                /* taken */
    int outside;                    /* was a column not within the matrix? */
};

struct sc_structure_kernels {
    void (*take_range[SC_NSIZE][SC_NIDX])(const sc_csr *A, struct sc_taking *t);
    void (*count[SC_NIDX])(const void *indices, int64_t p0, int64_t p1, int shift, int64_t buckets, int64_t *n);
    /* counts, and places in a result, in the type of pointers */
    void (*count_columns[SC_NIDX])(const void *indices, int64_t p0, int64_t p1, void *counts);
    int64_t (*sum_counts[SC_NIDX])(const void *counts, int64_t parts, int64_t cols, int64_t c0, int64_t c1);
    void (*place_counts[SC_NIDX])(void *counts, int64_t parts, int64_t cols, int64_t c0, int64_t c1, int64_t at,
                                  void *indptr);
    int (*count_coo[SC_NIDX])(const void *coordinates, int64_t p0, int64_t p1, int64_t limit, int shift, int64_t *n);
    void (*flip[SC_NSIZE][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, void *next, void *indices, void *data);
    void (*sort[SC_NSIZE][SC_NIDX])(const void *indptr, int64_t n, int64_t end, void *indices, void *data,
                                    void *room_indices, void *room_data);
    void (*take_cols[SC_NSIZE][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const int64_t *first,
                                         const int64_t *to, const void *indptr, void *indices, void *data);
    void (*append[SC_NSIZE][SC_NIDX])(const sc_csr *A, const int64_t *rows, int64_t i0, int64_t i1, int64_t shift,
                                      int64_t *next, void *indices, void *data);
    /* by size of the key: 32 or 64 bits */
    void (*bucket[2][SC_NSIZE][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const struct sc_buckets *B);
    void (*bucket_coo[2][SC_NSIZE][SC_NIDX])(const void *rows, const void *cols, const void *data, int64_t p0,
                                             int64_t p1, const struct sc_buckets *B);
    void (*place[2][SC_NSIZE][SC_NIDX])(const struct sc_buckets *B, int64_t k0, int64_t k1, int64_t n, int64_t *next,
                                        void *indptr, void *indices, void *data);
    void (*by_column[2][SC_NSIZE][SC_NIDX])(void *keys, void *vals, int64_t n, int shift, int bits, int64_t *next,
                                            void *room_keys, void *room_vals);
};

/* Passes that compute with values: neighbours of equal column become their sum, dense rows become sparse ones. */
struct sc_entries_kernels {
    /* rows r0..r1 of a sorted matrix closed up to the left, from place indptr[r0] on; returns where they end now */
    int64_t (*merge_equal[SC_NVAL][SC_NIDX])(void *indptr, int64_t r0, int64_t r1, void *indices, void *data);
    int64_t (*count_dense[SC_NVAL])(const void *row, int64_t stride, int64_t n);
    void (*from_dense[SC_NVAL][SC_NIDX])(const sc_dense *W, int64_t r0, int64_t r1, const void *indptr, void *indices,
                                         void *data);
    void (*to_dense[SC_NVAL][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const sc_dense *D);
};

/* Element-wise operations of rows of two sorted matrices, and scaling.  Results go to col and val, the lengths of rows
 * to length[r - r0] in the type of pointers; exact zeros are dropped, as SciPy does.  Rows of a sum need not be checked
 * before, only their pointers: -1 where they are not sorted or leave the columns. */
struct sc_elementwise_kernels {
    int64_t (*add[SC_NVAL][SC_NIDX])(const sc_csr *A, const sc_csr *B, const void *alpha, const void *beta, int64_t r0,
                                     int64_t r1, void *length, void *col, void *val);
    int64_t (*multiply[SC_NVAL][SC_NIDX])(const sc_csr *A, const sc_csr *B, int64_t r0, int64_t r1, void *length,
                                          void *col, void *val);
    /* out[p] = left[r] * data[p] * right[c] (a NULL side is 1); out[p] = data[p] * D[r, c] */
    void (*scale[SC_NVAL][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const void *left, const void *right,
                                    void *out);
    void (*times_dense[SC_NVAL][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const sc_dense *D, void *out);
};

/* Sums of f(value) in double (complex double for the plain sum of complex values): by row, by column, of a range.
 * Those by row ask for lines `ahead` entries before their use and return the largest column, which nobody need have
 * checked. */
struct sc_reduce_kernels {
    uint64_t (*rows[SC_NREDUCE][SC_NVAL][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const void *mean, void *y,
                                                   int64_t ahead);
    void (*columns[SC_NREDUCE][SC_NVAL][SC_NIDX])(const sc_csr *A, int64_t r0, int64_t r1, const void *mean, void *y);
};

/* Tall matrices in panels of 64 bytes a row, strides from panel to panel; rows i0..i1 (see kernels/tall_body.h).
 * C += V.T @ W (grow: one more panel of V for every panel of W)      W -= V @ C      T = V @ Q                   */
struct sc_tall_kernels {
    void (*inner[2])(const void *V, int64_t p, int grow, int64_t strideV, const void *W, int64_t q, int64_t strideW,
                     int64_t i0, int64_t i1, void *C, int64_t strideC);
    void (*subtract[2])(const void *V, int64_t p, int64_t strideV, const void *C, int64_t q, int64_t strideW,
                        int64_t i0, int64_t i1, void *W);
    void (*rotate[2])(const void *V, int64_t p, int64_t strideV, const void *Q, int64_t q, int64_t i0, int64_t i1,
                      void *T);
    void (*residual[2])(const void *V, const void *Z, const double *s, int64_t i0, int64_t i1, double *sums);
    void (*top[2])(const void *V, int64_t n, double *top);
    void (*weigh[2])(const void *b, const void *X, int64_t i0, int64_t i1, void *c);
    void (*spread[2])(const void *a, const void *c, int64_t i0, int64_t i1, void *Y);
    void (*move[2])(void *to, int64_t row, int64_t column, const void *from, int64_t ld, int64_t rows,
                          int64_t columns, const double *factor);
};

/* Rows stored as bits or as positions in groups. */
struct sc_storage_kernels {
    int64_t (*columns_of_words)(const uint64_t *words, int64_t n, int32_t *out, int64_t room);
    void (*columns_of_positions)(const uint8_t *packed, int64_t count, int64_t keep, int64_t group, int bits,
                                 int32_t *out);
    void (*positions_of_words)(const uint64_t *words, int64_t n, int64_t group, int bits, uint8_t *packed,
                               int64_t bytes);
    void (*words_of_columns[SC_NIDX])(const void *indices, int64_t p0, int64_t p1, int64_t cols, uint64_t *words);
};

#define SC_FAMILIES(X) \
    X(storage)         \
    X(select)          \
    X(threshold)       \
    X(check)           \
    X(product)         \
    X(spgemm)          \
    X(prepared)        \
    X(structure)       \
    X(entries)         \
    X(elementwise)     \
    X(reduce)          \
    X(tall)

struct sc_kernels {
#define X(family) const struct sc_##family##_kernels *family;
    SC_FAMILIES(X)
#undef X
};

const struct sc_kernels *sc_kernels(void);   /* of the chosen instruction set */
/* The same, but AVX2's in place of AVX-512's: for what does not fill vectors of 64 bytes. */
const struct sc_kernels *sc_short_kernels(void);

#endif
