# Layouts for repeated products.

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_prepared:
        int64_t rows, cols, nnz, block_rows, block_cols
        int64_t *start
        void *heads
        void *index
        void *data
        int val
        int layout
    enum:
        SC_CSR16, SC_BLOCKED, SC_PATTERNED, SC_BITMASK
    int sc_prepare_count(const sc_csr *, int, sc_prepared *, int)
    int sc_prepare_fill(const sc_csr *, int, const sc_prepared *, int)
    int sc_prepared_matmul(const sc_prepared *, const sc_dense *, const sc_dense *, int)

LAYOUT_CODES = {"csr16": SC_CSR16, "blocked": SC_BLOCKED, "patterned": SC_PATTERNED, "bitmask": SC_BITMASK}


cdef int prepared_view(sc_prepared *P, tuple shape, str layout, tuple block, cnp.ndarray start, cnp.ndarray heads,
                       index, cnp.ndarray data, int64_t nnz) except -1:
    P.rows, P.cols = shape
    P.block_rows, P.block_cols = block
    P.nnz = nnz
    P.start = <int64_t *>cnp.PyArray_DATA(start)
    P.heads = cnp.PyArray_DATA(heads)
    P.index = NULL if index is None else cnp.PyArray_DATA(<cnp.ndarray>index)
    P.data = cnp.PyArray_DATA(data)
    P.val = value_code(data)
    P.layout = LAYOUT_CODES[layout]
    return 0

def prepare_count(shape, indptr, indices, data, bint by_columns, str layout, tuple block, start, heads, int threads):
    """Fills start and heads."""
    cdef sc_csr A
    cdef sc_prepared P
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    prepared_view(&P, shape[::-1] if by_columns else shape, layout, block, start, heads, None, data, A.nnz)
    with nogil:
        status = sc_prepare_count(&A, by_columns, &P, threads)
    check(status)

def prepare_fill(shape, indptr, indices, data, bint by_columns, str layout, tuple block, start, heads, index, to,
                 int threads):
    """Fills index and to, the values."""
    cdef sc_csr A
    cdef sc_prepared P
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    prepared_view(&P, shape[::-1] if by_columns else shape, layout, block, start, heads, index, to, A.nnz)
    with nogil:
        status = sc_prepare_fill(&A, by_columns, &P, threads)
    check(status)

def prepared_matmul(tuple shape, str layout, tuple block, start, heads, index, data, int64_t nnz, cnp.ndarray X,
                    cnp.ndarray C, int threads):
    """C = P @ X"""
    cdef sc_prepared P
    cdef sc_dense x, c
    cdef int status
    prepared_view(&P, shape, layout, block, start, heads, index, data, nnz)
    dense_view(&x, X)
    dense_view(&c, C)
    with nogil:
        status = sc_prepared_matmul(&P, &x, &c, threads)
    check(status)
