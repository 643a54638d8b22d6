# Element-wise operations and reductions.

cdef extern from "sparsecore.h" nogil:
    int sc_add(const sc_csr *, const sc_csr *, const void *, const void *, const sc_out *, int64_t *, int *, int)
    int sc_multiply(const sc_csr *, const sc_csr *, const sc_out *, int64_t *, int *, int)
    int sc_scale(const sc_csr *, const void *, const void *, void *, int *, int)
    int sc_times_dense(const sc_csr *, const sc_dense *, void *, int *, int)
    int sc_reduce(const sc_csr *, int, int, const void *, void *, int *, int)

# (name, axis) as they are spelt in C: in the order of enum sc_reduce and enum sc_axis
REDUCTIONS = ("sum", "abs", "square", "deviation", "count", "absmax")
OVER_COLUMNS, OVER_ROWS, OVER_ALL = 0, 1, 2


cdef const void *data_or_null(array) except? NULL:
    return NULL if array is None else cnp.PyArray_DATA(<cnp.ndarray>array)


def add(shape, a, b, alpha, beta, out_indptr, out_indices, out_data, int threads):
    """out = alpha a + beta b for (indptr, indices, data) of equal types; alpha None: their product by elements.
    Returns the entries of the result and whether both were canonical (if not, out is no result)."""
    cdef sc_csr A, B
    cdef sc_out out = out_view(out_indptr, out_indices, out_data)
    cdef const void *x = data_or_null(alpha)
    cdef const void *y = data_or_null(beta)
    cdef int64_t nnz = 0
    cdef int status, rising
    csr_view(&A, shape, a[0], a[1], a[2])
    csr_view(&B, shape, b[0], b[1], b[2])
    with nogil:
        if x:
            status = sc_add(&A, &B, x, y, &out, &nnz, &rising, threads)
        else:
            status = sc_multiply(&A, &B, &out, &nnz, &rising, threads)
    if status == SC_BAD_INDPTR or status == SC_BAD_INDEX:
        validate(shape, *a, threads)
        check_matrix(status, &B, threads)
    check(status)
    return nnz, bool(rising)

def scale(shape, indptr, indices, data, left, right, cnp.ndarray out_data, int threads):
    """out = left[r] * data * right[c]; True where A was canonical."""
    cdef sc_csr A
    cdef const void *l = data_or_null(left)
    cdef const void *r = data_or_null(right)
    cdef int status, rising
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_scale(&A, l, r, cnp.PyArray_DATA(out_data), &rising, threads)
    check_matrix(status, &A, threads)
    return bool(rising)

def times_dense(shape, indptr, indices, data, cnp.ndarray D, cnp.ndarray out_data, int threads):
    """out = data * D[r, c]; True where A was canonical."""
    cdef sc_csr A
    cdef sc_dense d
    cdef int status, rising
    csr_view(&A, shape, indptr, indices, data)
    dense_view(&d, D)
    with nogil:
        status = sc_times_dense(&A, &d, cnp.PyArray_DATA(out_data), &rising, threads)
    check_matrix(status, &A, threads)
    return bool(rising)

def reduce(shape, indptr, indices, data, what, int axis, mean, cnp.ndarray y, bint order, int threads):
    """y = a reduction of A, in double; False where A is not canonical and `order` asks for it."""
    cdef sc_csr A
    cdef int code = REDUCTIONS.index(what), status, rising = 1
    cdef const void *m = data_or_null(mean)
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_reduce(&A, code, axis, m, cnp.PyArray_DATA(y), &rising if order else NULL, threads)
    check_matrix(status, &A, threads)
    return bool(rising)
