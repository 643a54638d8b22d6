# Pieces of the truncated SVD: tall matrices in panels, as arrays of shape (panels, rows, 16 (f32) or 8 (f64)).

cdef extern from "sparsecore.h" nogil:
    int sc_panels_inner(int, int64_t, const void *, int64_t, const void *, int64_t, void *, int, int)
    int sc_panels_subtract(int, int64_t, const void *, int64_t, const void *, void *, int64_t, int)
    int sc_panels_orthonormalise(int, int64_t, void *, int64_t, double, double *, double *, int)
    int sc_panels_join(int, int64_t, const void *, int64_t, const double *, const void *const *, const int64_t *, int,
                       void *, int64_t, double, double, double *, double *, int)
    int sc_panels_rotate(int, int64_t, const void *, int64_t, const void *, int64_t, void *, int64_t, int64_t, int64_t,
                         int64_t, int)
    int sc_panels_copy(int, int64_t, const void *, const double *, void *, int64_t, int64_t, int64_t, int64_t, int)
    int sc_panels_residual(int, int64_t, const void *, const void *, int64_t, const double *, double *, int)
    int sc_panels_outer(int, int64_t, const void *, int64_t, const void *, const void *, void *, int64_t, int)
    int sc_panels_top(int, int64_t, const void *, int64_t, double *, int)
    int sc_panels_widen(int64_t, const float *, int64_t, double *, int)
    int sc_panels_fill(int, int64_t, int64_t, const void *, int64_t, int64_t, double, int, void *, int)


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

def panels_orthonormalise(cnp.ndarray W, double lowest, cnp.ndarray R, int threads):
    """W = Q R in place of W; the least diagonal entry of R, 0 where W stays as it is"""
    cdef int status, val = value_code(W)
    cdef int64_t n = W.shape[1], q = W.shape[0]
    cdef double least
    with nogil:
        status = sc_panels_orthonormalise(val, n, cnp.PyArray_DATA(W), q, lowest, <double *>cnp.PyArray_DATA(R), &least,
                                          threads)
    check(status)
    return least

def panels_join(cnp.ndarray Q, cnp.ndarray S, bases, cnp.ndarray W, double lowest, double slack, cnp.ndarray R,
                int threads):
    """W -= Q @ S.T (Q None: not), projected against at most 4 bases, W = Q R; the least diagonal entry of R or 0"""
    cdef int status, val = value_code(W), count = len(bases), b
    cdef int64_t n = W.shape[1], q = W.shape[0], known = 0
    cdef const void *V[4]
    cdef int64_t p[4]
    cdef const void *last = NULL
    cdef const double *C = NULL
    cdef double least
    cdef cnp.ndarray basis
    if count > 4:
        raise ValueError("at most 4 bases")
    for b in range(count):
        basis = bases[b]
        V[b] = cnp.PyArray_DATA(basis)
        p[b] = basis.shape[0]
    if Q is not None:
        known, last, C = Q.shape[0], cnp.PyArray_DATA(Q), <const double *>cnp.PyArray_DATA(S)
    with nogil:
        status = sc_panels_join(val, n, last, known, C, V, p, count, cnp.PyArray_DATA(W), q, lowest, slack,
                                <double *>cnp.PyArray_DATA(R), &least, threads)
    check(status)
    return least

def panels_rotate(cnp.ndarray V, cnp.ndarray Q, cnp.ndarray out, int64_t columns, strides, int threads):
    """out = V @ Q; strides: elements from row to row, panel to panel, column to column of out"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0], q = Q.shape[0], row, panel, column
    row, panel, column = strides
    with nogil:
        status = sc_panels_rotate(val, n, cnp.PyArray_DATA(V), p, cnp.PyArray_DATA(Q), q, cnp.PyArray_DATA(out),
                                  columns, row, panel, column, threads)
    check(status)

def panels_copy(cnp.ndarray V, factor, cnp.ndarray out, int64_t columns, strides, int threads):
    """out = V diag(factor), its first columns, strides as above; factor (f64, all columns of V) or None"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], row, panel, column
    cdef double *f = NULL
    if factor is not None:
        f = <double *>cnp.PyArray_DATA(factor)
    row, panel, column = strides
    with nogil:
        status = sc_panels_copy(val, n, cnp.PyArray_DATA(V), f, cnp.PyArray_DATA(out), columns, row, panel, column,
                                threads)
    check(status)

def panels_residual(cnp.ndarray V, cnp.ndarray Z, cnp.ndarray s, cnp.ndarray norms, int threads):
    """norms = lengths of the columns of Z - V diag(s)"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0]
    with nogil:
        status = sc_panels_residual(val, n, cnp.PyArray_DATA(V), cnp.PyArray_DATA(Z), p,
                                    <const double *>cnp.PyArray_DATA(s), <double *>cnp.PyArray_DATA(norms), threads)
    check(status)

def panels_outer(cnp.ndarray a, cnp.ndarray b, cnp.ndarray X, cnp.ndarray Y, int threads):
    """Y -= a (b' X), vectors a and b"""
    cdef int status, val = value_code(X)
    cdef int64_t m = Y.shape[1], n = X.shape[1], p = X.shape[0]
    with nogil:
        status = sc_panels_outer(val, m, cnp.PyArray_DATA(a), n, cnp.PyArray_DATA(b), cnp.PyArray_DATA(X),
                                 cnp.PyArray_DATA(Y), p, threads)
    check(status)

def panels_top(cnp.ndarray V, cnp.ndarray top, int threads):
    """top = the entries of largest magnitude of the columns of V"""
    cdef int status, val = value_code(V)
    cdef int64_t n = V.shape[1], p = V.shape[0]
    with nogil:
        status = sc_panels_top(val, n, cnp.PyArray_DATA(V), p, <double *>cnp.PyArray_DATA(top), threads)
    check(status)

def panels_widen(cnp.ndarray V, cnp.ndarray out, int threads):
    """out = V, f32 as f64"""
    cdef int status
    cdef int64_t n = V.shape[1], p = V.shape[0]
    with nogil:
        status = sc_panels_widen(n, <const float *>cnp.PyArray_DATA(V), p, <double *>cnp.PyArray_DATA(out), threads)
    check(status)

def panels_fill(cnp.ndarray A, strides, double factor, cnp.ndarray out, int threads):
    """out = factor A in panels; strides: elements from row to row and column to column of A"""
    cdef int status, val = value_code(A), out_val = value_code(out)
    cdef int64_t m = A.shape[0], n = A.shape[1], row, column
    row, column = strides
    with nogil:
        status = sc_panels_fill(val, m, n, cnp.PyArray_DATA(A), row, column, factor, out_val, cnp.PyArray_DATA(out),
                                threads)
    check(status)
