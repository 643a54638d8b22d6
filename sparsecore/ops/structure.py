"""Structure: validation, transposition, conversion, slicing, stacking.

Every result is canonical (rows sorted, duplicates summed in their stored order), of the container family of the input,
and shares no memory with it.  Values are moved as bits, so every NumPy type is at home here; where duplicates of a type
without kernels are to be summed, SciPy does it.
"""

import re

import numpy as np
import scipy.sparse as sp

from .. import _args, _core, _threads
from . import compact, large

__all__ = [
    "from_coo", "from_dense", "hstack", "sum_duplicates", "take_cols", "take_rows", "tocsc", "tocsr", "todense",
    "transpose", "validate", "vstack",
]

_MAX32 = np.iinfo(np.int32).max
_BITS = {2: np.float16, 4: np.float32, 8: np.float64, 16: np.complex128}


def index_type(*sizes):
    """int32 where every size fits, else int64."""
    return np.int32 if max(sizes, default=0) <= _MAX32 else np.int64


def bits(data):
    """Values as a type that kernels move, by size; None where no kernel moves that size."""
    return data if _args.has_kernel(data.dtype) else data.view(_BITS[data.itemsize]) if data.itemsize in _BITS else None


def checked_bits(R):
    """Anything a kernel accepts in the place of values that it does not read."""
    data = bits(R.data)
    return np.empty(R.data.shape[0], np.float16) if data is None else data


def is_canonical(R, threads=None):
    """Checks a view completely; True where the columns of every row rise strictly."""
    return _core.canonical(R.shape, R.indptr, R.indices, checked_bits(R), _work(threads, R))


def checked(R, threads=None):
    """The view itself, checked completely: for readers that trust their indices."""
    _core.validate(R.shape, R.indptr, R.indices, checked_bits(R), _work(threads, R))
    return R


def _work(threads, R):
    return _threads.resolve(threads, R.indices.shape[0] + R.shape[0])


def narrow(R, threads=None, like=None):
    """The view in the index type of its size (or `like`): 32-bit wherever that holds it."""
    want = index_type(*R.shape, R.indices.shape[0]) if like is None else like
    if R.indptr.dtype == R.indices.dtype == want:
        return R
    if want == np.int64:
        return R._replace(indptr=R.indptr.astype(np.int64), indices=R.indices.astype(np.int64))
    is_canonical(R, threads)        # an index beyond 32 bits must not wrap into one that fits
    indptr, indices = np.empty(R.indptr.shape[0], np.int32), np.empty(R.indices.shape[0], np.int32)
    if R.indices.dtype == np.int32:
        indices[:] = R.indices
    _core.narrow(R.shape, R.indptr, R.indices, checked_bits(R), indptr, indices, _work(threads, R))
    return R._replace(indptr=indptr, indices=indices)


def summed(R, threads=None):
    """Fresh arrays of a sound view made canonical: rows sorted, equal columns summed in their order.  In place."""
    data = bits(R.data)
    if data is None or not _args.has_kernel(R.data.dtype):
        R = narrow(R, threads, np.int64 if R.indptr.dtype != R.indices.dtype else R.indptr.dtype.type)
        B = _args.wrap(sp.csr_array, R.shape, R.indptr, R.indices, R.data, canonical=False)
        B.sum_duplicates()
        return R._replace(indptr=B.indptr, indices=B.indices, data=B.data)
    t = _work(threads, R)
    _core.sort_rows(R.shape, R.indptr, R.indices, data, t)
    return merged(R, threads)


def merged(R, threads=None):
    """The same for rows that are sorted already; mostly there is nothing to sum, which one read shows."""
    if is_canonical(R, threads):
        return R
    if not _args.has_kernel(R.data.dtype):
        return summed(R, threads)
    nnz = _core.sum_duplicates(R.shape, R.indptr, R.indices, R.data, _work(threads, R))
    return R._replace(indices=cut(R.indices, nnz), data=cut(R.data, nnz))


def cut(a, n):
    """The first n entries of a fresh array; the rest of its memory goes back."""
    if n < a.shape[0]:
        a.resize(n, refcheck=False)
    return a


