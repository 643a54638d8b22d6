"""Element-wise operations and reductions."""

import numpy as np
import scipy.sparse as sp

from .. import _args, _core, _threads
from . import large
from . import structure as st

__all__ = ["absmax", "add", "diag_scale", "mean_var", "multiply", "norm", "sum"]


def _kernel_view(R, dtype):
    return R._replace(data=_args.real_or_complex(R.data, dtype))


def _compute(dtype):
    """The type of factors that go with stored values: float32 for 16-bit floats."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def add(A, B, *, alpha=1, beta=1, threads=None):
    """alpha*A + beta*B of two sparse matrices of one shape.

    Parameters
    ----------
    A, B : scipy.sparse arrays or matrices of shape (m, n)
    alpha, beta : scalars
    threads : int, optional

    Returns
    -------
    The sum in the format and family of A, canonical; entries that come out exactly zero are not stored, as in SciPy.
    Its type is NumPy's promotion of both types and the scalars.

    Raises
    ------
    ValueError, TypeError
        Shapes that differ, malformed matrices, alpha or beta no scalar.
    OverflowError
        alpha or beta beyond a type of integers.

    Notes
    -----
    Rows are merged: nnz(A) + nnz(B) steps.
    """
    for value, name in ((alpha, "alpha"), (beta, "beta")):
        if np.ndim(value) or not isinstance(value, (int, float, complex, np.number, np.bool_)):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    return _binary(A, B, (alpha, beta), threads)


def multiply(A, B, *, threads=None):
    """A * B by elements, A sparse; B sparse, dense or a scalar.

    Parameters
    ----------
    A : scipy.sparse array or matrix of shape (m, n)
    B : sparse or array_like
        Shapes broadcast as in SciPy: (m, n), (1, n), (m, 1), (n,) or a scalar.
    threads : int, optional

    Returns
    -------
    Sparse in the format and family of A, canonical.  A dense B keeps the entries of A; with a sparse B entries that
    come out exactly zero are not stored.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, malformed matrices.

    Notes
    -----
    The type is NumPy's promotion.  Work: nnz(A) + nnz(B) for a sparse B, nnz(A) for a dense one.
    """
    if not _args.is_sparse(A):
        if not _args.is_sparse(B):
            raise TypeError(f"one operand must be sparse; got {type(A).__name__} and {type(B).__name__}")
        A, B = B, A
    if _args.is_sparse(B):
        if A.shape == B.shape:
            return _binary(A, B, None, threads)
        return _through_scipy(A, B, _args.result_type(A.dtype, B.dtype), threads)
    D = np.asarray(B)
    if D.dtype.kind not in "biufc" and not _args.has_kernel(D.dtype):
        raise TypeError(f"B must hold numbers, not {D.dtype}")
    if D.ndim > 2:
        raise ValueError(f"B has {D.ndim} dimensions; A has 2")
    R = st._view(A)
    m, n = A.shape
    dtype = _args.result_type(R.data.dtype, B if D.ndim == 0 and not isinstance(B, np.ndarray) else D.dtype)
    if D.ndim < 2:
        D = D.reshape(1, -1)
    if D.shape not in ((m, n), (1, n), (m, 1), (1, 1)):
        if (D.shape[0] not in (1, m) and m != 1) or (D.shape[1] not in (1, n) and n != 1):
            raise ValueError(f"B has shape {np.shape(B)}; A has {A.shape}")
        return _through_scipy(A, D, dtype, threads)
    if not _args.has_kernel(dtype):
        return _through_scipy(A, B if np.ndim(B) == 0 else D, dtype, threads)
    if D.shape == (m, n) and min(m, n) != 1:
        return _times_dense(A, R, D.astype(dtype, copy=False), dtype, threads)
    D = D.astype(_compute(dtype), copy=False)
    if D.shape == (1, n):
        return _scaled(A, R, None, D[0], dtype, threads)
    return _scaled(A, R, D[:, 0] if D.shape[0] == m else np.full(m, D[0, 0]), None, dtype, threads)


def diag_scale(A, left=None, right=None, *, threads=None):
    """diag(left) @ A @ diag(right); a side may be None.

    Parameters
    ----------
    A : scipy.sparse array or matrix of shape (m, n)
    left, right : array_like of length m and n, optional
    threads : int, optional

    Returns
    -------
    Sparse in the format and family of A, canonical, with the entries of A (zeros stay stored).

    Raises
    ------
    ValueError, TypeError
        A side whose length does not fit, a malformed matrix.

    Notes
    -----
    The type is NumPy's promotion.  Work: nnz(A).
    """
    R = st._view(A)
    sides = []
    for v, size, name, what in ((left, A.shape[0], "left", "rows"), (right, A.shape[1], "right", "columns")):
        if v is not None:
            v = np.asarray(v)
            if v.dtype.kind not in "biufc" and not _args.has_kernel(v.dtype):
                raise TypeError(f"{name} must hold numbers, not {v.dtype}")
            if v.shape != (size,):
                raise ValueError(f"{name} has shape {v.shape}; A has {size} {what}")
        sides.append(v)
    dtype = _args.result_type(R.data.dtype, *(v.dtype for v in sides if v is not None))
    if not _args.has_kernel(dtype):
        C = st.wrapped(A, st.copied(_kernel_view(R, dtype), threads))
        for v, at in zip(sides, C.tocoo().coords, strict=True):
            if v is not None:
                C.data *= v[at]
        return C
    left, right = (None if v is None else v.astype(_compute(dtype), copy=False) for v in sides)
    return _scaled(A, R, left, right, dtype, threads)


def _scaled(A, R, left, right, dtype, threads):
    """diag(left) A diag(right) of the view R of A, in dtype."""
    R = st.narrow(_kernel_view(R, dtype), threads)
    sides = [None if v is None else np.ascontiguousarray(v) for v in ((right, left) if R.transposed else (left, right))]
    out = np.empty(R.indices.shape[0], dtype)
    if not _core.scale(R.shape, R.indptr, R.indices, R.data, *sides, out, st._work(threads, R)):
        R = st.canonical(R, threads)
        out = np.empty(R.indices.shape[0], dtype)
        _core.scale(R.shape, R.indptr, R.indices, R.data, *sides, out, st._work(threads, R))
    return st.wrapped(A, R._replace(indptr=R.indptr.copy(), indices=R.indices.copy(), data=out))


def _times_dense(A, R, D, dtype, threads):
    R = st.narrow(_kernel_view(R, dtype), threads)
    if not _args.in_place(D):
        D = _args.native(D)
    D = D.T if R.transposed else D
    out = np.empty(R.indices.shape[0], dtype)
    if not _core.times_dense(R.shape, R.indptr, R.indices, R.data, D, out, st._work(threads, R)):
        R = st.canonical(R, threads)
        out = np.empty(R.indices.shape[0], dtype)
        _core.times_dense(R.shape, R.indptr, R.indices, R.data, D, out, st._work(threads, R))
    return st.wrapped(A, R._replace(indptr=R.indptr.copy(), indices=R.indices.copy(), data=out))


def _through_scipy(A, B, dtype, threads):
    """A.multiply(B) by SciPy for shapes and types without a kernel, of checked operands, duplicates summed in dtype."""
    compute = _compute(dtype) if _args.has_kernel(dtype) else dtype       # SciPy has no half precision
    operands = []
    for X in (A, B):
        if _args.is_sparse(X):
            X = st.wrapped(X, st.copied(_kernel_view(st._view(X), compute), threads))
        elif compute != dtype:
            X = np.asarray(X, compute)
        operands.append(X)
    C = operands[0].multiply(operands[1])
    C = C if _args.is_sparse(C) else sp.csr_array(C)
    R = st.copied(_args.rows(C.asformat("csc" if A.format == "csc" else "csr")), threads)
    return st.wrapped(A, R if compute == dtype else _kernel_view(R, dtype))


def _binary(A, B, factors, threads):
    """alpha A + beta B, or A * B by elements where factors is None."""
    for X, name in ((A, "A"), (B, "B")):
        if not _args.is_sparse(X):
            raise TypeError(f"{name} must be a scipy.sparse array or matrix, not {type(X).__name__}")
    if A.shape != B.shape:
        raise ValueError(f"A has shape {A.shape}; B has {B.shape}")
    R, Q = st._view(A, "A"), st._view(B, "B")
    if Q.transposed != R.transposed:
        Q = st.flipped(Q, threads)
    types = [R.data.dtype, Q.data.dtype]
    # A factor of one changes no type: booleans stay booleans, as in A + B.
    dtype = _args.result_type(*types, *(f for f in factors or () if type(f) is not int or f != 1))
    if not _args.has_kernel(dtype):
        return _binary_through_scipy(A, R, Q, factors, dtype, threads)
    scalars = [np.array([f], _compute(dtype)) for f in factors] if factors else [None, None]
    room = R.indices.shape[0] + Q.indices.shape[0]
    index = st.index_type(*R.shape, room)
    R, Q = (st.narrow(_kernel_view(X, dtype), threads, index) for X in (R, Q))
    t = _threads.resolve(threads, 2 * (R.indices.shape[0] + Q.indices.shape[0]) + R.shape[0])
    for _ in range(2):
        indptr, indices, data = large.empty(R.shape[0] + 1, index), large.empty(room, index), large.empty(room, dtype)
        nnz, sound = _core.add(R.shape, R[1:4], Q[1:4], *scalars, indptr, indices, data, t)
        if sound:
            break
        R, Q = st.canonical(R, threads), st.canonical(Q, threads)
    out = R._replace(indptr=indptr, indices=st.cut(indices, nnz), data=st.cut(data, nnz))
    return st.wrapped(A, st.narrow(out, threads))


def _binary_through_scipy(A, R, Q, factors, dtype, threads):
    """The same by SciPy for types without kernels, on checked canonical copies, duplicates summed in dtype."""
    X, Y = (st.wrapped(A, st.copied(_kernel_view(V, dtype), threads)) for V in (R, Q))
    if factors is None:
        C = X.multiply(Y)
    else:
        # np.array, not astype: a factor that the type does not hold is an OverflowError, as in NumPy.  Complex infinity
        # times one is not itself.
        X, Y = (M if f == 1 else M * np.array(f, dtype) for M, f in ((X, factors[0]), (Y, factors[1])))
        C = X + Y
    return st.wrapped(A, st.copied(_args.rows(C.asformat("csc" if R.transposed else "csr")), threads))


# ---- reductions ---------------------------------------------------------------------------------------------------

def _axis(axis):
    if axis is None:
        return None
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__"):
        raise TypeError(f"axis must be 0, 1 or None, not {type(axis).__name__}")
    if axis not in (0, 1, -1, -2):
        raise ValueError(f"axis must be 0, 1 or None, not {axis}")
    return axis.__index__() % 2


def _reduce(R, what, axis, threads, mean=None, duplicates=False):
    """A reduction of the view in double, and the view it was taken of: summed first where duplicates matter."""
    over = _core.OVER_ALL if axis is None else _core.OVER_COLUMNS if (axis == 1) != R.transposed else _core.OVER_ROWS
    wide = np.complex128 if what == "sum" and R.data.dtype.kind == "c" else np.float64
    y = np.empty({_core.OVER_ALL: 1, _core.OVER_COLUMNS: R.shape[0], _core.OVER_ROWS: R.shape[1]}[over], wide)
    if mean is not None:
        mean = np.ascontiguousarray(mean, np.complex128 if R.data.dtype.kind == "c" else np.float64)
    t = st._work(threads, R)
    if not _core.reduce(R.shape, R.indptr, R.indices, R.data, what, over, mean, y, not duplicates, t):
        R = st.canonical(R, threads)
        _core.reduce(R.shape, R.indptr, R.indices, R.data, what, over, mean, y, False, t)
    return (y[0] if axis is None else y), R


def _real(dtype):
    """The type of magnitudes of values of a type."""
    return np.zeros(0, dtype).real.dtype if dtype.kind == "c" else dtype


def _given(y, out, R):
    """A dense result, in `out` if there is one."""
    if out is None:
        return y
    _args.check_out(out, np.shape(y), y.dtype, R[1:4])[...] = y
    return out


def _floating(R):
    """The view with values that have a kernel: integers and others as float64."""
    if _args.has_kernel(R.data.dtype):
        return R
    return _kernel_view(R, np.dtype(np.complex128 if R.data.dtype.kind == "c" else np.float64))


def sum(A, axis=None, *, out=None, threads=None):
    """The sum over rows (axis=0), columns (axis=1) or all entries (None) of a sparse matrix of shape (m, n).

    Returns an array of length n or m (`out`, where given), or a scalar, of the type that NumPy's sum has (sums of 16-
    and 32-bit floats are formed in float64).  Raises ValueError and TypeError for a malformed matrix, another axis, an
    `out` that does not fit.  Work, as of all reductions: nnz(A) + m + n.
    """
    axis = _axis(axis)
    R = st._view(A)
    if not _args.has_kernel(R.data.dtype):
        wide = _kernel_view(R, np.zeros(0, R.data.dtype).sum().dtype)       # duplicates too are summed in that type
        return _given(st.wrapped(None, st.canonical(wide, threads)).sum(axis=axis), out, R)
    y, _ = _reduce(R, "sum", axis, threads, duplicates=True)
    return _given(y.astype(R.data.dtype, copy=False), out, R)


def mean_var(A, axis=None, *, out=None, threads=None):
    """Mean and variance (of the population: divided by the count) over rows (axis=0), columns (axis=1) or all entries,
    stored or not.

    Computed in two passes in float64, so a large mean costs no accuracy.  Returns two arrays of length n or m, or two
    scalars: float64 for integers, the mean of the type of A's values and the variance of its real type for others.
    `out` is a pair of arrays for them.  Raises ValueError and TypeError as `sum`.
    """
    try:
        out_mean, out_var = (None, None) if out is None else out
    except (TypeError, ValueError):
        raise TypeError("out must be a pair: an array for the mean and one for the variance") from None
    axis = _axis(axis)
    R = _floating(st._view(A))
    dtype = R.data.dtype
    size = A.shape[0] * A.shape[1] if axis is None else A.shape[axis]
    total, R = _reduce(R, "sum", axis, threads)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.divide(total, size)
        stored, _ = _reduce(R, "count", axis, threads)
        squares, _ = _reduce(R, "deviation", axis, threads, mean=np.atleast_1d(mean))
        var = (squares + (size - stored) * np.abs(mean) ** 2) / size
    mean, var = mean.astype(dtype, copy=False), var.astype(_real(dtype), copy=False)
    return _given(mean, out_mean, R), _given(var, out_var, R)


def norm(A, axis=None, ord=2, *, out=None, threads=None):
    """Vector norms of the columns (axis=0), the rows (axis=1) or of all entries (None; with ord=2 the Frobenius norm).

    ord: 1, 2 (or 'fro' with axis None) or inf.  Returns an array of length n or m (`out`, where given), or a scalar,
    of the real type of A's values; float64 for integers.  Squares are summed in float64: float32 does not overflow.
    Raises ValueError and TypeError as `sum`, ValueError for another ord.
    """
    axis = _axis(axis)
    if isinstance(ord, str) and ord == "fro" and axis is None:
        ord = 2
    if isinstance(ord, str) or ord not in (1, 2, np.inf):
        raise ValueError(f"ord must be 1, 2 or inf, not {ord!r}")
    R = _floating(st._view(A))
    y, _ = _reduce(R, {1: "abs", 2: "square", np.inf: "absmax"}[ord], axis, threads)
    if ord == 2:
        y = np.sqrt(y)
    return _given(y.astype(_real(R.data.dtype), copy=False), out, R)


def absmax(A, axis=None, *, out=None, threads=None):
    """The largest |a_ij| of every column (axis=0), row (axis=1) or of all (None); 0 where nothing is stored, NaN where
    a value is NaN.  An array of length n or m (`out`, where given), or a scalar, of the real type of A's values.
    Raises ValueError and TypeError as `sum`."""
    axis = _axis(axis)
    R = st._view(A)
    if _args.has_kernel(R.data.dtype):
        y, _ = _reduce(R, "absmax", axis, threads)
        return _given(y.astype(_real(R.data.dtype), copy=False), out, R)
    C = st.wrapped(A, st.copied(R, threads))
    if 0 in A.shape:
        return _given(np.zeros(A.shape[1 - axis] if axis is not None else (), R.data.dtype)[()], out, R)
    top = abs(C).max(axis=axis)
    return _given(top.toarray().ravel() if _args.is_sparse(top) else top, out, R)
