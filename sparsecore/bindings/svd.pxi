# Pieces of the truncated SVD: tall matrices in panels, as arrays of shape (panels, rows, 16 (f32) or 8 (f64)).

cdef extern from "sparsecore.h" nogil:
    int sc_panels_inner(int, int64_t, const void *, int64_t, const void *, int64_t, void *, int, int)
    int sc_panels_subtract(int, int64_t, const void *, int64_t, const void *, void *, int64_t, int)
    int sc_panels_rotate(int, int64_t, const void *, int64_t, const void *, int64_t, void *, int64_t, int64_t, int64_t,
                         int64_t, int)
    int sc_panels_copy(int, int64_t, const void *, void *, int64_t, int64_t, int64_t, int64_t, int)


def panels_inner(cnp.ndarray V, cnp.ndarray W, cnp.ndarray C, bint half, int threads):
    """C = V.T @ W; half: only the upper triangle of panels"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0], q = W.shape[0]
    with nogil:
        status = sc_panels_inner(val, n, cnp.PyArray_DATA(V), p, cnp.PyArray_DATA(W), q, cnp.PyArray_DATA(C), half,
                                 threads)
    check(status)

def panels_subtract(cnp.ndarray V, cnp.ndarray C, cnp.ndarray W, int threads):
    """W -= V @ C"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0], q = W.shape[0]
    with nogil:
        status = sc_panels_subtract(val, n, cnp.PyArray_DATA(V), p, cnp.PyArray_DATA(C), cnp.PyArray_DATA(W), q,
                                    threads)
    check(status)

def panels_rotate(cnp.ndarray V, cnp.ndarray Q, cnp.ndarray out, int64_t columns, strides, int threads):
    """out = V @ Q; strides: elements from row to row, panel to panel, column to column of out"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0], q = Q.shape[0], row, panel, column
    row, panel, column = strides
    with nogil:
        status = sc_panels_rotate(val, n, cnp.PyArray_DATA(V), p, cnp.PyArray_DATA(Q), q, cnp.PyArray_DATA(out),
                                  columns, row, panel, column, threads)
    check(status)

def panels_copy(cnp.ndarray V, cnp.ndarray out, int64_t columns, strides, int threads):
    """out = V, its first columns; strides as above"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], row, panel, column
    row, panel, column = strides
    with nogil:
        status = sc_panels_copy(val, n, cnp.PyArray_DATA(V), cnp.PyArray_DATA(out), columns, row, panel, column, threads)
    check(status)