def canonical(R, threads=None):
    """A canonical view: R itself where it is, else sorted and summed copies."""
    if is_canonical(R, threads):
        return R
    return summed(R._replace(indptr=R.indptr.copy(), indices=R.indices.copy(), data=R.data.copy()), threads)


def flipped(R, threads=None, merge=True):
    """The compressed view of the transpose, in fresh arrays, canonical; without `merge` equal columns stay."""
    R = narrow(R, threads)
    n, index = R.indices.shape[0], R.indices.dtype
    data = bits(R.data)
    numbers = data is None      # values of an odd size: entry numbers travel in their place
    if numbers:
        data = np.arange(n, dtype=np.int64).view(np.float64)
    indptr, indices = large.empty(R.shape[1] + 1, index), large.empty(n, index)
    out = large.empty(n, np.int64 if numbers else R.data.dtype)
    sound = _core.transpose(R.shape, R.indptr, R.indices, data, indptr, indices, bits(out), _work(threads, R))
    out = R.data[out] if numbers else out
    T = _args.Rows(R.shape[::-1], indptr, indices, out, not R.transposed)
    return T if sound or not merge else merged(T, threads)


def copied(R, threads=None):
    """The same compressed view in fresh arrays, canonical."""
    sound = is_canonical(R, threads)
    R = narrow(R, threads)
    R = R._replace(indptr=R.indptr.copy(), indices=R.indices.copy(), data=R.data.copy())
    return R if sound else summed(R, threads)


def as_csr(A, name="A", threads=None):
    """A as a canonical CSR: on its own buffers where it is one, never changed."""
    R = _view(A, name)
    return wrapped(A, narrow(flipped(R, threads) if R.transposed else canonical(R, threads), threads))


def wrapped(like, R):
    """The scipy.sparse matrix of a canonical compressed view, in the family of `like`."""
    shape = R.shape[::-1] if R.transposed else R.shape
    return _args.wrap(_args.container(like, "csc" if R.transposed else "csr"), shape, R.indptr, R.indices, R.data)


def _view(A, name="A"):
    """The compressed view of any sparse matrix; coordinates are converted here, other formats by SciPy."""
    if sp.issparse(A) and A.format == "coo" and A.ndim == 2:
        return _coordinates(A.data, A.coords[0], A.coords[1], A.shape, None)
    return _args.rows(A, name)


def validate(A, *, threads=None):
    """Full structural check of a CSR or CSC matrix.

    Raises ValueError naming the first offending row (column of a CSC) and entry: indptr that falls or leaves 0..nnz, an
    index outside the matrix; TypeError where A is not sparse.  O(nnz), one read of indptr and indices.
    """
    R = _args.rows(A)
    try:
        checked(R, threads)
    except ValueError as error:
        line = "column" if R.transposed else "row"
        raise ValueError(re.sub(r"row (\d+); of a CSC, column \1", rf"{line} \1", str(error))) from None


def transpose(A, *, threads=None):
    """A.T in fresh arrays and in the format of A: a CSR gives a CSR (A.T itself is a CSC on A's buffers).

    Parameters
    ----------
    A : scipy.sparse array or matrix of shape (m, n), any type of values
        Unsorted and duplicate entries are sorted and summed.
    threads : int, optional

    Returns
    -------
    CSR (CSC where A is one) of shape (n, m), canonical.

    Raises
    ------
    ValueError, TypeError
        A is malformed, or no sparse matrix.

    Notes
    -----
    Entries are counted and placed: nnz + m + n steps (Gustavson, ACM Trans. Math. Softw. 4, 1978).
    """
    T = flipped(_view(A), threads)
    return wrapped(A, T._replace(transposed=not T.transposed))


def tocsr(A, *, threads=None):
    """A of shape (m, n) as a canonical CSR in fresh arrays, of A's type; A in any sparse format.

    Raises ValueError where A is malformed and TypeError where it is not sparse.  Work: nnz + m + n, and the sorting of
    rows that are not sorted.
    """
    R = _view(A)
    return wrapped(A, flipped(R, threads) if R.transposed else copied(R, threads))


def tocsc(A, *, threads=None):
    """A of shape (m, n) as a canonical CSC in fresh arrays, of A's type; A in any sparse format.

    Raises ValueError where A is malformed and TypeError where it is not sparse.  Work: nnz + m + n, and the sorting of
    rows that are not sorted.
    """
    R = _view(A)
    return wrapped(A, copied(R, threads) if R.transposed else flipped(R, threads))


