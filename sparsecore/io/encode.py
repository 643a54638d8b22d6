"""One weight array as a few flat tensors: dense, CSR, CSR with column gaps, bitmask or N:M, whichever is smallest.

With m rows, n columns, z stored entries of s bytes and b(x) the bytes of the narrowest unsigned type that holds x:

    dense     m n s
    csr       m b(longest row) + z b(n - 1) + z s
    gap       m b(longest row) + z b(largest column step in a row) + z s
    bitmask   ceil(m n / 8) + z s
    nm        2 + ceil(z log2(G) / 8) + z s   where every G of 2, 4, 8 or 16 columns hold the same number of entries

Arrays of more than two axes are seen as (shape[0], -1), others as one row. "Zero" means that all bits are zero, so
-0.0 and every NaN come back bit for bit; so do explicit zeros and unsorted rows of a sparse matrix.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp

__all__ = ["FORMATS", "decode_dense", "decode_sparse", "encode_dense", "encode_sparse", "named_dtype"]

FORMATS = {
    "dense": ("values",),
    "csr": ("lengths", "indices", "values"),
    "gap": ("lengths", "gaps", "values"),
    "bitmask": ("mask", "values"),
    "nm": ("pattern", "places", "values"),
}

_GROUPS = (2, 4, 8, 16)

_STORED = frozenset(
    "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 bfloat16 complex64".split()
)


def named_dtype(name):
    """The dtype called `name` (bfloat16 through ml_dtypes); ValueError for one that a model file cannot hold."""
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError("bfloat16 weights need ml_dtypes: pip install 'sparsecore[bf16]'") from error
        return np.dtype(ml_dtypes.bfloat16)
    if name in _STORED or name == "complex128":
        return np.dtype(name)
    raise ValueError(f"values of type {name!r} do not fit in a model file")


def encode_dense(W):
    """The smallest encoding of an ndarray: (format, {part: tensor})."""
    W = _native(np.asarray(W))
    flat = np.ascontiguousarray(W).reshape(-1)
    m, n = _rows_columns(W.shape)
    occupied = _has_bits(flat)
    if flat.dtype.itemsize * np.count_nonzero(occupied) >= flat.nbytes:
        return "dense", {"values": W}
    position = np.flatnonzero(occupied)
    return _smallest(m, n, position, flat[position], dense=W)


def encode_sparse(A):
    """The smallest encoding of a CSR array: (format, {part: tensor}); pattern, order and values come back."""
    m, n = A.shape
    data = _native(A.data[: A.indptr[-1]])
    indices = A.indices[: A.indptr[-1]].astype(np.int64, copy=False)
    lengths = np.diff(A.indptr)
    if not _strictly_sorted(A.indptr, indices):
        return "csr", {
            "lengths": _narrow(lengths),
            "indices": indices.astype(_unsigned(n - 1)),
            "values": data,
        }
    dense = None
    if m * n <= 4 * data.size and _has_bits(data).all():  # else the dense form is larger, or loses stored zeros
        dense = np.zeros((m, n), data.dtype)
        dense[np.repeat(np.arange(m), lengths), indices] = data
    if m * n > 2**62:
        position = None  # positions would overflow; row and column forms remain
        return _smallest_of_rows(m, n, lengths, indices, data)
    position = np.repeat(np.arange(m, dtype=np.int64), lengths) * n + indices
    return _smallest(m, n, position, data, dense)


def decode_dense(format, parts, shape, dtype):
    """The ndarray that `encode_dense` was given. ValueError where the parts contradict each other."""
    values = _typed(parts["values"], dtype)
    size = math.prod(shape)
    if format == "dense":
        if values.size != size:
            raise ValueError(f"{values.size} values for shape {shape}")
        return values.reshape(shape)
    m, n = _rows_columns(shape)
    flat = np.zeros(size, values.dtype)
    if format in ("bitmask", "nm"):
        flat[_positions(format, parts, n, size, values.size)] = values
    else:
        lengths, indices = _row_form(format, parts, m, n, values.size)
        flat[np.repeat(np.arange(m, dtype=np.int64), lengths) * n + indices] = values
    return flat.reshape(shape)


def decode_sparse(format, parts, shape, dtype, index_dtype):
    """The CSR array that `encode_sparse` was given. ValueError where the parts contradict each other."""
    m, n = shape
    values = _typed(parts["values"], dtype)
    if format == "dense":
        if values.size != m * n:
            raise ValueError(f"{values.size} values for shape {shape}")
        flat = values.reshape(-1)
        position = np.flatnonzero(_has_bits(flat))
        lengths, indices, values = np.bincount(position // max(n, 1), minlength=m), position % max(n, 1), flat[position]
    elif format in ("bitmask", "nm"):
        position = _positions(format, parts, n, m * n, values.size)
        lengths, indices = np.bincount(position // max(n, 1), minlength=m), position % max(n, 1)
    else:
        lengths, indices = _row_form(format, parts, m, n, values.size)
    if index_dtype not in ("int32", "int64") or max(n, values.size) > np.iinfo(index_dtype).max:
        raise ValueError(f"index type {index_dtype!r} does not hold shape {shape} with {values.size} entries")
    indptr = np.zeros(m + 1, index_dtype)
    np.cumsum(lengths, out=indptr[1:])
    return csr(shape, values, indices.astype(index_dtype), indptr)


def csr(shape, data, indices, indptr, made=sp.csr_array):
    """A compressed container on exactly these arrays: constructors may narrow indices and refuse 16-bit values."""
    A = made(shape)
    A.data, A.indices, A.indptr = data, indices, indptr
    return A


def _smallest(m, n, position, values, dense):
    """Compare the formulas, then build the winner."""
    lengths = np.bincount(position // max(n, 1), minlength=m)
    indices = position % max(n, 1)
    format, parts = _smallest_of_rows(m, n, lengths, indices, values)
    if (m * n + 7) // 8 + values.nbytes < sum(part.nbytes for part in parts.values()):
        format, parts = "bitmask", {"mask": _pack(position, m * n), "values": values}
    pattern = _group_pattern(position, m, n)
    if pattern is not None:
        places = (position % pattern[1]).astype(np.uint8)[:, None]
        places = np.packbits(np.unpackbits(places, axis=1, count=_bits(pattern[1]), bitorder="little"),
                             bitorder="little")
        if values.nbytes + places.nbytes + 2 < sum(part.nbytes for part in parts.values()):
            format, parts = "nm", {"pattern": np.array(pattern, np.uint8), "places": places, "values": values}
    if dense is not None and dense.nbytes <= sum(part.nbytes for part in parts.values()):
        return "dense", {"values": dense}
    return format, parts


def _smallest_of_rows(m, n, lengths, indices, values):
    counts = _narrow(lengths)
    gaps = np.diff(indices, prepend=0)
    first = (np.cumsum(lengths) - lengths)[lengths > 0]
    gaps[first] = indices[first]
    narrow = _narrow(gaps)
    if narrow.itemsize < np.dtype(_unsigned(n - 1)).itemsize:
        return "gap", {"lengths": counts, "gaps": narrow, "values": values}
    return "csr", {"lengths": counts, "indices": indices.astype(_unsigned(n - 1)), "values": values}


def _row_form(format, parts, m, n, nnz):
    lengths = _counted(parts["lengths"])
    if lengths.size != m or lengths.sum(dtype=np.float64) != nnz:
        raise ValueError(f"{lengths.size} row lengths adding up to {lengths.sum(dtype=np.float64):.0f} "
                         f"for {m} rows and {nnz} values")
    lengths = lengths.astype(np.int64)
    if format == "csr":
        indices = _counted(parts["indices"])
    else:
        indices = np.cumsum(_counted(parts["gaps"]), dtype=np.int64)
        before = np.concatenate([[0], indices])[np.cumsum(lengths) - lengths]
        if indices.size == nnz:
            indices -= np.repeat(before, lengths)
    if indices.size != nnz:
        raise ValueError(f"{indices.size} columns for {nnz} values")
    if nnz and (int(indices.max()) >= n or indices.min() < 0):
        raise ValueError(f"a column outside 0..{n - 1}")
    return lengths, indices.astype(np.int64)


def _group_pattern(position, m, n):
    """(keep, group) of the smallest group of columns that holds `keep` of the entries at these ascending flat positions
    wherever it lies; None where there is none."""
    for group in _GROUPS:
        keep, rest = divmod(position.size * group, max(1, m * n))
        if n % group == 0 and not rest and 0 < keep < group and np.array_equal(
                position // group, np.repeat(np.arange(m * n // group), keep)):
            return keep, group
    return None


def _bits(group):
    return group.bit_length() - 1


def _positions(format, parts, n, size, nnz):
    """Flat positions of the entries, ascending."""
    if format == "bitmask":
        return _mask_positions(parts["mask"], size, nnz)
    pattern, places = parts["pattern"].reshape(-1), parts["places"].reshape(-1)
    keep, group = (int(v) for v in pattern) if pattern.size == 2 else (0, 0)
    if group not in _GROUPS or not 0 < keep < group or n % group or nnz * group != keep * size:
        raise ValueError(f"{nnz} values in a pattern {pattern.tolist()} of {size} entries")
    bits = _bits(group)
    if places.dtype != np.uint8 or places.size != (nnz * bits + 7) // 8:
        raise ValueError(f"places of {places.nbytes} bytes for {nnz} values of {bits} bits")
    place = np.packbits(np.unpackbits(places, count=nnz * bits, bitorder="little").reshape(nnz, bits), axis=1,
                        bitorder="little")[:, 0]
    position = np.repeat(np.arange(size // group, dtype=np.int64), keep) * group + place
    if not (np.diff(position) > 0).all():
        raise ValueError("places that are not in order within their group")
    return position


def _mask_positions(mask, size, nnz):
    mask = mask.reshape(-1)
    if mask.dtype != np.uint8 or mask.size != (size + 7) // 8:
        raise ValueError(f"a mask of {mask.nbytes} bytes for {size} entries")
    position = np.flatnonzero(np.unpackbits(mask, count=size, bitorder="little"))
    if position.size != nnz:
        raise ValueError(f"a mask with {position.size} entries for {nnz} values")
    return position


def _pack(position, size):
    bits = np.zeros(size, bool)
    bits[position] = True
    return np.packbits(bits, bitorder="little")


def _has_bits(flat):
    """True where any bit of the value is set: -0.0 and NaN are not zero here."""
    if not flat.size:
        return np.zeros(0, bool)
    words = flat.view(f"u{min(flat.dtype.itemsize, 8)}")
    return words != 0 if words.size == flat.size else (words.reshape(flat.size, -1) != 0).any(axis=1)


def _strictly_sorted(indptr, indices):
    rising = np.diff(indices) > 0
    boundary = indptr[1:-1]
    rising[boundary[(boundary > 0) & (boundary < indices.size)] - 1] = True
    return bool(rising.all())


def _rows_columns(shape):
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))


def _unsigned(largest):
    return np.min_scalar_type(max(int(largest), 0))


def _narrow(array):
    return array.astype(_unsigned(array.max() if array.size else 0))


def _counted(array):
    if array.dtype.kind != "u":
        raise ValueError(f"counts of type {array.dtype}")
    return array.reshape(-1)


def _native(array):
    if array.dtype.name != "bfloat16":
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.name not in _STORED and array.dtype.name != "complex128":
        raise TypeError(f"values of type {array.dtype} do not fit in a model file")
    return array


def _typed(values, dtype):
    """complex128, which the container lacks, is stored as pairs of float64."""
    expected = "float64" if dtype == "complex128" else dtype
    if values.dtype.name != expected:
        raise ValueError(f"values of type {values.dtype} where the header says {dtype}")
    return values.reshape(-1).view(named_dtype(dtype))
