# Layouts for repeated products.

from cpython.mem cimport PyMem_Calloc, PyMem_Free

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
        SC_CSR16, SC_BLOCKED, SC_PATTERNED, SC_BITMASK, SC_SLICED, SC_LISTED
    int sc_prepare_count(const sc_csr *, int, sc_prepared *, int)
    int sc_prepare_fill(const sc_csr *, int, const sc_prepared *, int)
    ctypedef struct sc_finish:
        const void *bias
        int relu
    int sc_prepared_matmul(const sc_prepared *, const sc_dense *, const sc_finish *, const sc_dense *, int)
    int sc_prepared_chain(int64_t, const sc_prepared *, const sc_finish *, const sc_dense *, const sc_dense *,
                          const int *, int)

LAYOUT_CODES = {"csr16": SC_CSR16, "blocked": SC_BLOCKED, "patterned": SC_PATTERNED, "bitmask": SC_BITMASK,
                "sliced": SC_SLICED, "listed": SC_LISTED}


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
        status = sc_prepared_matmul(&P, &x, NULL, &c, threads)
    check(status)


cdef class PreparedChain:
    """Products of layouts one after another, each with a bias and a ReLU if asked for, in one call.

    steps: (shape, layout, block, arrays, nnz, bias of the layout's type or None, relu, parallel) of every product.
    """
    cdef sc_prepared *P
    cdef sc_finish *finish
    cdef int *parallel
    cdef int64_t n
    cdef int type       # NumPy's number of the first layout's type
    cdef tuple keep     # the arrays that P and finish point into

    def __cinit__(self, steps):
        cdef int64_t i
        self.keep = tuple(steps)
        self.n = len(self.keep)
        self.P = <sc_prepared *>PyMem_Calloc(self.n, sizeof(sc_prepared))
        self.finish = <sc_finish *>PyMem_Calloc(self.n, sizeof(sc_finish))
        self.parallel = <int *>PyMem_Calloc(self.n, sizeof(int))
        if not (self.P and self.finish and self.parallel):
            raise MemoryError()
        for i, (shape, layout, block, (start, heads, index, data), nnz, bias, relu, parallel) in enumerate(self.keep):
            prepared_view(self.P + i, shape, layout, block, start, heads, index, data, nnz)
            if i == 0:
                self.type = cnp.PyArray_TYPE(data)
            if bias is not None:
                if bias.shape != shape[:1] or bias.dtype != data.dtype or not bias.flags.c_contiguous:
                    raise ValueError(f"the bias must be {shape[0]} contiguous values of type {data.dtype}")
                self.finish[i].bias = cnp.PyArray_DATA(<cnp.ndarray>bias)
            self.finish[i].relu = relu
            self.parallel[i] = parallel

    def __dealloc__(self):
        PyMem_Free(self.P)
        PyMem_Free(self.finish)
        PyMem_Free(self.parallel)

    def __call__(self, cnp.ndarray X, int threads):
        """The last product of ... of the first with X (features, samples), a new array row by row in memory; None where
        X is no aligned array of the layouts' type with at least one sample and the features that the first one takes.
        """
        cdef sc_dense x, c
        cdef int status
        cdef cnp.npy_intp shape[2]
        if (self.n == 0 or X.ndim != 2 or cnp.PyArray_TYPE(X) != self.type or not cnp.PyArray_ISBEHAVED_RO(X)
                or X.shape[0] != self.P[0].cols or X.shape[1] == 0 or X.strides[0] % X.descr.itemsize
                or X.strides[1] % X.descr.itemsize):
            return None
        shape[0], shape[1] = self.P[self.n - 1].rows, X.shape[1]
        cdef cnp.ndarray C = cnp.PyArray_EMPTY(2, shape, self.type, 0)
        dense_view(&x, X)
        dense_view(&c, C)
        with nogil:
            status = sc_prepared_chain(self.n, self.P, self.finish, &x, &c, self.parallel, threads)
        check(status)
        return C