def sum_duplicates(A, *, threads=None):
    """A new matrix in the format of A, its rows sorted and its duplicates summed in their stored order.

    Raises ValueError where A is malformed and TypeError where it is not sparse.
    """
    return wrapped(A, copied(_view(A), threads))


def from_coo(entries, shape=None, *, threads=None):
    """CSR of coordinates.

    Parameters
    ----------
    entries : (data, (row, col)), each of length nnz
        Coordinates are integers within the shape.  Duplicates are summed in the order of the input.
    shape : (m, n), optional
        Default: the smallest that holds the coordinates.
    threads : int, optional

    Returns
    -------
    csr_array of shape (m, n), canonical, of data's type.

    Raises
    ------
    ValueError
        Lengths that differ, a coordinate outside the shape.
    TypeError
        Coordinates that are no integers, data that are no numbers.

    Notes
    -----
    Entries go to buckets of rows and within them to their places: nnz + m steps and the sorting of rows.
    """
    try:
        data, (row, col) = entries
    except (TypeError, ValueError):
        raise TypeError("entries must be (data, (row, col))") from None
    return wrapped(None, _coordinates(np.asarray(data), np.asarray(row), np.asarray(col), shape, threads))


def _coordinates(data, row, col, shape, threads):
    for a, name in ((data, "data"), (row, "row"), (col, "col")):
        if a.ndim != 1:
            raise ValueError(f"{name} must have 1 dimension; it has {a.ndim}")
    if not data.shape == row.shape == col.shape:
        raise ValueError(f"data has {data.shape[0]} entries, row has {row.shape[0]} and col {col.shape[0]}")
    row, col = _integers(row, "row"), _integers(col, "col")
    if shape is None:
        if not len(row):
            raise ValueError("an empty matrix needs a shape")
        shape = (int(row.max()) + 1, int(col.max()) + 1)
    m, n = checked_shape(shape)
    if data.dtype.kind not in "biufc" and not _args.has_kernel(data.dtype):
        raise TypeError(f"data must hold numbers, not {data.dtype}")
    data = _args.native(data)
    if row.dtype != col.dtype:
        row, col = row.astype(np.int64, copy=False), col.astype(np.int64, copy=False)
    if index_type(m, n, len(row)) == np.int64:
        row, col = row.astype(np.int64, copy=False), col.astype(np.int64, copy=False)
    if n > 1 << 40:
        # Keys hold a column and some bits of a row: columns this wide are numbered first.
        within(row, col, (m, n))
        wide, col = np.unique(col, return_inverse=True)
        R = _coordinates(data, row, col, (m, max(1, len(wide))), threads)
        return R._replace(shape=(m, n), indices=wide[R.indices] if len(wide) else R.indices.astype(np.int64),
                          indptr=R.indptr.astype(np.int64))
    moved = bits(data)
    numbers = moved is None
    if numbers:
        moved = np.arange(len(row), dtype=np.int64).view(np.float64)
    index = index_type(m, n, len(row))
    indptr, indices = large.empty(m + 1, index), large.empty(len(row), index)
    out = large.empty(len(row), np.int64 if numbers else data.dtype)
    t = _threads.resolve(threads, 4 * len(row) + m)
    if not _core.from_coo((m, n), row, col, moved, indptr, indices, bits(out), t):
        within(row, col, (m, n))
    out = data[out] if numbers else out
    return merged(_args.Rows((m, n), indptr, indices, out, False), threads)


def _integers(a, name):
    """Coordinates as native int32 or int64."""
    if a.size == 0 and a.dtype.kind == "f":
        return np.zeros(0, np.int32)        # an empty list
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {a.dtype}")
    if a.dtype == np.uint64 and a.size and a.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} holds {a.max()}, beyond int64")
    wide = a.dtype.itemsize == 8 or a.dtype == np.uint32
    return _args.native(a.astype(np.int64 if wide else np.int32, copy=False))


def within(row, col, shape):
    """Raises for the first coordinate outside the shape."""
    for a, size, name, what in ((row, shape[0], "row", "rows"), (col, shape[1], "col", "columns")):
        bad = np.flatnonzero((a < 0) | (a >= size))
        if bad.size:
            raise ValueError(f"{name} holds {a[bad[0]]} at entry {bad[0]}; the shape has {size} {what}")


