# Products of two sparse matrices.

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_csr_result:
        int64_t rows, cols, nnz
        void *indptr
        void *indices
        void *data
        int idx
    int sc_spgemm(const sc_csr *, const sc_csr *, sc_csr_result *, int *, int)

cdef extern from "numpy/arrayobject.h":
    void PyArray_ENABLEFLAGS(cnp.ndarray, int)

cdef cnp.ndarray owned(void *p, cnp.npy_intp n, int type_num):
    """An array that owns p, a block of malloc."""
    cdef cnp.ndarray a = cnp.PyArray_SimpleNewFromData(1, &n, type_num, p)
    PyArray_ENABLEFLAGS(a, cnp.NPY_ARRAY_OWNDATA)
    return a

cdef tuple result_arrays(sc_csr_result *C, int type_num):
    cdef int index = cnp.NPY_INT32 if C.idx == SC_I32 else cnp.NPY_INT64
    return (owned(C.indptr, C.rows + 1, index), owned(C.indices, C.nnz, index), owned(C.data, C.nnz, type_num))


def spgemm(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, cnp.ndarray Bx, int threads):
    """indptr, indices, data of A @ B"""
    cdef sc_csr A, B
    cdef sc_csr_result C
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    with nogil:
        status = sc_spgemm(&A, &B, &C, &wrong, threads)
    check_matrix(status, &B if wrong else &A, threads)
    return result_arrays(&C, Bx.descr.type_num)
