"""Coercion: the only place where something is cast or copied.

A sparse argument becomes a `Rows`: the CSR view (shape, indptr, indices, data) of a matrix or, for CSC, of its
transpose.  O(1) facts are checked here; the contents of indptr and indices are checked in C, panel by panel, just
before a kernel reads them.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

KERNEL_TYPES = ("float32", "float64", "complex64", "complex128", "float16", "bfloat16")
OVERLAP_WORK = 10_000       # candidate solutions tried before two strided arrays count as overlapping
CONTAINERS = {("csr", False): sp.csr_array, ("csr", True): sp.csr_matrix,
              ("csc", False): sp.csc_array, ("csc", True): sp.csc_matrix}


class Rows(NamedTuple):
    """A compressed view: row-wise of A (transposed False: CSR) or of A.T (transposed True: CSC)."""

    shape: tuple
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    transposed: bool


def is_sparse(A):
    return sp.issparse(A)


def native(a, name="array"):
    """A contiguous, aligned array in native byte order; a copy only where it is not that already."""
    a = np.asarray(a)
    if not (a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative):
        a = np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("="))
        if not a.flags.aligned:
            a = a.copy()
    return a


def rows(A, name="A"):
    """The compressed view of a sparse matrix; formats other than CSR and CSC are converted once."""
    if not sp.issparse(A):
        raise TypeError(f"{name} must be a scipy.sparse array or matrix, not {type(A).__name__}")
    if A.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions; it has {A.ndim}")
    if A.format not in ("csr", "csc"):
        A = _converted(A, name)
    transposed = A.format == "csc"
    shape = A.shape[::-1] if transposed else A.shape
    indptr, indices, data = A.indptr, A.indices, A.data
    if not (type(indptr) is type(indices) is type(data) is np.ndarray):
        indptr, indices, data = np.asarray(indptr), np.asarray(indices), np.asarray(data)
    if indptr.ndim != 1 or indices.ndim != 1 or data.ndim != 1:
        raise ValueError(f"{name}: indptr, indices and data must have 1 dimension; they have "
                         f"{indptr.ndim}, {indices.ndim} and {data.ndim}")
    if data.dtype.kind not in "biufc" and not has_kernel(data.dtype):
        raise TypeError(f"{name}: data must hold numbers, not {data.dtype}")
    if indptr.shape[0] != shape[0] + 1:
        raise ValueError(f"{name}: indptr has {indptr.shape[0]} entries; {shape[0]} "
                         f"{'columns' if transposed else 'rows'} need {shape[0] + 1}")
    nnz = int(indptr[-1])
    if nnz < 0 or nnz > indices.shape[0] or nnz > data.shape[0]:
        raise ValueError(f"{name}: indptr ends at {nnz}; there are {indices.shape[0]} indices and "
                         f"{data.shape[0]} values")
    if int(indptr[0]) != 0:
        raise ValueError(f"{name}: indptr begins with {int(indptr[0])}, not 0")
    if indices.shape[0] != nnz:
        indices = indices[:nnz]
    if data.shape[0] != nnz:
        data = data[:nnz]
    return Rows(shape, _index(indptr, name, "indptr", indices), _index(indices, name, "indices", indices),
                native(data), transposed)


def _converted(A, name):
    """CSR of another format, by SciPy, whose conversions write wherever the numbers point: they are checked first."""
    if A.format == "coo":
        numbers = zip(("rows", "columns"), A.coords, A.shape)
    elif A.format == "bsr":
        last = int(A.indptr[-1]) if A.indptr.shape[0] else -1
        if (A.indptr.shape[0] != A.shape[0] // A.blocksize[0] + 1 or A.indptr[0] != 0
                or (A.indptr[1:] < A.indptr[:-1]).any() or last > min(A.indices.shape[0], A.data.shape[0])):
            raise ValueError(f"{name}: the indptr of its blocks does not rise from 0 to their number")
        numbers = [("block columns", A.indices[:last], A.shape[1] // A.blocksize[1])]
    else:
        numbers = ()
    for what, index, n in numbers:
        if index.size and not 0 <= index.min() <= index.max() < n:
            raise ValueError(f"{name}: its {what} run from {index.min()} to {index.max()}; it has {n}")
    return A.tocsr()


def _index(a, name, part, indices):
    """int32 or int64; 32-bit pointers only beside 32-bit indices (the C types: 32/32, 64/64, 64/32)."""
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name}: {part} must hold integers, not {a.dtype}")
    wide = a.dtype.itemsize == 8 or a.dtype == np.uint32 or (part == "indptr" and indices.dtype.itemsize == 8)
    if a.dtype == np.uint64 and a.size and a.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: {part} holds {a.max()}, beyond int64")
    want = np.int64 if wide else np.int32
    if a.dtype == want and a.flags.c_contiguous and a.flags.aligned:
        return a
    return np.array(a, dtype=want, order="C")      # a copy: ascontiguousarray would let unaligned memory pass


def result_type(*operands):
    """The type of a result as NumPy promotes (types, arrays or scalars).  bfloat16 stays with Python's scalars, and
    counts as float32 beside types with which NumPy has none in common (float16, wide integers)."""
    firm = [o for o in operands if type(o) not in (bool, int, float)]
    try:
        common = np.result_type(*firm)
    except TypeError:
        common = np.result_type(*(np.float32 if _is_bfloat16(o) else o for o in firm))
    if len(firm) == len(operands) or _is_bfloat16(common):
        return common
    return np.result_type(common, *(o for o in operands if type(o) in (bool, int, float)))


def _is_bfloat16(operand):
    return getattr(getattr(operand, "dtype", operand), "name", None) == "bfloat16"


@functools.lru_cache(64)        # the name of a dtype takes a microsecond to make
def has_kernel(dtype):
    return dtype.name in KERNEL_TYPES


def real_or_complex(a, dtype):
    """Values as `dtype`, copied only if they differ."""
    return a if a.dtype == dtype else a.astype(dtype)


def check_out(out, shape, dtype, inputs):
    """An output array a kernel may write: right shape and type, writeable, not overlapping an input."""
    check_shape(out, shape)
    if out.dtype != dtype:
        raise TypeError(f"out has type {out.dtype}; the result has {dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if not (out.flags.c_contiguous or out.flags.f_contiguous):
        extent = out.itemsize
        for stride, n in sorted((abs(s), n) for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
            if stride < extent:
                raise ValueError(f"out overlaps itself: its shape is {out.shape}, its strides are {out.strides}")
            extent += stride * (n - 1)
    for a in inputs:
        # Bounds alone would refuse columns beside the input's in one array; where that is too hard to tell, they do.
        if np.may_share_memory(out, a, max_work=OVERLAP_WORK):
            raise ValueError("out overlaps an input")
    return out


def in_place(a):
    """Can kernels read and write the array where it lies: aligned, native, strides of whole elements?"""
    return a.flags.aligned and a.dtype.isnative and not any(s % a.itemsize for s in a.strides)


def check_shape(out, shape):
    """An output array of the right shape, before anything is made of it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy.ndarray, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has {shape}")


def count(value, name, low, high, what):
    """An integer argument within low..high."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    value = value.__index__()
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it must be within {low}..{high} ({what})")
    return value


def container(like, fmt):
    """The scipy.sparse class of format `fmt` in the family (array or matrix) of `like`."""
    return CONTAINERS[fmt, isinstance(like, sp.spmatrix)]


@functools.lru_cache(8)
def _attributes(cls):
    """What an empty matrix of a SciPy class holds; None where its shape is no plain attribute."""
    held = vars(cls((1, 1)))
    return held if held.get("_shape") == (1, 1) else None


def wrap(cls, shape, indptr, indices, data, canonical=True):
    """A scipy.sparse matrix of sound buffers, without SciPy's own check of them, which takes 20 us even of none."""
    attributes = _attributes(cls)
    if attributes is None:
        A = cls(shape)   # half types cannot be named here, but can be held
    else:
        A = cls.__new__(cls)
        vars(A).update(attributes, _shape=(int(shape[0]), int(shape[1])))
    A.indptr, A.indices, A.data = indptr, indices, data
    if canonical:
        A.has_sorted_indices = True
        A.has_canonical_format = True
    return A
