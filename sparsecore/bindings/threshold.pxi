# Magnitude thresholding.
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc

cdef extern from "sparsecore.h" nogil:
    enum:
        SC_AT_LEAST, SC_NONZERO, SC_RANKED, SC_MASKED, SC_GROUPS, SC_ROWS
    ctypedef struct sc_rule "struct sc_rule":
        int kind
        uint64_t key
        int64_t ties, keep, group
        const uint8_t *mask
    ctypedef struct sc_sink "struct sc_sink":
        uint8_t *mask
        uint64_t *words
        void *indptr
        void *indices
        void *data
        int64_t room
        int wide
    int sc_kth_key(const sc_dense *, int64_t, int64_t, int, uint64_t *, int64_t *, int64_t *)
    int sc_topk_masks(const sc_dense *, int64_t, int64_t, uint8_t **, int)
    int sc_select(const sc_dense *, size_t, const sc_rule *, const sc_sink *, int, int64_t *, int64_t *)

cdef extern from "select.h" nogil:
    ctypedef void sc_modulus_fn(int, const void *, int64_t, void *) noexcept
    void sc_set_modulus(sc_modulus_fn *)

# numpy.abs of complex values differs in the last bit from hypot, and with the processor: its own loops are called, so
# that what is compared here is what a user compares.
cdef cnp.ufunc ABSOLUTE = np.absolute
ctypedef void (*ufunc_loop)(char **, cnp.npy_intp *, cnp.npy_intp *, void *) noexcept nogil
cdef ufunc_loop abs_loop[2]
cdef void *abs_data[2]
for _wide, _signature in enumerate(("F->f", "D->d")):
    # By the list of signatures: NumPy 2.5 no longer declares the array of type numbers to Cython.
    _i = np.absolute.types.index(_signature) if _signature in np.absolute.types else ABSOLUTE.ntypes
    if _i < ABSOLUTE.ntypes:
        abs_loop[_wide] = <ufunc_loop>ABSOLUTE.functions[_i]
        abs_data[_wide] = ABSOLUTE.data[_i]

cdef void numpy_abs(int wide, const void *z, int64_t n, void *moduli) noexcept nogil:
    cdef char *args[2]
    cdef cnp.npy_intp count = n
    cdef cnp.npy_intp strides[2]
    args[0], args[1] = <char *>z, <char *>moduli
    strides[0], strides[1] = 8 << wide, 4 << wide
    abs_loop[wide](args, &count, strides, abs_data[wide])

if abs_loop[0] != NULL and abs_loop[1] != NULL:
    sc_set_modulus(numpy_abs)

AT_LEAST, NONZERO, RANKED, MASKED, GROUPS, ROWS = SC_AT_LEAST, SC_NONZERO, SC_RANKED, SC_MASKED, SC_GROUPS, SC_ROWS
IS_NAN = SC_IS_NAN


def kth_key(list arrays, int64_t k, int threads):
    """(status, key, above, equal) of the k-th largest magnitude of 2-D arrays of one type taken together."""
    cdef int64_t n = len(arrays), i, above = 0, equal = 0
    cdef uint64_t key = 0
    cdef int status
    cdef sc_dense *W = <sc_dense *>malloc((n + 1) * sizeof(sc_dense))
    if W == NULL:
        raise MemoryError
    try:
        for i in range(n):
            dense_view(&W[i], arrays[i])
        with nogil:
            status = sc_kth_key(W, n, k, threads, &key, &above, &equal)
    finally:
        free(W)
    if status != SC_IS_NAN:
        check(status)
    return status, key, above, equal

cdef void *address(a) except? NULL:
    return NULL if a is None else cnp.PyArray_DATA(<cnp.ndarray>a)

def topk_masks(list arrays, list masks, int64_t k, int threads):
    """status; masks[i] tells where the k largest magnitudes of 2-D arrays of one type taken together are."""
    cdef int64_t n = len(arrays), i
    cdef int status
    cdef sc_dense *W = <sc_dense *>malloc((n + 1) * sizeof(sc_dense))
    cdef uint8_t **mask = <uint8_t **>malloc((n + 1) * sizeof(void *))
    try:
        if W == NULL or mask == NULL:
            raise MemoryError
        for i in range(n):
            dense_view(&W[i], arrays[i])
            mask[i] = <uint8_t *>address(masks[i])
        with nogil:
            status = sc_topk_masks(W, n, k, mask, threads)
    finally:
        free(W)
        free(mask)
    if status != SC_IS_NAN:
        check(status)
    return status

