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
    int sc_select(const sc_dense *, size_t, const sc_rule *, const sc_sink *, int, int64_t *, int64_t *)

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