def checked_shape(shape):
    try:
        m, n = shape
    except (TypeError, ValueError):
        raise TypeError(f"shape must be two integers, not {shape!r}") from None
    top = np.iinfo(np.int64).max - 1
    return (_args.count(m, "the number of rows", 0, top, "int64"),
            _args.count(n, "the number of columns", 0, top, "int64"))


def from_dense(W, *, threads=None):
    """CSR of the entries of W that are not zero (NaN is one of them); W of shape (m, n), any strides, any type.

    Returns a csr_array of W's type, canonical.  Raises ValueError where W has not 2 dimensions and TypeError where it
    holds no numbers.  Work: m n.
    """
    W = np.asarray(W)
    if W.ndim != 2:
        raise ValueError(f"W must have 2 dimensions; it has {W.ndim}")
    if not _args.has_kernel(W.dtype):
        if W.dtype.kind not in "biufc":
            raise TypeError(f"W must hold numbers, not {W.dtype}")
        return sp.csr_array(_args.native(W))
    if abs(W.strides[0]) < abs(W.strides[1]) and min(W.shape) > 1:
        # Column-major: read in its own order, then turn what is left.
        return wrapped(None, flipped(_dense_rows(W.T, threads)._replace(transposed=True), threads))
    return wrapped(None, _dense_rows(W, threads))


def _dense_rows(W, threads):
    if not _args.in_place(W):
        W = _args.native(W)
    m, n = W.shape
    t = _threads.resolve(threads, m * n)
    if W.dtype.name in ("float16", "bfloat16", "float32", "float64") and m * n > 1 << 16:
        A = compact.to_csr(W, _core.NONZERO, compact.room(W, 1), threads=t)[2]
        if A is not None:
            return _args.Rows((m, n), A.indptr, A.indices, A.data, False)
    counts = np.empty(m + 1, np.int64)
    _core.from_dense_count(W, counts, t)
    nnz = int(counts[-1])
    index = index_type(m, n, nnz)
    indptr = counts.astype(index, copy=False)
    indices, data = np.empty(nnz, index), np.empty(nnz, W.dtype)
    _core.from_dense(W, indptr, indices, data, t)
    return _args.Rows((m, n), indptr, indices, data, False)


def todense(A, *, order="C", out=None, threads=None):
    """A as an ndarray of shape (m, n).

    Parameters
    ----------
    A : sparse matrix of any format and type; duplicates add up in their stored order
    order : 'C' or 'F', of a new array
    out : ndarray, optional
        Where the result goes: of A's shape and type, with any strides, writeable, not overlapping A.

    Raises
    ------
    ValueError, TypeError
        A malformed matrix, another order, an `out` that does not fit.
    """
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    R = _view(A)
    shape = R.shape[::-1] if R.transposed else R.shape
    if out is not None:
        _args.check_out(out, shape, R.data.dtype, R[1:4])
    if not _args.has_kernel(R.data.dtype):
        D = wrapped(None, canonical(R, threads)).toarray(order=order)
    else:
        usable = out is not None and _args.in_place(out)
        D = out if usable else np.zeros(shape, R.data.dtype, order=order)
        if usable:
            D[...] = 0
        _core.to_dense(R.shape, R.indptr, R.indices, R.data, D.T if R.transposed else D,
                       _threads.resolve(threads, D.size))
    if out is None or D is out:
        return D
    out[...] = D
    return out


def take_rows(A, rows, *, threads=None):
    """A[rows] for a list of row numbers in any order, repeated or not, or a mask of len(rows) == A.shape[0] booleans.

    Negative numbers count from the end.  Returns the format, family and type of A, canonical.  Raises ValueError for a
    number outside A or a malformed matrix, TypeError for other types.  Work: the entries taken; across the storage
    (rows of a CSC) all entries of A and the sorting of the numbers.
    """
    return _take(A, rows, 0, threads)


def take_cols(A, cols, *, threads=None):
    """A[:, cols]: as `take_rows`, for columns."""
    return _take(A, cols, 1, threads)


