/* The public C API: a C program could link against it.  No Python in here.
 *
 * Every operation is type-erased (`const void *` with a type code), takes the
 * number of threads as an argument, and returns an enum sc_status. */
#ifndef SPARSECORE_H
#define SPARSECORE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* Types of stored values.  Half and bfloat16 are stored as 16 bits and computed as float. */
enum sc_val { SC_F32, SC_F64, SC_C64, SC_C128, SC_F16, SC_BF16, SC_NVAL };

/* Types of (indptr, indices): 32/32, 64/64, and 64-bit pointers over 32-bit indices. */
enum sc_idx { SC_I32, SC_I64, SC_P64I32, SC_NIDX };

/* A compressed sparse row matrix on borrowed buffers.  A CSC matrix is the CSR view of its transpose.
 * `indptr` has rows + 1 entries; `indices` and `data` have room for `nnz`.
 * Nothing else is assumed of their contents: operations check what they read. */
typedef struct {
    int64_t rows, cols, nnz;
    const void *indptr, *indices, *data;
    enum sc_val val;
    enum sc_idx idx;
} sc_csr;

/* A dense matrix or vector: strides in elements. */
typedef struct {
    int64_t rows, cols, row_stride, col_stride;
    void *data;
    enum sc_val val;
} sc_dense;

const char *sc_status_message(int status);

/* ---- the machine ------------------------------------------------------------------------- */
enum sc_isa { SC_BASE, SC_AVX2, SC_AVX512, SC_NISA };
int sc_isa_built(enum sc_isa isa);     /* compiled into this library */
int sc_isa_runs(enum sc_isa isa);      /* built, and this processor and system have all it needs */
int sc_isa_choose(int isa);            /* -1: the best that runs; else force one or SC_UNSUPPORTED_ISA */
enum sc_isa sc_isa_chosen(void);
int sc_openmp_version(void);           /* _OPENMP, or 0 in a serial build */
int sc_max_threads(void);              /* what OpenMP would use now: OMP_NUM_THREADS, threadpoolctl */
int sc_in_parallel(void);               /* called from inside another parallel region? */
int sc_fork_child(void);               /* 1 in a child forked after this library started */
const char *sc_compiler(void);
void sc_set_poll(int (*poll)(void));   /* called between panels of long work; nonzero stops it */

/* ---- validation -------------------------------------------------------------------------- */
/* SC_OK, or what is wrong first: *row and *pos tell where (pos -1: in indptr). */
int sc_validate(const sc_csr *A, int threads, int64_t *row, int64_t *pos);

/* ---- products ---------------------------------------------------------------------------- */
/* y = A @ x      (f32, f64, c64, c128; f16/bf16 A with float x and y) */
int sc_spmv(const sc_csr *A, const void *x, void *y, int threads);
/* y = A.T @ x */
int sc_spmv_t(const sc_csr *A, const void *x, void *y, int threads);
/* C = A @ X; X and C with any strides */
int sc_spmm(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads);
/* C = A.T @ X */
int sc_spmm_t(const sc_csr *A, const sc_dense *X, const sc_dense *C, int threads);

/* ---- products of two sparse matrices ----------------------------------------------------- */
/* A result of a size not known before: canonical, in buffers that the caller frees with sc_keep_free (mem.h).
 * idx is SC_I32 where columns and entries fit, else SC_I64. */
typedef struct {
    int64_t rows, cols, nnz;
    void *indptr, *indices, *data;
    enum sc_idx idx;
} sc_csr_result;

/* C = A @ B, without entries that are exactly zero (as SciPy); f32, f64, c64, c128, of one type.
 * wrong: 0 where a bad status speaks of A, 1 of B. */
int sc_spgemm(const sc_csr *A, const sc_csr *B, sc_csr_result *C, int *wrong, int threads);
/* C = the `top` largest entries above `floor` of every row of A @ B; f32, f64 */
int sc_spgemm_topn(const sc_csr *A, const sc_csr *B, int64_t top, double floor, sc_csr_result *C, int *wrong,
                   int threads);
