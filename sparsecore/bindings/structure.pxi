# Structure: validation, transposition, conversion, slicing, stacking.

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_out:
        void *indptr
        void *indices
        void *data
    int sc_check(const sc_csr *, int, int *)
    int sc_narrow(const sc_csr *, int *, int *, int)
    int sc_transpose(const sc_csr *, const sc_out *, int *, int)
    int sc_sort_rows(const sc_csr *, const sc_out *, int)
    int sc_sum_duplicates(const sc_csr *, const sc_out *, int64_t *, int)
    int sc_from_coo(const void *, const void *, const void *, int64_t, int, int, int64_t, int64_t, int, const sc_out *,
                    int)
    int sc_take_cols_count(const sc_csr *, const int64_t *, int64_t *, int)
    int sc_take_cols(const sc_csr *, const int64_t *, const int64_t *, const sc_out *, int)
    int sc_append_rows(const sc_csr *, const int64_t *, int64_t, int64_t, int64_t *, int64_t, const sc_out *, int)
    int sc_from_dense_count(const sc_dense *, int64_t *, int)
    int sc_from_dense(const sc_dense *, int, const sc_out *, int)
    int sc_to_dense(const sc_csr *, const sc_dense *, int)


cdef sc_out out_view(cnp.ndarray indptr, cnp.ndarray indices, cnp.ndarray data):
    """Where a result goes: fresh arrays of the caller's, in the index type of the input."""
    cdef sc_out out
    out.indptr, out.indices, out.data = cnp.PyArray_DATA(indptr), cnp.PyArray_DATA(indices), cnp.PyArray_DATA(data)
    return out


def validate(shape, indptr, indices, data, int threads):
    cdef sc_csr A
    cdef int64_t row, pos
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_validate(&A, threads, &row, &pos)
    check_matrix(status, &A, threads)

def canonical(shape, indptr, indices, data, int threads):
    """Full check; True where the columns of every row rise strictly."""
    cdef sc_csr A
    cdef int status, rising
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_check(&A, threads, &rising)
    check_matrix(status, &A, threads)
    return bool(rising)

def narrow(shape, indptr, indices, data, cnp.ndarray indptr32, cnp.ndarray indices32, int threads):
    """Indices of a sound matrix as 32 bits."""
    cdef sc_csr A
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        sc_narrow(&A, <int *>cnp.PyArray_DATA(indptr32), <int *>cnp.PyArray_DATA(indices32), threads)

def transpose(shape, indptr, indices, data, out_indptr, out_indices, out_data, int threads):
    """out = A.T; True where A was canonical."""
    cdef sc_csr A
    cdef sc_out out = out_view(out_indptr, out_indices, out_data)
    cdef int status, rising
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_transpose(&A, &out, &rising, threads)
    check_matrix(status, &A, threads)
    return bool(rising)

def sort_rows(shape, indptr, indices, data, int threads):
    """Sorts the rows of a sound matrix in place."""
    cdef sc_csr A
    cdef sc_out same = out_view(indptr, indices, data)
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_sort_rows(&A, &same, threads)
    check(status)

def sum_duplicates(shape, indptr, indices, data, int threads):
    """Sums equal neighbours in the sorted rows of a sound matrix in place; returns the entries left."""
    cdef sc_csr A
    cdef sc_out same = out_view(indptr, indices, data)
    cdef int64_t nnz = 0
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_sum_duplicates(&A, &same, &nnz, threads)
    check(status)
    return nnz

def from_coo(shape, cnp.ndarray row, cnp.ndarray col, cnp.ndarray data, cnp.ndarray out_indptr,
             cnp.ndarray out_indices, out_data, int threads):
    """Sorted rows of coordinates; False where one lies outside the shape."""
    cdef int64_t rows = shape[0], cols = shape[1], n = row.shape[0]
    cdef sc_out out = out_view(out_indptr, out_indices, out_data)
    cdef int status, wide = row.descr.itemsize == 8, val = value_code(data)
    cdef int idx = SC_I64 if out_indices.descr.itemsize == 8 else SC_I32
    with nogil:
        status = sc_from_coo(cnp.PyArray_DATA(row), cnp.PyArray_DATA(col), cnp.PyArray_DATA(data), n, wide, val, rows,
                             cols, idx, &out, threads)
    if status == SC_BAD_INDEX:
        return False
    check(status)
    return True

def take_cols_count(shape, indptr, indices, data, cnp.ndarray first, cnp.ndarray out_indptr, int threads):
    cdef sc_csr A
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_take_cols_count(&A, <const int64_t *>cnp.PyArray_DATA(first),
                                    <int64_t *>cnp.PyArray_DATA(out_indptr), threads)
    check_matrix(status, &A, threads)

def take_cols(shape, indptr, indices, data, cnp.ndarray first, cnp.ndarray to, out_indptr, out_indices, out_data,
              int threads):
    cdef sc_csr A
    cdef sc_out out = out_view(out_indptr, out_indices, out_data)
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_take_cols(&A, <const int64_t *>cnp.PyArray_DATA(first), <const int64_t *>cnp.PyArray_DATA(to), &out,
                              threads)
    check(status)

def append_rows(shape, indptr, indices, data, rows, int64_t shift, cnp.ndarray next, out_indices, out_data,
                int threads):
    """Rows `rows` (all where None), columns moved by `shift`, to the places `next` of out."""
    cdef sc_csr A
    cdef sc_out out = out_view(next, out_indices, out_data)
    cdef int64_t n = next.shape[0], room = out_indices.shape[0]
    cdef const int64_t *which = NULL
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    if rows is not None:
        which = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>rows)
    with nogil:
        status = sc_append_rows(&A, which, n, shift, <int64_t *>cnp.PyArray_DATA(next), room, &out, threads)
    check_matrix(status, &A, threads)

def from_dense_count(cnp.ndarray W, cnp.ndarray out_indptr, int threads):
    cdef sc_dense w
    cdef int status
    dense_view(&w, W)
    with nogil:
        status = sc_from_dense_count(&w, <int64_t *>cnp.PyArray_DATA(out_indptr), threads)
    check(status)

def from_dense(cnp.ndarray W, out_indptr, cnp.ndarray out_indices, out_data, int threads):
    cdef sc_dense w
    cdef sc_out out = out_view(out_indptr, out_indices, out_data)
    cdef int idx = SC_I64 if out_indices.descr.itemsize == 8 else SC_I32
    cdef int status
    dense_view(&w, W)
    with nogil:
        status = sc_from_dense(&w, idx, &out, threads)
    check(status)

def to_dense(shape, indptr, indices, data, cnp.ndarray D, int threads):
    """D += A"""
    cdef sc_csr A
    cdef sc_dense d
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    dense_view(&d, D)
    with nogil:
        status = sc_to_dense(&A, &d, threads)
    check_matrix(status, &A, threads)