def _take(A, which, axis, threads):
    R = _view(A)
    which = _numbers(which, A.shape[axis], ("rows", "columns")[axis])
    minor = (axis == 0) == R.transposed
    T = (_take_minor if minor else _take_major)(narrow(R, threads), which, threads)
    return wrapped(A, T)


def _numbers(which, size, what):
    """Row or column numbers as int64 within 0..size."""
    which = np.asarray(which)
    if which.ndim != 1:
        raise ValueError(f"{what} must be a list of 1 dimension; it has {which.ndim}")
    if which.dtype == bool:
        if which.shape[0] != size:
            raise ValueError(f"the mask has length {which.shape[0]}; A has {size} {what}")
        return np.flatnonzero(which)
    which = _integers(which, what).astype(np.int64, copy=False)
    bad = np.flatnonzero((which < -size) | (which >= size))
    if bad.size:
        raise ValueError(f"{what} holds {which[bad[0]]} at place {bad[0]}; A has {size} {what}")
    return np.ascontiguousarray(np.where(which < 0, which + size, which))


def _movable(R, n):
    """Values to move, an array for n of them, and what becomes of it."""
    data = bits(R.data)
    if data is not None:
        return data, large.empty(n, R.data.dtype), lambda out: out
    numbers = np.arange(R.data.shape[0], dtype=np.int64).view(np.float64)
    return numbers, large.empty(n, np.int64), lambda out: R.data[out]


def _take_major(R, which, threads):
    lengths = R.indptr[which + 1].astype(np.int64) - R.indptr[which]
    if np.any(R.indptr[1:] < R.indptr[:-1]):
        is_canonical(R, threads)
    indptr = np.zeros(len(which) + 1, np.int64)
    total = sum_exactly(lengths)
    np.cumsum(lengths, out=indptr[1:])
    index = index_type(len(which), R.shape[1], total)
    R = narrow(R, threads, index)
    indices, (data, out, back) = large.empty(total, index), _movable(R, total)
    _core.append_rows(R.shape, R.indptr, R.indices, data, which, 0, indptr[:-1].copy(), indices, bits(out),
                      _threads.resolve(threads, total + len(which)))
    return _settled(R._replace(shape=(len(which), R.shape[1]), indptr=indptr.astype(index, copy=False),
                               indices=indices, data=back(out)), threads)


def sum_exactly(lengths):
    """The sum of counts, or OverflowError."""
    if lengths.size and float(lengths.sum(dtype=np.float64)) >= 2.0**63:
        raise OverflowError("the result has more than 2**63 entries")
    return int(lengths.sum(dtype=np.int64))


def _take_minor(R, which, threads):
    used = None
    if R.shape[1] > 1 << 24 and R.shape[1] > 4 * R.indices.shape[0]:
        R, used = _few_columns(R, threads)
    places = np.argsort(which, kind="stable").astype(np.int64, copy=False)
    if used is not None:        # numbers among the columns in use; the others give nothing
        at = np.searchsorted(used, which[places])
        kept = at < len(used)
        kept[kept] = used[at[kept]] == which[places[kept]]
        places, counted = places[kept], at[kept]
    else:
        counted = which
    first = np.zeros(R.shape[1] + 1, np.int64)
    np.cumsum(np.bincount(counted, minlength=R.shape[1]), out=first[1:])
    counts = np.empty(R.shape[0] + 1, np.int64)
    t = _work(threads, R)
    _core.take_cols_count(R.shape, R.indptr, R.indices, checked_bits(R), first, counts, t)
    total = int(counts[-1])
    index = index_type(R.shape[0], len(which), total)
    R = narrow(R, threads, index)
    indptr, (data, out, back) = counts.astype(index, copy=False), _movable(R, total)
    indices = large.empty(total, index)
    _core.take_cols(R.shape, R.indptr, R.indices, data, first, places, indptr, indices, bits(out), t)
    return _settled(R._replace(shape=(R.shape[0], len(which)), indptr=indptr, indices=indices, data=back(out)), threads)


def _few_columns(R, threads):
    """The view without its empty columns, and the numbers of the others: no array as long as a very wide row."""
    is_canonical(R, threads)
    used, numbers = np.unique(R.indices, return_inverse=True)
    return R._replace(shape=(R.shape[0], len(used)), indices=numbers.astype(R.indices.dtype)), used


