# Arrays in memory that earlier large results gave back.
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset, strcpy

cdef extern from "mem.h" nogil:
    void *sc_keep_alloc(size_t)
    void *sc_keep_resize(void *, size_t)
    void sc_keep_free(void *)
    size_t SC_KEEP_LEAST

# As NumPy's NEP 49 has them.  The headers of every NumPy 2 declare them to C, to Cython only those after 2.0.
cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *, size_t) noexcept nogil
        void *(*calloc)(void *, size_t, size_t) noexcept nogil
        void *(*realloc)(void *, void *, size_t) noexcept nogil
        void (*free)(void *, void *, size_t) noexcept nogil
    ctypedef struct PyDataMem_Handler:
        char name[127]
        unsigned char version
        PyDataMemAllocator allocator
    object PyDataMem_SetHandler(object)

cdef void *keep_malloc(void *ctx, size_t bytes) noexcept nogil:
    return sc_keep_alloc(bytes)

cdef void *keep_calloc(void *ctx, size_t n, size_t size) noexcept nogil:
    cdef void *p = NULL if size and n > <size_t>-1 // size else sc_keep_alloc(n * size)
    return memset(p, 0, n * size) if p != NULL else p

cdef void *keep_realloc(void *ctx, void *p, size_t bytes) noexcept nogil:
    return sc_keep_resize(p, bytes)

cdef void keep_free(void *ctx, void *p, size_t bytes) noexcept nogil:
    sc_keep_free(p)

cdef PyDataMem_Handler keep_handler      # lives as long as the process
strcpy(keep_handler.name, b"sparsecore_kept")
keep_handler.version = 1
keep_handler.allocator.ctx = NULL
keep_handler.allocator.malloc = keep_malloc
keep_handler.allocator.calloc = keep_calloc
keep_handler.allocator.realloc = keep_realloc
keep_handler.allocator.free = keep_free
cdef object KEEP = PyCapsule_New(&keep_handler, b"mem_handler", NULL)
KEEP_LEAST = SC_KEEP_LEAST

# Bytes up to which glibc's malloc keeps by itself what one result after the other needs, at less cost.
cdef enum: MALLOC_KEEPS = 32 << 20
KEEP_DENSE = MALLOC_KEEPS

def empty(shape, dtype, order="C"):
    """numpy.empty in kept memory: an array that owns its data as any other does."""
    cdef object before = PyDataMem_SetHandler(KEEP)
    try:
        return np.empty(shape, dtype, order)
    finally:
        PyDataMem_SetHandler(before)
