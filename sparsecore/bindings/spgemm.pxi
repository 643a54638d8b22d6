# Products of two sparse matrices.
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_csr_result:
        int64_t rows, cols, nnz
        void *indptr
        void *indices
        void *data
        int idx
    int sc_spgemm(const sc_csr *, const sc_csr *, sc_csr_result *, int *, int)
    int sc_spgemm_topn(const sc_csr *, const sc_csr *, int64_t, double, sc_csr_result *, int *, int)
    int sc_masked_matmul(const sc_csr *, const sc_csr *, const sc_csr *, void *, int *, int)
    int sc_count_products(const sc_csr *, const sc_csr *, int64_t *, int *, int)
    int sc_plan_slots(const sc_csr *, const sc_csr *, const sc_csr *, const int64_t *, unsigned short *, int *, int)
    int sc_plan_multiply(const sc_csr *, const sc_csr *, const int64_t *, const int64_t *, const unsigned short *,
                         void *, int *, int)
    int sc_sddmm(const sc_csr *, const void *, const void *, int64_t, int, void *, int)

cdef extern from "numpy/arrayobject.h":
    void PyArray_ENABLEFLAGS(cnp.ndarray, int)
    ctypedef struct PyArrayObject_fields:
        PyObject *mem_handler

cdef cnp.ndarray owned(void *p, cnp.npy_intp n, int type_num):
    """An array that owns p, a block of kept memory."""
    cdef cnp.ndarray a = cnp.PyArray_SimpleNewFromData(1, &n, type_num, p)
    Py_INCREF(KEEP)
    (<PyArrayObject_fields *>a).mem_handler = <PyObject *>KEEP
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

def topn(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, cnp.ndarray Bx, int64_t n, double floor, int threads):
    """indptr, indices, data of the n largest above floor of every row of A @ B"""
    cdef sc_csr A, B
    cdef sc_csr_result C
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    with nogil:
        status = sc_spgemm_topn(&A, &B, n, floor, &C, &wrong, threads)
    check_matrix(status, &B if wrong else &A, threads)
    return result_arrays(&C, Bx.descr.type_num)

def masked_matmul(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, Bx, shape_M, Mp, Mi, cnp.ndarray out, int threads):
    """out[p] = (A @ B)[row, column] of entry p of the pattern M"""
    cdef sc_csr A, B, M
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    csr_view(&M, shape_M, Mp, Mi, out)
    with nogil:
        status = sc_masked_matmul(&A, &B, &M, cnp.PyArray_DATA(out), &wrong, threads)
    check_matrix(status, &M if wrong == 2 else &B if wrong == 1 else &A, threads)

def count_products(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, Bx, int64_t[::1] work, int threads):
    """work[r] = the number of products of the rows before r of A @ B"""
    cdef sc_csr A, B
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    with nogil:
        status = sc_count_products(&A, &B, &work[0], &wrong, threads)
    check_matrix(status, &B if wrong else &A, threads)

def plan_slots(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, Bx, shape_C, Cp, Ci, Cx, const int64_t[::1] work,
               cnp.ndarray slots, int threads):
    """slots[t] = the place of product t within its row of C"""
    cdef sc_csr A, B, C
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    csr_view(&C, shape_C, Cp, Ci, Cx)
    with nogil:
        status = sc_plan_slots(&A, &B, &C, &work[0], <unsigned short *>cnp.PyArray_DATA(slots), &wrong, threads)
    check_matrix(status, &C if wrong == 2 else &B if wrong == 1 else &A, threads)

def plan_multiply(shape_A, Ap, Ai, Ax, shape_B, Bp, Bi, Bx, const int64_t[::1] Cp, const int64_t[::1] work,
                  cnp.ndarray slots, cnp.ndarray out, int threads):
    """out = the values of A @ B by the plan Cp, work, slots"""
    cdef sc_csr A, B
    cdef int status, wrong = 0
    csr_view(&A, shape_A, Ap, Ai, Ax)
    csr_view(&B, shape_B, Bp, Bi, Bx)
    with nogil:
        status = sc_plan_multiply(&A, &B, &Cp[0], &work[0], <const unsigned short *>cnp.PyArray_DATA(slots),
                                  cnp.PyArray_DATA(out), &wrong, threads)
    check_matrix(status, &B if wrong else &A, threads)

def sddmm(shape, indptr, indices, data, cnp.ndarray X, cnp.ndarray Y, bint weights, cnp.ndarray out, int threads):
    """out[p] = X[row] . Y[column] of entry p, times data[p] if weights"""
    cdef sc_csr P
    cdef int status
    csr_view(&P, shape, indptr, indices, data)
    if X.shape[0] != P.rows or Y.shape[0] != P.cols or X.shape[1] != Y.shape[1]:
        raise ValueError("the shapes do not fit together")
    with nogil:
        status = sc_sddmm(&P, cnp.PyArray_DATA(X), cnp.PyArray_DATA(Y), X.shape[1], weights, cnp.PyArray_DATA(out),
                          threads)
    check_matrix(status, &P, threads)
