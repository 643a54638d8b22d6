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