/* out[p] = (A @ B)[row, col] of entry p of M (its values are not read); wrong may also be 2: M */
int sc_masked_matmul(const sc_csr *A, const sc_csr *B, const sc_csr *M, void *out, int *wrong, int threads);
/* work[r] = the number of products of the rows before r of A @ B; work has A->rows + 1 entries */
int sc_count_products(const sc_csr *A, const sc_csr *B, int64_t *work, int *wrong, int threads);
/* slot[t] = the place of product t within its row of C; rows of C have at most 2^16 entries */
int sc_plan_slots(const sc_csr *A, const sc_csr *B, const sc_csr *C, const int64_t *work, uint16_t *slot, int *wrong,
                  int threads);
/* the values of C = A @ B, whose row r begins at Cp[r]; SC_CHANGED if `work` is not that of A and B */
int sc_plan_multiply(const sc_csr *A, const sc_csr *B, const int64_t *Cp, const int64_t *work, const uint16_t *slot,
                     void *out, int *wrong, int threads);
/* out[p] = X[row] . Y[col] of entry p of P, times its value if `weights`; X and Y row-major, of n columns */
int sc_sddmm(const sc_csr *P, const void *X, const void *Y, int64_t n, int weights, void *out, int threads);

/* ---- layouts for repeated products (prepare) ---------------------------------------------- */
/* Tiles of block_rows x block_cols; tile (rb, kb) is number rb * blocks of columns + kb.  f32 and f64.
 *
 *   CSR16      one block of columns; start: indptr; index: 16-bit columns.
 *   BLOCKED    start[tile]: first entry; heads[tile]: block_rows row numbers by falling count, then these counts;
 *              index: 8-bit columns within the tile, row after row.
 *   PATTERNED  rows by fours; the columns of a tile that meet a group are listed by their 4-bit row mask;
 *              start[tile]: first of its list and first entry (with gaps between the lists);
 *              heads[tile]: 16 list lengths for every group; index: 8-bit columns in the tile; values by column.
 *   BITMASK    one block of columns; start: indptr; heads: 16-bit masks of every row, low bit first.
 *   SLICED     one block of columns; heads[rb]: the rows of a block by falling count; eight neighbours of that order
 *              are a slice, whose entries lie by turns, one of each row (SELL-C-sigma: Kreutzer et al., SIAM J. Sci.
 *              Comput. 36, 2014); start[slice]: its first entry; index: 16-bit columns; a row that has ended goes on
 *              with 0.0 at column `cols` (< 65536), where X is given a row of zeros.
 *   LISTED     rows by fours, one block of columns; the columns that meet a group are listed by their 4-bit row mask in
 *              whole eights, the last one filled up with column `cols` (< 65536: zeros of X, as above);
 *              start[2 rb], start[2 rb + 1]: first column and first value of a block of rows; heads[group]: 16 list
 *              lengths in eights; index: 16-bit columns; data: for every eight columns eight values of each row.
 *
 * data, and the index of CSR16 and SLICED, have 16 more elements, of any value (columns: 0): whole vectors are read.
 * The contents are trusted: only sc_prepare_count and sc_prepare_fill make them. */
enum sc_layout { SC_CSR16, SC_BLOCKED, SC_PATTERNED, SC_BITMASK, SC_SLICED, SC_LISTED, SC_NLAYOUT };
enum { SC_SLICE = 8, SC_EIGHT = 8 };     /* rows of a slice, columns of a step of LISTED */
typedef struct {
    int64_t rows, cols, nnz, block_rows, block_cols;
    int64_t *start;
    void *heads, *index, *data;
    enum sc_val val;
    enum sc_layout layout;
} sc_prepared;