def select(cnp.ndarray W, int kind, uint64_t key=0, int64_t ties=0, int64_t keep=0, int64_t group=1, rule_mask=None,
           mask=None, words=None, indptr=None, indices=None, data=None, int threads=1):
    """(status, count, tied): selects from a 2-D array by a rule into the outputs that are given (sparsecore.h)."""
    cdef sc_dense D
    cdef sc_rule rule
    cdef sc_sink sink
    cdef int64_t count = 0, tied = 0
    cdef int status
    cdef size_t size = W.descr.itemsize
    D.rows, D.cols = W.shape[0], W.shape[1]
    D.row_stride, D.col_stride = W.strides[0] // W.descr.itemsize, W.strides[1] // W.descr.itemsize
    D.data = cnp.PyArray_DATA(W)
    # A mask moves values of any type by their bits; every other rule compares reals.
    D.val = SC_C128 if kind == SC_MASKED else value_code(W)
    rule.kind, rule.key, rule.ties, rule.keep, rule.group = kind, key, ties, keep, group
    rule.mask = <const uint8_t *>address(rule_mask)
    sink.mask, sink.words = <uint8_t *>address(mask), <uint64_t *>address(words)
    sink.indptr, sink.indices, sink.data = address(indptr), address(indices), address(data)
    sink.room = 0 if data is None else data.shape[0]
    sink.wide = indptr is not None and indptr.dtype.itemsize == 8
    with nogil:
        status = sc_select(&D, size, &rule, &sink, threads, &count, &tied)
    if status != SC_IS_NAN:
        check(status)
    return status, count, tied


# ---- storage ---------------------------------------------------------------------------------------------------------

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_storage:
        int64_t rows, cols, nnz
        const int64_t *indptr
        const uint64_t *words
        const uint8_t *positions
        int64_t per_row, keep, group, row_bytes
        int bits
        const void *data
        int val
    int sc_storage_columns(const sc_storage *, int *, int)
    int sc_storage_words(const sc_csr *, uint64_t *, int)
    void sc_storage_positions(const sc_storage *, const uint64_t *, uint8_t *, int)
    int sc_storage_matmul(const sc_storage *, const sc_dense *, const sc_dense *, int)

cdef int storage_view(sc_storage *S, tuple storage) except -1:
    """A C view of a Bitmask (indptr, words) or an NM (positions; layout: keep, group, bits, per_row, row_bytes)."""
    cdef cnp.ndarray data
    shape, data, indptr, words, positions, layout = storage
    S.rows, S.cols = shape
    S.nnz = data.shape[0]
    S.data, S.val = cnp.PyArray_DATA(data), value_code(data)
    S.indptr, S.words = <const int64_t *>address(indptr), <const uint64_t *>address(words)
    S.positions = <const uint8_t *>address(positions)
    S.keep, S.group, S.bits, S.per_row, S.row_bytes = layout
    return 0

def storage_columns(storage, cnp.ndarray columns, int threads):
    cdef sc_storage S
    cdef int status
    storage_view(&S, storage)
    with nogil:
        status = sc_storage_columns(&S, <int *>cnp.PyArray_DATA(columns), threads)
    check(status)

def storage_words(shape, indptr, indices, data, cnp.ndarray words, int threads):
    cdef sc_csr A
    cdef int status
    csr_view(&A, shape, indptr, indices, data)
    with nogil:
        status = sc_storage_words(&A, <uint64_t *>cnp.PyArray_DATA(words), threads)
    check_matrix(status, &A, threads)

def storage_positions(storage, cnp.ndarray words, cnp.ndarray positions, int threads):
    cdef sc_storage S
    storage_view(&S, storage)
    with nogil:
        sc_storage_positions(&S, <const uint64_t *>cnp.PyArray_DATA(words),
                             <uint8_t *>cnp.PyArray_DATA(positions), threads)

def storage_matmul(storage, cnp.ndarray X, cnp.ndarray C, int threads):
    """C = S @ X for 2-D X and C with contiguous rows."""
    cdef sc_storage S
    cdef sc_dense x, c
    cdef int status
    storage_view(&S, storage)
    dense_view(&x, X)
    dense_view(&c, C)
    with nogil:
        status = sc_storage_matmul(&S, &x, &c, threads)
    check(status)
