"""Exact selection by magnitude: the k largest, everything from a threshold on, N:M and block patterns.

|w| is compared through the bits of w without the sign, so denormals count and -0.0 equals 0.0; complex values are
compared by `numpy.abs`.  Ties go to the lowest index in row-major order, NaN is a ValueError that names its place, and
the result is the same on any thread count and instruction set.  The method: a fixed sample brackets the k-th magnitude,
one pass counts what is above and keeps the few values inside the bracket, the answer is picked among those (after Floyd
& Rivest, "Expected time bounds for selection", CACM 18(3), 1975).
"""

import numpy as np
import scipy.sparse as sp

from . import _args, _core, _threads
from .ops import compact, large, structure

__all__ = ["apply_mask", "block_mask", "kth_magnitude", "nm_mask", "threshold", "topk", "topk_mask"]

TYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
LONG = 512 << 10        # bytes of a slice that one thread searches
PADDED = 1 << 20        # elements of rows of a sparse matrix that are compared at once
WIDE_GROUP = 512        # elements: of larger groups, 64 rows of them would not fit a thread's scratch
INF_BITS = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF0000000000000}


# ---- arguments -----------------------------------------------------------------------------------------------------


def _comparable(a, name):
    """An array whose magnitudes have keys: floats and complex as they are, integers as exact floats."""
    a = np.asarray(a)
    if a.dtype.kind in "biu":
        wide = a.dtype.itemsize == 8 and a.size
        if wide and max(int(a.max()), -int(a.min())) > 2**53:
            raise ValueError(f"{name} holds integers beyond 2**53, which float64 does not tell apart")
        a = a.astype(np.float32 if a.dtype.itemsize <= 2 else np.float64)
    if a.dtype.name not in TYPES:
        raise TypeError(f"{name} must hold real, complex or integer numbers of at most 64 bits; it holds {a.dtype}")
    if not (a.flags.aligned and a.dtype.isnative) or any(s % a.itemsize for s in a.strides):
        a = np.ascontiguousarray(a, a.dtype.newbyteorder("="))
        a = a if a.flags.aligned else a.copy()
    return a