/* start and heads of the layout of a canonical A (by_columns: of A.T) for given block sizes (PATTERNED: later). */
int sc_prepare_count(const sc_csr *A, int by_columns, sc_prepared *P, int threads);
/* index and data of the same */
int sc_prepare_fill(const sc_csr *A, int by_columns, const sc_prepared *P, int threads);
/* What is done to C while it is in cache: C + bias, one value of P's type for every row (NULL: none), then with relu
 * max(C, 0), which keeps NaN. */
typedef struct {
    const void *bias;
    int relu;
} sc_finish;
/* C = finish(P @ X) (NULL: nothing more); X and C with any strides, of P's type */
int sc_prepared_matmul(const sc_prepared *P, const sc_dense *X, const sc_finish *finish, const sc_dense *C,
                       int threads);
/* C = finish[n-1](P[n-1] @ ... finish[0](P[0] @ X)), n >= 1; parallel[i]: product i takes
 * `threads`, else one */
int sc_prepared_chain(int64_t n, const sc_prepared *P, const sc_finish *finish, const sc_dense *X, const sc_dense *C,
                      const int *parallel, int threads);

/* ---- structure: transpose, conversion, slicing, stacking ----------------------------------- */
/* The arrays of a result, in the index type of the input; sizes are the caller's business. */
typedef struct {
    void *indptr, *indices, *data;
} sc_out;

/* sc_validate, and *canonical tells whether the columns of every row rise strictly. */
int sc_check(const sc_csr *A, int threads, int *canonical);
/* A sound 64-bit matrix whose shape and nnz fit 32 bits, as 32/32. */
int sc_narrow(const sc_csr *A, int32_t *indptr, int32_t *indices, int threads);
/* out = A.T, rows sorted (equal columns in their order); *canonical: A was, so out is. */
int sc_transpose(const sc_csr *A, const sc_out *out, int *canonical, int threads);
/* Sorts the rows of a sound matrix in place, equal columns in their order. */
int sc_sort_rows(const sc_csr *A, const sc_out *same, int threads);
/* Sums neighbours of equal column in the sorted rows of a sound matrix in place, in their order; *nnz is left. */
int sc_sum_duplicates(const sc_csr *A, const sc_out *same, int64_t *nnz, int threads);
/* n coordinates (of `wide` ? 64 : 32 bits) and values -> sorted rows of shape (rows, cols) in out, of type idx. */
int sc_from_coo(const void *row, const void *col, const void *data, int64_t n, int wide, enum sc_val val, int64_t rows,
                int64_t cols, enum sc_idx idx, const sc_out *out, int threads);
/* first[c] .. first[c + 1] of `to`: the columns of the result that column c becomes.  First the lengths, then rows. */
int sc_take_cols_count(const sc_csr *A, const int64_t *first, int64_t *indptr, int threads);
int sc_take_cols(const sc_csr *A, const int64_t *first, const int64_t *to, const sc_out *out, int threads);
/* Row rows[i] (i where NULL) of A, columns moved by `shift`, to next[i] on in out, for i < n; next[i] moves on. */
int sc_append_rows(const sc_csr *A, const int64_t *rows, int64_t n, int64_t shift, int64_t *next, int64_t room,
                   const sc_out *out, int threads);
int sc_from_dense_count(const sc_dense *W, int64_t *indptr, int threads);
int sc_from_dense(const sc_dense *W, enum sc_idx idx, const sc_out *out, int threads);
int sc_to_dense(const sc_csr *A, const sc_dense *D, int threads);

/* ---- element-wise operations and reductions ------------------------------------------------ */
/* out = alpha A + beta B, and A * B by elements, of canonical matrices of equal shape and types.  out has room for
 * A->nnz + B->nnz; *nnz is the length of the result. */
int sc_add(const sc_csr *A, const sc_csr *B, const void *alpha, const void *beta, const sc_out *out, int64_t *nnz,
           int *canonical, int threads);