def _settled(R, threads):
    """Fresh arrays made canonical if they are not."""
    return R if is_canonical(R, threads) else summed(R, threads)


def vstack(blocks, *, threads=None):
    """Matrices one below the other: shapes (m_i, n) give (sum m_i, n).  CSC where all are CSC, else CSR.

    Values promote as NumPy does.  An array where one of them is, else a matrix; canonical.  Raises ValueError where the
    columns differ, the list is empty or a block is malformed, TypeError where one is not sparse.  Work: all entries.
    """
    return _stack(blocks, 0, threads)


def hstack(blocks, *, threads=None):
    """Matrices side by side: shapes (m, n_i) give (m, sum n_i).  As `vstack`, for columns; CSC where all are CSC, else
    CSR."""
    return _stack(blocks, 1, threads)


def _stack(blocks, axis, threads):
    blocks = list(blocks)
    if not blocks:
        raise ValueError("there is nothing to stack")
    name = ("vstack", "hstack")[axis]
    views = [_view(A, f"block {i}") for i, A in enumerate(blocks)]
    other = [A.shape[1 - axis] for A in blocks]
    for i, size in enumerate(other):
        if size != other[0]:
            raise ValueError(f"{name}: block {i} has {size} {('columns', 'rows')[axis]}; block 0 has {other[0]}")
    csc = all(R.transposed for R in views)
    dtype = _args.result_type(*(R.data.dtype for R in views))
    # Duplicates are summed in the type of the result.
    views = [R if R.transposed == csc else flipped(R._replace(data=_args.real_or_complex(R.data, dtype)), threads)
             for R in views]
    if sum(A.shape[axis] for A in blocks) > np.iinfo(np.int64).max - 1:
        raise OverflowError(f"{name}: the result has {sum(A.shape[axis] for A in blocks)} "
                            f"{('rows', 'columns')[axis]}, beyond int64")
    stacked = _concatenate if (axis == 0) != csc else _interleave
    T = stacked(views, dtype, threads)
    like = blocks[0] if all(isinstance(A, sp.spmatrix) for A in blocks) else None
    return wrapped(like, _settled(T, threads))


def _concatenate(views, dtype, threads):
    """Rows of the views one after the other."""
    for R in views:
        is_canonical(R, threads)
    nnz = sum(R.indices.shape[0] for R in views)
    rows = sum(R.shape[0] for R in views)
    index = index_type(rows, views[0].shape[1], nnz)
    indptr, indices, data = np.zeros(rows + 1, index), large.empty(nnz, index), large.empty(nnz, dtype)
    r = p = 0
    for R in views:
        m, n = R.shape[0], R.indices.shape[0]
        np.add(R.indptr[1:], p, out=indptr[r + 1:r + m + 1], casting="unsafe")
        indices[p:p + n] = R.indices
        data[p:p + n] = R.data
        r, p = r + m, p + n
    return views[0]._replace(shape=(rows, views[0].shape[1]), indptr=indptr, indices=indices, data=data)


def _interleave(views, dtype, threads):
    """Row r of every view, side by side."""
    m, columns = views[0].shape[0], sum(R.shape[1] for R in views)
    nnz = sum(R.indices.shape[0] for R in views)
    index = index_type(m, columns, nnz)
    views = [narrow(R._replace(data=R.data.astype(dtype, copy=False)), threads, index) for R in views]
    indptr = sum(R.indptr.astype(np.int64) for R in views)
    place, shift = indptr[:-1].copy(), 0
    moved = [bits(R.data) for R in views]
    numbers = moved[0] is None
    if numbers:
        ends = np.cumsum([R.data.shape[0] for R in views])
        moved = [np.arange(e - R.data.shape[0], e, dtype=np.int64).view(np.float64)
                 for e, R in zip(ends, views, strict=True)]
    indices, out = large.empty(nnz, index), large.empty(nnz, np.int64 if numbers else dtype)
    for R, data in zip(views, moved, strict=True):
        _core.append_rows(R.shape, R.indptr, R.indices, data, None, shift, place, indices, bits(out), _work(threads, R))
        shift += R.shape[1]
    out = np.concatenate([R.data for R in views])[out] if numbers else out
    return views[0]._replace(shape=(m, columns), indptr=indptr.astype(index, copy=False), indices=indices, data=out)
