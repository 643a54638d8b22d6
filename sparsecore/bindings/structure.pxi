# Structure: validation, transposition, conversion, slicing, stacking.

def validate(shape, indptr, indices, data, int threads):
    cdef sc_csr A
    cdef int64_t row, pos
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_validate(&A, threads, &row, &pos)
    check_matrix(status, &A, threads)