def _real(dtype):
    """The type of the magnitudes of a type."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _plane(a):
    """A 2-D view with the same row-major order of elements (a copy only for strided arrays of other dimensions)."""
    if a.ndim == 2:
        return a
    return a.reshape(1, -1) if a.ndim < 2 else a.reshape(-1, a.shape[-1]) if a.size else a.reshape(0, 1)


def _row_major(a):
    """One long row where the memory is that already: the shape does not matter to a mask."""
    return a.reshape(1, -1) if a.flags.c_contiguous else _plane(a)


def _raise_nan(a, name, A=None):
    """The error for the first NaN in row-major order (of a sparse A when a holds its values), if any."""
    flat = a if a.ndim == 2 else a.reshape(1, -1)
    step = max(1, (1 << 20) // max(1, flat.shape[1]))
    for r in range(0, flat.shape[0], step):
        for c in range(0, flat.shape[1], 1 << 20):
            found = np.isnan(np.abs(flat[r : r + step, c : c + (1 << 20)]))
            if found.any():
                i, j = np.argwhere(found)[0]
                place = (r + int(i)) * flat.shape[1] + c + int(j)
                if A is not None:
                    where = (int(np.searchsorted(A.indptr, place, "right")) - 1, int(A.indices[place]))
                else:
                    where = tuple(int(i) for i in np.unravel_index(place, a.shape))
                raise ValueError(f"{name} is NaN at {where if len(where) != 1 else where[0]}: NaN has no rank")


def _raise_changed(name):
    raise ValueError(f"{name} changed while it was being read")


def _layers(W, name):
    """The arguments of a call on one array or on a list of them: names, sparse matrices or None, arrays of one type."""
    single = not isinstance(W, (list, tuple))
    layers = [W] if single else list(W)
    if not single and not all(sp.issparse(w) or isinstance(w, np.ndarray) for w in layers):
        if not all(hasattr(w, "__array__") or sp.issparse(w) for w in layers):
            layers, single = [np.asarray(W)], True     # a nested list of numbers is one array
    names = [name] if single else [f"{name}[{i}]" for i in range(len(layers))]
    sparse = [structure.as_csr(w, n) if sp.issparse(w) else None for w, n in zip(layers, names, strict=True)]
    values = [_comparable(w if s is None else s.data, n) for w, s, n in zip(layers, sparse, names, strict=True)]
    kinds = {v.dtype for v in values}
    if len(kinds) > 1:      # exact: every narrower magnitude is a value of the wider type
        wide = np.dtype(np.float64 if any(_real(d).itemsize == 8 for d in kinds) else np.float32)
        values = [np.abs(v).astype(wide) for v in values]
    return single, layers, names, sparse, values


def _size(layers, sparse, values):
    return sum(v.size if s is None else s.shape[0] * s.shape[1] for s, v in zip(sparse, values, strict=True))


def _kth(values, names, sparse, k, threads):
    """(key, ties): the key of the k-th magnitude among the stored values, and how many of its equals are wanted."""
    planes = [_plane(v) for v in values]
    status, key, above, _ = _core.kth_key([p for p in planes if p.size], k, threads)
    if status == _core.IS_NAN:
        _find_nan(values, names, sparse)
    return key, k - above


def _find_nan(values, names, sparse):
    for v, name, s in zip(values, names, sparse, strict=True):
        _raise_nan(v, name, s)
    _raise_changed(names[0])


def _no_nan(values, names, sparse, threads):
    """NaN is an error even where nothing, or everything, is selected."""
    if any(v.size for v in values):
        _kth(values, names, sparse, 1, threads)


def _axis(axis, ndim):
    if not hasattr(axis, "__index__"):
        raise TypeError(f"axis must be an integer or None, not {type(axis).__name__}")
    at = axis.__index__()
    if not -ndim <= at < ndim:
        raise ValueError(f"axis is {at}; the array has {ndim} dimensions")
    return at % ndim


def _float_of(key, dtype):
    return np.array(key, f"u{dtype.itemsize}").view(dtype)[()]


# ---- outputs -------------------------------------------------------------------------------------------------------


def _select(W, kind, name, **arguments):
    status, count, tied = _core.select(W, kind, **arguments)
    if status == _core.IS_NAN:
        _find_nan([W], [name], [None])
    return count, tied


def _to_csr(W, kind, name, room, **arguments):
    """CSR of what a rule selects from a 2-D W."""
    status, tied, A = compact.to_csr(W, kind, room, **arguments)
    if status == _core.IS_NAN:
        _find_nan([W], [name], [None])
    if A is None:
        _raise_changed(name)
    return A, tied


def _keep_entries(A, keep):
    """CSR of the entries of A where keep, a bool for each stored one."""
    total = np.zeros(A.nnz + 1, A.indptr.dtype)
    np.cumsum(keep, out=total[1:])
    return _args.wrap(_args.container(A, "csr"), A.shape, total[A.indptr], A.indices[keep], A.data[keep])


def _mask_of(v, key, ties, threads):
    """(mask, ties taken) of an array of comparable values."""
    mask = large.empty(v.shape, bool)
    if not v.size:
        return mask, 0
    _, tied = _core.select(_row_major(v), _core.RANKED, key=key, ties=ties, mask=mask, threads=threads)[1:]
    return mask, tied


# ---- the functions -------------------------------------------------------------------------------------------------


def kth_magnitude(W, k, *, threads=None):
    """The k-th largest |w|, exactly.

    Parameters
    ----------
    W : array_like, scipy.sparse array or matrix, or a list of them
        f16, bf16, f32, f64, complex (by modulus) or integers; any shape, order and strides; memory-mapped arrays are
        read once.  A list is taken together, without concatenation.
    k : int
        1 <= k <= the number of elements (those that a sparse matrix does not store are zeros).

    Returns
    -------
    A scalar of the type of |W| (of the widest one of a list).

    Raises
    ------
    ValueError
        k out of range; a NaN, with its place.

    Examples
    --------
    >>> import numpy as np, sparsecore as sc
    >>> float(sc.kth_magnitude(np.array([[1.0, -4.0], [3.0, 2.0]]), 2))
    3.0
    """
    single, layers, names, sparse, values = _layers(W, "W")
    total = _size(layers, sparse, values)
    k = _args.count(k, "k", 1, total, f"W has {total} elements")
    stored = sum(v.size for v in values)
    t = _threads.resolve(threads, stored)
    if k > stored:
        _no_nan(values, names, sparse, t)
        return _real(values[0].dtype).type(0)
    return _float_of(_kth(values, names, sparse, k, t)[0], _real(values[0].dtype))


def topk_mask(S, k, *, axis=None, threads=None):
    """Where the k largest |s| are: exactly k True, ties to the lowest index.

    Parameters
    ----------
    S : array_like, scipy.sparse array or matrix, or a list of them
        As in `kth_magnitude`.  Of a list, k are taken together, ties from the first layers on.
    k : int
        0 <= k <= the number of elements, of a slice with axis.
    axis : int, optional
        k of every slice along this axis: 1 of a matrix means of every row.

    Returns
    -------
    bool ndarray of the shape of S; a bool CSR array for a sparse S; a list of them for a list.

    Raises
    ------
    ValueError
        k or axis out of range; a NaN, with its place.
    """
    single, layers, names, sparse, values = _layers(S, "S")
    if axis is not None:
        if not single:
            raise ValueError(f"axis is {axis}, and S is a list of {len(layers)} arrays: take each for itself")
        return _mask_by_slice(layers[0], sparse[0], values[0], k, axis, threads)
    total = _size(layers, sparse, values)
    k = _args.count(k, "k", 0, total, f"S has {total} elements")
    stored = sum(v.size for v in values)
    t = _threads.resolve(threads, stored)
    if k > stored or (any(s is not None for s in sparse) and k):
        masks = _sparse_masks(sparse, values, names, k, t)
    else:
        masks = _rank(values, names, sparse, k, t)
        masks = [m if s is None else _keep_entries(_pattern(s), m) for m, s in zip(masks, sparse, strict=True)]
    return masks[0] if single else masks


def _rank(values, names, sparse, k, threads):
    """Masks over the stored values of the k largest of all layers."""
    if k == 0:
        _no_nan(values, names, sparse, threads)
        return [np.zeros(v.shape, bool) for v in values]
    masks = [large.empty(v.shape, bool) for v in values]
    filled = [i for i, v in enumerate(values) if v.size]
    if _core.topk_masks([_row_major(values[i]) for i in filled], [masks[i] for i in filled], k,
                        threads) == _core.IS_NAN:
        _find_nan(values, names, sparse)
    return masks


def _pattern(A):
    return _args.wrap(_args.container(A, "csr"), A.shape, A.indptr, A.indices, np.ones(A.nnz, bool))


def _sparse_masks(sparse, values, names, k, threads):
    """Masks where some layers are sparse: what is not stored counts as zero, and ties with stored zeros."""
    nonzero = sum(int(np.count_nonzero(v)) for v in values)
    if k <= nonzero:
        masks = _rank(values, names, sparse, k, threads)
        return [m if s is None else _keep_entries(_pattern(s), m) for m, s in zip(masks, sparse, strict=True)]
    _no_nan(values, names, sparse, threads)
    wanted, masks = k - nonzero, []       # zeros, from the lowest index on
    for v, s in zip(values, sparse, strict=True):
        shape = v.shape if s is None else s.shape
        size = v.size if s is None else shape[0] * shape[1]
        if s is None:
            chosen = np.flatnonzero(v)
        else:
            rows = np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(s.indptr))
            chosen = (rows * shape[1] + s.indices)[v != 0]
        head = np.ones(min(size, wanted + chosen.size), bool)
        head[chosen[chosen < head.size]] = False
        zeros = np.flatnonzero(head)[:wanted]
        wanted -= zeros.size
        if s is None:
            mask = np.zeros(size, bool)
            mask[chosen] = mask[zeros] = True
            masks.append(mask.reshape(shape))
        else:
            places = np.sort(np.concatenate([chosen, zeros]))
            row, column = np.divmod(places, max(1, shape[1]))
            mask = sp.coo_array((np.ones(places.size, bool), (row, column)), shape)
            masks.append(_args.container(s, "csr")(mask))
    return masks


def _mask_by_slice(S, A, v, k, axis, threads):
    if A is not None:
        at = _axis(axis, 2)
        k = _args.count(k, "k", 0, A.shape[at], f"S has {A.shape[at]} {'columns' if at else 'rows'}")
        _no_nan([v], ["S"], [A], _threads.resolve(threads, v.size))
        return _sparse_slice_mask(A, k, at, threads)
    at = _axis(axis, v.ndim)
    k = _args.count(k, "k", 0, v.shape[at], f"S has {v.shape[at]} along axis {at}")
    t = _threads.resolve(threads, v.size)
    moved = np.moveaxis(v, at, -1)
    mask = large.empty(moved.shape, bool)
    if v.size:
        _mask_rows(_plane(moved), k, mask.reshape(-1, moved.shape[-1]), v, t)
    return np.moveaxis(mask, -1, at)


def _mask_rows(plane, k, mask, v, threads):
    """mask = the k largest of every row of a 2-D view of v.  Rows too long for one thread are taken one by one, by
    all threads."""
    if plane.shape[1] * plane.itemsize <= LONG or not k:
        status = _core.select(plane, _core.ROWS, keep=k, mask=mask, threads=threads)[0]
    else:
        for r in range(plane.shape[0]):
            status = _core.topk_masks([plane[r : r + 1]], [mask[r : r + 1]], k, threads)
            if status == _core.IS_NAN:
                break
    if status == _core.IS_NAN:
        _find_nan([v], ["S"], [None])


def _largest_of_rows(A, k, name, threads):
    """Of every row of a canonical CSR, where what is not stored counts as zero: (nonzero, keep, missing), which entries
    are not zero, which of them are among the k largest, and how many zeros, from the first on, join them."""
    v = _comparable(A.data, name)
    t = _threads.resolve(threads, v.size)
    nonzero, length = v != 0, np.diff(A.indptr)
    before = _counted(nonzero)
    found = np.diff(before[A.indptr])
    keep = nonzero & np.repeat(found <= k, length)
    rows = np.flatnonzero(found > k)
    rows = rows[np.argsort(length[rows], kind="stable")]
    sizes, first = length[rows], 0
    while first < rows.size:        # rows of like length, filled up with zeros, are a dense matrix
        least = int(sizes[first])
        last = min(int(np.searchsorted(sizes, 2 * least, "right")), first + max(1, PADDED // (2 * least)))
        column = np.arange(sizes[last - 1])
        place = A.indptr[rows[first:last], None] + column
        inside = column < sizes[first:last, None]
        plane = v.take(place, mode="clip")
        plane[~inside] = 0
        mask = np.empty(plane.shape, bool)
        _mask_rows(plane, k, mask, v, t)
        keep[place[inside]] = mask[inside]
        first = last
    return nonzero, keep, np.maximum(k - found, 0)


def _counted(flags):
    """How many are set before each place, and at the end."""
    total = np.zeros(flags.size + 1, np.int64)
    np.cumsum(flags, out=total[1:])
    return total


def _rank_in_row(A, flags):
    """For each entry of a CSR, how many before it in its row are set."""
    total = _counted(flags)
    return total[:-1] - np.repeat(total[A.indptr[:-1]], np.diff(A.indptr))


def _sparse_slice_mask(A, k, axis, threads):
    """Exactly k of every row or column of a canonical CSR."""
    B = A if axis == 1 else structure.transpose(A, threads=threads)
    _, keep, missing = _largest_of_rows(B, k, "S", threads)
    row = np.repeat(np.arange(B.shape[0]), np.diff(B.indptr))[keep]
    column, rank = B.indices[keep], _rank_in_row(B, keep)[keep]
    # The zeros that join a row are its first: as far as they reach, the j-th of the k is column j.
    indices = np.tile(np.arange(k, dtype=structure.index_type(*B.shape, B.shape[0] * k)), B.shape[0])
    indices[row * k + rank + np.minimum(column - rank, missing[row])] = column
    indptr = np.arange(B.shape[0] + 1, dtype=indices.dtype) * k
    mask = _args.wrap(_args.container(A, "csr"), B.shape, indptr, indices, np.ones(indices.size, bool))
    return mask if axis == 1 else structure.transpose(mask, threads=threads)


def _topk_of_sparse(A, k, axis, threads):
    """The entries of a canonical CSR that are among the k of their row or column, zeros that are stored included."""
    B = A if axis == 1 else structure.transpose(A, threads=threads)
    nonzero, keep, missing = _largest_of_rows(B, k, "W", threads)
    if not nonzero.all():
        keep |= ~nonzero & (B.indices - _rank_in_row(B, nonzero) < np.repeat(missing, np.diff(B.indptr)))
    kept = _keep_entries(B, keep)
    return kept if axis == 1 else structure.transpose(kept, threads=threads)


def topk(W, k, *, axis=None, threads=None):
    """CSR of the k largest |w| of a matrix: no mask, no copy of W.

    W, k, axis and errors as in `topk_mask`, with two dimensions.  A dense W gives exactly k entries (k of every slice
    with axis), zeros among them where fewer than k are nonzero; a sparse W gives at most its stored entries.  Returns
    a csr_array of the type of W (a csr_matrix for a sparse matrix), a list of them for a list.
    """
    single, layers, names, sparse, values = _layers(W, "W")
    for layer, s, name in zip(layers, sparse, names, strict=True):
        if s is None and np.ndim(layer) != 2:
            raise ValueError(f"{name} must have 2 dimensions; it has {np.ndim(layer)}")
    if axis is not None:
        if not single:
            raise ValueError(f"axis is {axis}, and W is a list of {len(layers)} arrays: take each for itself")
        return _topk_by_slice(layers[0], sparse[0], values[0], k, _axis(axis, 2), threads)
    total = _size(layers, sparse, values)
    k = _args.count(k, "k", 0, total, f"W has {total} elements")
    stored = sum(v.size for v in values)
    t = _threads.resolve(threads, stored)
    k = min(k, stored)
    if k == 0:
        _no_nan(values, names, sparse, t)
        ties, key = 0, INF_BITS[_real(values[0].dtype).name] + 1
    else:
        key, ties = _kth(values, names, sparse, k, t)
    results = []
    for layer, s, v, name in zip(layers, sparse, values, names, strict=True):
        if s is not None:
            mask, tied = _mask_of(v, key, ties, t)
            results.append(_keep_entries(s, mask))
        elif v.dtype == np.asarray(layer).dtype and v.dtype.kind != "c":
            room = k if single else _core.select(v, _core.RANKED, key=key, ties=ties, threads=t)[1]
            A, tied = _to_csr(v, _core.RANKED, name, room, key=key, ties=ties, threads=t)
            results.append(A)
        else:       # compared in another type (complex, integers): by a mask
            mask, tied = _mask_of(v, key, ties, t)
            results.append(apply_mask(layer, mask, threads=t))
        ties -= tied
    return results[0] if single else results


def _topk_by_slice(W, A, v, k, axis, threads):
    if A is not None:
        k = _args.count(k, "k", 0, A.shape[axis], f"W has {A.shape[axis]} {'columns' if axis else 'rows'}")
        _no_nan([v], ["W"], [A], _threads.resolve(threads, v.size))
        return _topk_of_sparse(A, k, axis, threads)
    long = v.shape[1] * v.itemsize > LONG
    if axis == 0 or long or v.dtype.kind == "c" or v.dtype != np.asarray(W).dtype:
        return apply_mask(W, topk_mask(W, k, axis=axis, threads=threads), threads=threads)
    k = _args.count(k, "k", 0, v.shape[1], f"W has {v.shape[1]} columns")
    return _to_csr(v, _core.ROWS, "W", k * v.shape[0], keep=k, threads=_threads.resolve(threads, v.size))[0]


def threshold(W, tau, *, threads=None):
    """CSR of |w| >= tau.

    Parameters
    ----------
    W : array_like with 2 dimensions, scipy.sparse array or matrix
        Of a sparse W the stored entries are compared.
    tau : float
        A Python number is rounded to the type of W first, as in `numpy.abs(W) >= tau`; a NumPy scalar of a wider type
        is compared exactly.

    Returns
    -------
    csr_array of the type of W (csr_matrix for a sparse matrix).

    Raises
    ------
    ValueError
        tau is NaN; W has a NaN, with its place; W has not two dimensions.
    """
    if sp.issparse(W):
        A = structure.as_csr(W, "W", threads)
        v = _comparable(A.data, "W")
        if not v.size:
            return _keep_entries(A, np.zeros(0, bool))
        mask = large.empty(v.shape, bool)
        status = _core.select(v.reshape(1, -1), _core.AT_LEAST, key=_key_from(tau, _real(v.dtype)), mask=mask,
                              threads=_threads.resolve(threads, v.size))[0]
        if status == _core.IS_NAN:
            _find_nan([v], ["W"], [A])
        return _keep_entries(A, mask)
    W = np.asarray(W)
    if W.ndim != 2:
        raise ValueError(f"W must have 2 dimensions; it has {W.ndim}")
    v = _comparable(W, "W")
    key, t = _key_from(tau, _real(v.dtype)), _threads.resolve(threads, v.size)
    if v.dtype != W.dtype or v.dtype.kind == "c":
        mask = large.empty(v.shape, bool)
        if v.size:
            _select(v, _core.AT_LEAST, "W", key=key, mask=mask, threads=t)
        return apply_mask(W, mask, threads=t)
    return _to_csr(v, _core.AT_LEAST, "W", compact.room(v, key), key=key, threads=t)[0]


def _key_from(tau, dtype):
    """The smallest key whose magnitude is >= tau."""
    if not np.isscalar(tau) and np.ndim(tau):
        raise TypeError(f"tau must be a number; it has shape {np.shape(tau)}")
    weak = isinstance(tau, (int, float)) and not isinstance(tau, np.generic)
    value = float(tau)
    if np.isnan(value):
        raise ValueError("tau is NaN: nothing is as large or smaller")
    if value <= 0:
        return 0
    with np.errstate(over="ignore"):
        rounded = np.asarray(value).astype(dtype)
    key = int(rounded.view(f"u{dtype.itemsize}"))
    return key if weak or float(rounded) >= value else key + 1


def apply_mask(W, mask, *, threads=None):
    """CSR of W where mask.

    Parameters
    ----------
    W : array_like with 2 dimensions, scipy.sparse array or matrix
        Any type of values; of a dense W zeros are kept where the mask is True.
    mask : array_like or sparse, of the shape of W
        bool, or anything with a meaning as one.

    Returns
    -------
    csr_array of the type of W (csr_matrix for a sparse matrix).
    """
    if not sp.issparse(mask):
        mask = np.asarray(mask)
    shape = W.shape if sp.issparse(W) else np.shape(W)
    if len(shape) != 2:
        raise ValueError(f"W must have 2 dimensions; it has {len(shape)}")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}; W has shape {shape}")
    if sp.issparse(W):
        A = structure.as_csr(W, "W", threads)
        rows = np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(A.indptr))
        if sp.issparse(mask):
            M = structure.as_csr(mask, "mask", threads)
            places = (np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(M.indptr)) * shape[1] + M.indices)
            return _keep_entries(A, np.isin(rows * shape[1] + A.indices, places[M.data.astype(bool)]))
        return _keep_entries(A, mask[rows, A.indices].astype(bool))
    W = np.asarray(W)
    if sp.issparse(mask):
        M = structure.as_csr(mask, "mask", threads)
        M = _keep_entries(M, M.data.astype(bool))
        rows = np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(M.indptr))
        return _args.wrap(sp.csr_array, shape, M.indptr, M.indices, W[rows, M.indices])
    if mask.dtype != np.bool_:
        mask = mask.astype(bool)
    mask = np.ascontiguousarray(mask)
    if not W.dtype.isnative or W.dtype.itemsize not in (1, 2, 4, 8, 16) or any(s % W.itemsize for s in W.strides):
        if W.dtype.hasobject or W.dtype.itemsize not in (1, 2, 4, 8, 16):
            raise TypeError(f"W must hold numbers of 1, 2, 4, 8 or 16 bytes; it holds {W.dtype}")
        W = np.ascontiguousarray(W, W.dtype.newbyteorder("="))
    t = _threads.resolve(threads, W.size)
    return _to_csr(W, _core.MASKED, "mask", int(np.count_nonzero(mask)), rule_mask=mask, threads=t)[0]


def nm_mask(S, *, keep, group, axis=-1, threads=None):
    """Exactly `keep` True of every `group` consecutive elements along an axis, the largest |s|, ties to the first.

    A ragged last group of length m keeps ceil(keep * m / group).  2:4 is keep=2, group=4: half of the weights go
    (Mishra et al., "Accelerating Sparse Deep Neural Networks", arXiv 2104.08378).

    Parameters
    ----------
    S : array_like
    keep, group : int
        0 <= keep <= group, 1 <= group.
    axis : int

    Returns
    -------
    bool ndarray of the shape of S.

    Raises
    ------
    ValueError
        keep, group or axis out of range; a NaN, with its place.
    """
    if sp.issparse(S):
        S = structure.todense(S, threads=threads)
    v = _comparable(S, "S")
    group = _args.count(group, "group", 1, 2**62, "elements")
    keep = _args.count(keep, "keep", 0, group, f"group is {group}")
    at = _axis(axis, v.ndim) if v.ndim else 0
    if v.ndim == 0:
        raise ValueError("S must have at least 1 dimension")
    moved = np.moveaxis(v, at, -1)
    mask = large.empty(moved.shape, bool)
    if v.size:
        n = v.shape[at]
        if group > n:       # one ragged group
            keep, group = -(-keep * n // group), n
        plane, flat, t = _plane(moved), mask.reshape(-1, n), _threads.resolve(threads, v.size)
        if group <= WIDE_GROUP:
            status = _core.select(plane, _core.GROUPS, keep=keep, group=group, mask=flat, threads=t)[0]
            if status == _core.IS_NAN:
                _find_nan([v], ["S"], [None])
        else:
            for c in range(0, n, group):        # of each group, as of rows of that length
                m = min(group, n - c)
                part = large.empty((plane.shape[0], m), bool)
                _mask_rows(plane[:, c : c + m], -(-keep * m // group), part, v, t)
                flat[:, c : c + m] = part
    return np.moveaxis(mask, -1, at)


def block_mask(S, block, k, *, threads=None):
    """The k blocks of largest sum of |s|: exactly k blocks True, ties to the first in row-major order.

    Parameters
    ----------
    S : array_like with 2 dimensions
    block : (int, int)
        Rows and columns of a block; blocks at the right and lower edges may be smaller.
    k : int
        0 <= k <= the number of blocks.

    Returns
    -------
    bool ndarray of the shape of S.
    """
    if sp.issparse(S):
        S = structure.todense(S, threads=threads)
    v = _comparable(S, "S")
    if v.ndim != 2:
        raise ValueError(f"S must have 2 dimensions; it has {v.ndim}")
    try:
        height, width = block
    except TypeError:
        raise TypeError(f"block must be (rows, columns), not {block!r}") from None
    height = _args.count(height, "block rows", 1, 2**62, "rows")
    width = _args.count(width, "block columns", 1, 2**62, "columns")
    m, n = v.shape
    sums = np.zeros((-(-m // height), -(-n // width)))
    k = _args.count(k, "k", 0, sums.size, f"S has {sums.shape[0]} x {sums.shape[1]} blocks")
    if v.size:
        starts = np.arange(0, n, width)
        for i in range(sums.shape[0]):
            band = np.abs(v[i * height : (i + 1) * height]).astype(np.float64)
            sums[i] = np.add.reduceat(band, starts, axis=1).sum(axis=0)
        if np.isnan(sums).any():
            _find_nan([v], ["S"], [None])
    chosen = topk_mask(sums, k, threads=threads)
    return np.repeat(np.repeat(chosen, height, axis=0)[:m], width, axis=1)[:, :n]
