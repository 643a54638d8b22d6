# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Bindings of csrc/sparsecore.h.  About ten lines each; no numerics, no policy: callers (ops, threshold, svd) have
coerced and checked the arguments (_args) and chosen the threads (_threads)."""

cimport cython
from cpython.exc cimport PyErr_Occurred
from libc.stdint cimport int64_t

import numpy as np

cimport numpy as cnp

cnp.import_array()

cdef extern from "sparsecore.h" nogil:
    ctypedef struct sc_csr:
        int64_t rows, cols, nnz
        const void *indptr
        const void *indices
        const void *data
        int val
        int idx
    ctypedef struct sc_dense:
        int64_t rows, cols, row_stride, col_stride
        void *data
        int val
    enum:
        SC_OK, SC_NO_MEMORY, SC_BAD_INDPTR, SC_BAD_INDEX, SC_BAD_SHAPE, SC_BAD_TYPE, SC_TOO_LARGE, SC_IS_NAN
        SC_CHANGED, SC_INTERRUPTED, SC_UNSUPPORTED_ISA
    enum:
        SC_F32, SC_F64, SC_C64, SC_C128, SC_F16, SC_BF16
        SC_I32, SC_I64, SC_P64I32
    const char *sc_status_message(int)
    int sc_isa_built(int)
    int sc_isa_runs(int)
    int sc_isa_choose(int)
    int sc_isa_chosen()
    int sc_openmp_version()
    int sc_max_threads()
    int sc_in_parallel()
    int sc_fork_child()
    const char *sc_compiler()
    void sc_set_poll(int (*poll)() noexcept with gil)
    int sc_validate(const sc_csr *, int, int64_t *, int64_t *)
    void sc_fault_after(int64_t, int)
    int64_t sc_live_blocks()


# ---- status ------------------------------------------------------------------------------------------------------

cdef extern from "Python.h":
    int check_signals "PyErr_CheckSignals"() noexcept     # cpython.exc's own would print and drop what a handler raised

cdef int poll_signals() noexcept with gil:
    # The pending exception (KeyboardInterrupt, or what a handler raised) stays set; check() lets it through.
    return check_signals()

sc_set_poll(poll_signals)

cdef dict EXCEPTIONS = {SC_NO_MEMORY: MemoryError, SC_BAD_TYPE: TypeError, SC_TOO_LARGE: OverflowError,
                        SC_INTERRUPTED: KeyboardInterrupt}

cdef int check(int status) except -1:
    """Raises the exception of a status code."""
    if status == SC_OK:
        return 0
    if status == SC_INTERRUPTED and PyErr_Occurred() != NULL:
        return -1
    raise EXCEPTIONS.get(status, ValueError)(sc_status_message(status).decode())

cdef int check_matrix(int status, const sc_csr *A, int threads) except -1:
    """Raises the exception of a status code, and tells where the matrix is wrong if that is what it says."""
    cdef int64_t row = -1, pos = -1
    if status == SC_OK:
        return 0
    if status == SC_BAD_INDPTR or status == SC_BAD_INDEX:
        with nogil:
            sc_validate(A, threads, &row, &pos)
        where = f"row {row}; of a CSC, column {row}"        # whether A came as one is not known here
        if pos >= 0:
            raise ValueError(f"index {index_at(A, pos)} at entry {pos} ({where}) is not one of 0 <= index < {A.cols}")
        raise ValueError(f"{sc_status_message(status).decode()}: first wrong at {where}, with {A.nnz} entries in all")
    return check(status)

cdef int64_t index_at(const sc_csr *A, int64_t pos) noexcept:
    return (<const int64_t *>A.indices)[pos] if A.idx == SC_I64 else (<const int *>A.indices)[pos]


# ---- views -------------------------------------------------------------------------------------------------------

cdef enum: NPY_HALF = 23   # not in Cython's numpy.pxd

cdef int value_code(cnp.ndarray a) except -1:
    cdef int t = a.descr.type_num
    if t == cnp.NPY_FLOAT: return SC_F32
    if t == cnp.NPY_DOUBLE: return SC_F64
    if t == cnp.NPY_CFLOAT: return SC_C64
    if t == cnp.NPY_CDOUBLE: return SC_C128
    if t == NPY_HALF: return SC_F16
    if a.dtype.name == "bfloat16": return SC_BF16
    raise TypeError(f"no kernel for values of type {a.dtype}")

cdef int csr_view(sc_csr *A, shape, cnp.ndarray indptr, cnp.ndarray indices, cnp.ndarray data) except -1:
    """A C view of three contiguous native arrays; their contents are checked by the operation."""
    A.rows, A.cols = shape
    A.nnz = indices.shape[0]
    if indptr.shape[0] != A.rows + 1 or data.shape[0] < A.nnz:
        raise ValueError(f"indptr has {indptr.shape[0]} entries and data {data.shape[0]}; {A.rows} rows and "
                         f"{A.nnz} indices need {A.rows + 1} and {A.nnz}")
    A.indptr, A.indices, A.data = cnp.PyArray_DATA(indptr), cnp.PyArray_DATA(indices), cnp.PyArray_DATA(data)
    A.val = value_code(data)
    if indices.descr.itemsize == 8:
        A.idx = SC_I64
    else:
        A.idx = SC_P64I32 if indptr.descr.itemsize == 8 else SC_I32
    return 0

cdef int dense_view(sc_dense *D, cnp.ndarray X) except -1:
    """A C view of a 2-D array whose strides are whole elements."""
    D.rows, D.cols = X.shape[0], X.shape[1]
    D.row_stride, D.col_stride = X.strides[0] // X.descr.itemsize, X.strides[1] // X.descr.itemsize
    D.data = cnp.PyArray_DATA(X)
    D.val = value_code(X)
    return 0


# ---- the machine -------------------------------------------------------------------------------------------------

ISA_NAMES = ("base", "avx2", "avx512")

def isa_built(): return [n for i, n in enumerate(ISA_NAMES) if sc_isa_built(i)]
def isa_runs(): return [n for i, n in enumerate(ISA_NAMES) if sc_isa_runs(i)]
def isa_chosen(): return ISA_NAMES[sc_isa_chosen()]
def openmp_version(): return sc_openmp_version()
def max_threads(): return sc_max_threads()
def in_parallel(): return bool(sc_in_parallel())
def fork_child(): return sc_fork_child()
def compiler(): return sc_compiler().decode()
def fault_after(int64_t allocations, bint forever=False): sc_fault_after(allocations, forever)
def live_blocks(): return sc_live_blocks()

def isa_choose(name):
    """Chooses an instruction set by name, or the best for None or ''."""
    if not name:
        return check(sc_isa_choose(-1))
    if name not in ISA_NAMES:
        raise ValueError(f"SPARSECORE_ISA={name}: unknown; known are {', '.join(ISA_NAMES)}")
    if sc_isa_choose(ISA_NAMES.index(name)) != SC_OK:
        raise ValueError(f"SPARSECORE_ISA={name}: not available; this build on this processor runs "
                         f"{', '.join(isa_runs())}")


# ---- the operations, one file per family ---------------------------------------------------------------------------

include "bindings/memory.pxi"
include "bindings/structure.pxi"
include "bindings/elementwise.pxi"
include "bindings/products.pxi"
include "bindings/spgemm.pxi"
include "bindings/threshold.pxi"
include "bindings/prepared.pxi"
include "bindings/svd.pxi"