int sc_multiply(const sc_csr *A, const sc_csr *B, const sc_out *out, int64_t *nnz, int *canonical, int threads);
/* out[p] = left[r] * data[p] * right[c]; a side may be NULL */
int sc_scale(const sc_csr *A, const void *left, const void *right, void *out, int *canonical, int threads);
/* out[p] = data[p] * D[r, c] */
int sc_times_dense(const sc_csr *A, const sc_dense *D, void *out, int *canonical, int threads);

/* Sums of x, |x|, |x|^2, |x - mean|^2, 1, or the largest |x|, over the entries of rows, columns, or all.  In double.
 * canonical: NULL where repeated entries do not matter; the order of columns is not looked at then. */
enum sc_reduce { SC_SUM, SC_ABS, SC_SQUARE, SC_DEVIATION, SC_COUNT, SC_ABSMAX, SC_NREDUCE };
enum sc_axis { SC_OVER_COLUMNS, SC_OVER_ROWS, SC_OVER_ALL };     /* one result per row, per column, one */
int sc_reduce(const sc_csr *A, enum sc_reduce what, enum sc_axis axis, const void *mean, void *y, int *canonical,
              int threads);

/* ---- magnitude thresholding ----------------------------------------------------------------- */
/* The key of a stored real is its bits without the sign: keys are ordered as magnitudes.  f16, bf16, f32, f64 only. */

/* The k-th largest key (1 <= k <= values) of n arrays of one type taken together, and how many are above it and equal
 * to it.  SC_IS_NAN if there is a NaN. */
int sc_kth_key(const sc_dense *W, int64_t n, int64_t k, int threads, uint64_t *key, int64_t *above, int64_t *equal);

/* mask[i] (as W[i], row-major, without gaps) = 1 where the k largest keys of all arrays together are (1 <= k <=
 * values), ties to the first.  SC_IS_NAN if there is a NaN. */
int sc_topk_masks(const sc_dense *W, int64_t n, int64_t k, uint8_t *const *mask, int threads);

/* What is selected from a dense W, in row-major order. */
enum sc_rule_kind {
    SC_AT_LEAST,    /* keys >= key; a NaN is SC_IS_NAN */
    SC_NONZERO,     /* what is not zero, NaN included */
    SC_RANKED,      /* keys > key, and the first `ties` of those == key */
    SC_MASKED,      /* where mask is not 0; any type of values */
    SC_GROUPS,      /* the `keep` largest of every `group` of a row, ties to the first */
    SC_ROWS         /* the k largest of every row, ties to the first */
};
struct sc_rule {
    enum sc_rule_kind kind;
    uint64_t key;
    int64_t ties, keep, group;      /* SC_ROWS: k in keep */
    const uint8_t *mask;            /* as W, row-major, without gaps */
};

/* Where it goes; what is null is not written. */
struct sc_sink {
    uint8_t *mask;                  /* rows x cols bytes, 0 or 1 */
    uint64_t *words;                /* rows x ceil(cols / 64) */
    void *indptr, *indices, *data;  /* CSR with room for `room` entries; indptr int32 or int64 as wide says */
    int64_t room;
    int wide;
};

/* Selects in one read of W.  *count: how many there are; more than room means that data is incomplete (not an error).
 * *tied: how many equal to the key were taken. */
int sc_select(const sc_dense *W, size_t size, const struct sc_rule *rule, const struct sc_sink *sink, int threads,
              int64_t *count, int64_t *tied);

/* Values row by row, and where they are: one bit for each element (words, rows x ceil(cols / 64)), or for each value
 * its position in its group (positions, `bits` wide, rows of row_bytes); cols < 2^31. */
typedef struct {
    int64_t rows, cols, nnz;
    const int64_t *indptr;           /* null: per_row values in every row */
    const uint64_t *words;           /* null: positions */
    const uint8_t *positions;
    int64_t per_row, keep, group, row_bytes;
    int bits;
    const void *data;
    enum sc_val val;
} sc_storage;

