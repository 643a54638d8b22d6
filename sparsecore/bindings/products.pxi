# Products of a sparse matrix with dense vectors and panels.

cdef extern from "sparsecore.h" nogil:
    int sc_spmv(const sc_csr *, const void *, void *, int)
    int sc_spmv_t(const sc_csr *, const void *, void *, int)
    int sc_spmm(const sc_csr *, const sc_dense *, const sc_dense *, int)
    int sc_spmm_t(const sc_csr *, const sc_dense *, const sc_dense *, int)


def spmv(shape, indptr, indices, data, cnp.ndarray x, cnp.ndarray y, bint transposed, int threads):
    """y = A @ x, or A.T @ x"""
    cdef sc_csr A
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        if transposed:
            status = sc_spmv_t(&A, cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), threads)
        else:
            status = sc_spmv(&A, cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), threads)
    check_matrix(status, &A, threads)

def spmm(shape, indptr, indices, data, cnp.ndarray X, cnp.ndarray C, bint transposed, int threads):
    """C = A @ X, or A.T @ X"""
    cdef sc_csr A
    cdef sc_dense x, c
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    dense_view(&x, X)
    dense_view(&c, C)
    with nogil:
        status = sc_spmm_t(&A, &x, &c, threads) if transposed else sc_spmm(&A, &x, &c, threads)
    check_matrix(status, &A, threads)


# ---- ordinary products: one C call, no Python in between ---------------------------------------------------------
# A product of a thousand entries takes a microsecond; the general way through _args would take ten.

from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix

cdef dict STORED_BY_COLUMNS = {csr_array: False, csr_matrix: False, csc_array: True, csc_matrix: True}

cdef inline bint plain(object a, int ndim):
    """An exact ndarray of that many dimensions: contiguous, aligned, native byte order."""
    return type(a) is np.ndarray and cnp.PyArray_NDIM(a) == ndim and cnp.PyArray_ISCARRAY_RO(a)

cdef inline int index_width(cnp.ndarray a):
    """4 or 8 for int32 and int64, else 0"""
    return a.descr.itemsize if a.descr.kind == b'i' and a.descr.itemsize >= 4 else 0

cdef int product(const sc_csr *A, const sc_dense *X, const sc_dense *C, void *x, void *y, bint by_columns, int ndim,
                 int threads) noexcept nogil:
    if ndim == 2:
        return sc_spmm_t(A, X, C, threads) if by_columns else sc_spmm(A, X, C, threads)
    return sc_spmv_t(A, x, y, threads) if by_columns else sc_spmv(A, x, y, threads)

def ordinary_product(A, B, int64_t serial, resolve):
    """A @ B for a CSR or CSC `A` and a dense `B` of one type, in the shapes everybody uses; None where anything is
    out of the ordinary: the general way answers, or explains.  More than `serial` multiply-adds ask `resolve` for
    threads."""
    cdef sc_csr view
    cdef sc_dense X, C
    cdef void *x
    cdef void *y
    cdef bint columns, brief
    cdef cnp.ndarray indptr, indices, data, dense, result
    cdef cnp.npy_intp shape[2]
    cdef int64_t first, last
    cdef int ndim, kind, wide, status, threads = 1
    by_columns = STORED_BY_COLUMNS.get(type(A))
    if by_columns is None or type(B) is not np.ndarray:
        return None
    dense = B
    ndim = cnp.PyArray_NDIM(dense)
    if (ndim != 1 and ndim != 2) or not cnp.PyArray_ISCARRAY_RO(dense):
        return None
    size = A.shape
    a, b, c = A.indptr, A.indices, A.data
    if not (len(<tuple?>size) == 2 and plain(a, 1) and plain(b, 1) and plain(c, 1)):
        return None
    indptr, indices, data = a, b, c
    kind = data.descr.type_num
    if kind != dense.descr.type_num or not cnp.NPY_FLOAT <= kind <= cnp.NPY_CDOUBLE or (
            kind == cnp.NPY_LONGDOUBLE):
        return None
    view.val = value_code(data)
    wide = index_width(indptr)
    if wide == 0 or index_width(indices) not in (4, wide):
        return None
    view.idx = SC_I32 if wide == 4 else SC_I64 if index_width(indices) == 8 else SC_P64I32
    if by_columns:
        view.cols, view.rows = size
    else:
        view.rows, view.cols = size
    shape[0] = view.cols if by_columns else view.rows
    shape[1] = dense.shape[1] if ndim == 2 else 1
    if indptr.shape[0] != view.rows + 1 or dense.shape[0] != (view.rows if by_columns else view.cols):
        return None
    indptr_data = cnp.PyArray_DATA(indptr)
    first = (<int *>indptr_data)[0] if wide == 4 else (<int64_t *>indptr_data)[0]
    last = (<int *>indptr_data)[view.rows] if wide == 4 else (<int64_t *>indptr_data)[view.rows]
    if first != 0 or last < 0 or last > indices.shape[0] or last > data.shape[0]:
        return None
    brief = (<double>last + view.rows + view.cols) * shape[1] < serial
    if not brief:
        threads = resolve()
    view.nnz = last
    view.indptr, view.indices, view.data = indptr_data, cnp.PyArray_DATA(indices), cnp.PyArray_DATA(data)
    if shape[0] * shape[1] * dense.descr.itemsize < MALLOC_KEEPS:
        result = cnp.PyArray_EMPTY(ndim, shape, dense.descr.type_num, 0)
    else:
        result = empty((shape[0], shape[1])[:ndim], dense.descr)
    x, y, columns = cnp.PyArray_DATA(dense), cnp.PyArray_DATA(result), by_columns
    if ndim == 2:
        dense_view(&X, dense)
        dense_view(&C, result)
    if brief:
        status = product(&view, &X, &C, x, y, columns, ndim, 1)
    else:
        with nogil:
            status = product(&view, &X, &C, x, y, columns, ndim, threads)
    if status != SC_OK:
        check_matrix(status, &view, threads)
    return result