int sc_storage_columns(const sc_storage *S, int32_t *columns, int threads);     /* the column of every value */
int sc_storage_words(const sc_csr *A, uint64_t *words, int threads);            /* the bits of a CSR matrix */
void sc_storage_positions(const sc_storage *S, const uint64_t *words, uint8_t *positions, int threads);
/* C = S @ X; rows of X and C are contiguous */
int sc_storage_matmul(const sc_storage *S, const sc_dense *X, const sc_dense *C, int threads);

/* ---- pieces of the truncated SVD ------------------------------------------------------------- */
/* Tall real matrices of n rows in panels of w = 16 (f32) or 8 (f64) columns: element (i, w p + c) at p * w n + w i + c.
 * C and Q likewise. */
/* C = V.T @ W; half: only the upper triangle of panels, for W = V (the rest of C is zero) */
int sc_panels_inner(enum sc_val val, int64_t n, const void *V, int64_t p, const void *W, int64_t q, void *C,
                    int half, int threads);
/* W -= V @ C */
int sc_panels_subtract(enum sc_val val, int64_t n, const void *V, int64_t p, const void *C, void *W, int64_t q,
                       int threads);
/* W = Q R in place of W, R (w q x w q, row-major, in double) upper triangular with *least its least diagonal entry;
 * *least = 0 and W as it was where that is below `lowest` or W too close to dependent */
int sc_panels_orthonormalise(enum sc_val val, int64_t n, void *W, int64_t q, double lowest, double *R, double *least,
                             int threads);
/* W -= Q @ S.T (Q NULL: not), W -= V[b] @ (V[b].T @ W) for every basis of p[b] panels, W = Q R as above, and both once
 * more where *least < slack */
int sc_panels_join(enum sc_val val, int64_t n, const void *Q, int64_t known, const double *S, const void *const *V,
                   const int64_t *p, int bases, void *W, int64_t q, double lowest, double slack, double *R,
                   double *least, int threads);
/* out = V @ Q, its first columns: element (i, w b + c) at i * row + b * panel + c * column; out may be V */
int sc_panels_rotate(enum sc_val val, int64_t n, const void *V, int64_t p, const void *Q, int64_t q, void *out,
                     int64_t columns, int64_t row, int64_t panel, int64_t column, int threads);
/* out = V diag(factor), its first columns, laid out the same way; factor NULL: ones */
int sc_panels_copy(enum sc_val val, int64_t n, const void *V, const double *factor, void *out, int64_t columns,
                   int64_t row, int64_t panel, int64_t column, int threads);
/* norms[j] = ||Z[:, j] - s[j] V[:, j]||, summed in double */
int sc_panels_residual(enum sc_val val, int64_t n, const void *V, const void *Z, int64_t p, const double *s,
                       double *norms, int threads);
/* Y -= a (b' X) for panels X of n rows and Y of m rows, vectors b of n and a of m */
int sc_panels_outer(enum sc_val val, int64_t m, const void *a, int64_t n, const void *b, const void *X, void *Y,
                    int64_t p, int threads);
/* top[j] = the entry of largest magnitude in column j, the first of equals */
int sc_panels_top(enum sc_val val, int64_t n, const void *V, int64_t p, double *top, int threads);
/* out = V (f32) as panels of f64 */
int sc_panels_widen(int64_t n, const float *V, int64_t p, double *out, int threads);
/* out = factor A in panels of out_val, the last one filled up with zeros; element (i, j) of A (m x n) lies at
 * i * row + j * column.  Not f32 into f64. */
int sc_panels_fill(enum sc_val val, int64_t m, int64_t n, const void *A, int64_t row, int64_t column, double factor,
                   enum sc_val out_val, void *out, int threads);

/* ---- fault injection (builds with -DSC_FAULT) -------------------------------------------- */
void sc_fault_after(int64_t allocations, int forever);   /* allocation number n fails; -1: none */
int64_t sc_live_blocks(void);                            /* scratch blocks not given back */

#endif
