"""Products of two sparse matrices, and products of which only a part is wanted."""

import numpy as np
import scipy.sparse as sp

from .. import _args, _core, _threads
from . import large
from .structure import canonical, checked, copied, flipped, narrow, within, wrapped

__all__ = ["MatmulPlan", "gram", "masked_matmul", "matmul_topn", "sddmm"]


def _compute_type(dtype):
    """Half precision is stored, not computed."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _check_inner(A, B):
    for X, name in ((A, "A"), (B, "B")):
        if not _args.is_sparse(X):
            raise TypeError(f"{name} must be a scipy.sparse array or matrix, not {type(X).__name__}")
        if X.ndim != 2:
            raise ValueError(f"{name} must have 2 dimensions; it has {X.ndim}")
    if A.shape[1] != B.shape[0]:
        raise ValueError(f"A has {A.shape[1]} columns; B has {B.shape[0]} rows")


def _pair(A, B, threads):
    """(R, S, column): the views whose product R @ S is A @ B, or (column) its transpose."""
    RA = _args.rows(A, "A")
    if RA.transposed:
        # (A @ B).T = B.T @ A.T, and the CSC buffers of B and A are the CSR buffers of those.
        return _as_format(B, "csc", "B", threads), RA, True
    return RA, _as_format(B, "csr", "B", threads), False


def _as_format(M, fmt, name, threads):
    R = _args.rows(M, name)
    return R if R.transposed == (fmt == "csc") else flipped(R, threads, merge=False)


def _work(R, S):
    """Products to expect if the rows of S were equally long."""
    return int(R.indices.shape[0] * (S.indices.shape[0] / max(1, S.shape[0]))) + R.shape[0]


def _result(A, B, column, parts):
    fmt = "csc" if column else "csr"
    return _args.wrap(_args.container(A, fmt), (A.shape[0], B.shape[1]), *parts)


def sparse_sparse(A, B, threads=None):
    """A @ B for sparse A and B: canonical, without exact zeros, sums in the order of A's entries (SciPy's bits)."""
    _check_inner(A, B)
    dtype = _args.result_type(A.dtype, B.dtype)
    if not _args.has_kernel(dtype):
        for X, name in ((A, "A"), (B, "B")):
            checked(_args.rows(X, name), threads)       # SciPy trusts its indices
        C = (A @ B).asformat("csc" if A.format == "csc" else "csr")
        return wrapped(A, copied(_args.rows(C), threads))
    R, S, column = _pair(A, B, threads)
    return _result(A, B, column, _product(R, S, B, dtype, threads))


def _product(R, S, B, dtype, threads):
    """indptr, indices, data of R @ S; B: where S came from."""
    if S.shape[1] > np.iinfo(np.int32).max:
        # Kernels hold columns in 32 bits: number those that occur, in order, and put the names back.
        names, narrow = np.unique(S.indices, return_inverse=True)
        if names.size and not 0 <= names[0] <= names[-1] < S.shape[1]:
            checked(_args.rows(B, "B"), threads)
        narrow = S._replace(shape=(S.shape[0], names.size), indices=narrow.astype(np.int32))
        indptr, indices, data = _multiply(R, narrow, dtype, threads)
        return indptr.astype(np.int64), names[indices].astype(np.int64), data
    return _multiply(R, S, dtype, threads)


def _multiply(R, S, dtype, threads):
    indptr, indices, data = _core.spgemm(*_buffers(R, dtype), *_buffers(S, dtype),
                                         _threads.resolve(threads, _work(R, S)))
    return indptr, indices, _stored(data, dtype)


def _buffers(R, dtype):
    return R.shape, R.indptr, R.indices, _args.real_or_complex(R.data, _compute_type(dtype))


def _stored(data, dtype):
    return data if data.dtype == dtype else data.astype(dtype)


def gram(A, *, axis=0, threads=None):
    """A.T @ A (axis=0) or A @ A.T (axis=1).

    Parameters
    ----------
    A : scipy.sparse array or matrix, m x n
    axis : 0 or 1
        0: n x n, inner products of the columns; 1: m x m, of the rows.  Complex values are not conjugated.

    Returns
    -------
    A symmetric sparse matrix of A's family (CSC if A is CSC, else CSR), canonical, with the values of `matmul`.

    Raises
    ------
    ValueError, TypeError
        A wrong axis, a malformed matrix, A not sparse.

    Notes
    -----
    All products are formed.  One triangle and its mirror image was no faster at 6 to 100 products per entry (AVX2):
    rows cut at the diagonal end anywhere, and every end is a mispredicted branch.
    """
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; it must be 0 (A.T @ A) or 1 (A @ A.T)")
    R = _args.rows(A)
    n = A.shape[1 - axis]
    if not _args.has_kernel(R.data.dtype) or n > np.iinfo(np.int32).max:
        C = sparse_sparse(A.T, A, threads) if axis == 0 else sparse_sparse(A, A.T, threads)
        return C if (C.format == "csc") == R.transposed else C.T
    by_row, by_column = (_as_format(A, fmt, "A", threads) for fmt in ("csr", "csc"))
    left, right = (by_row, by_column) if axis else (by_column, by_row)
    parts = _multiply(left, right, R.data.dtype, threads)
    return _args.wrap(_args.container(A, "csc" if R.transposed else "csr"), (n, n), *parts)


def matmul_topn(A, B, n, *, threshold=None, threads=None):
    """The n largest entries of every row of A @ B, without forming A @ B.

    Parameters
    ----------
    A, B : scipy.sparse array or matrix, m x k and k x p, of real values
    n : int
        Entries to keep of a row; rows that have fewer keep what they have.
    threshold : float, optional
        Only entries greater than this are kept.

    Returns
    -------
    CSR of A's family, m x p, canonical.  Only entries of the product count, zeros between them do not; of equal
    values the lowest columns are kept; NaN and -inf are never kept.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, complex values, a malformed matrix.

    Notes
    -----
    All products are formed, as in `matmul`, but no more than a few rows of them are held by a thread.  The threshold is
    compared in the type of the sums.
    """
    _check_inner(A, B)
    n = _args.count(n, "n", 0, np.iinfo(np.int64).max, "entries to keep of a row")
    dtype = _args.result_type(A.dtype, B.dtype)
    if dtype.kind == "c":
        raise TypeError(f"complex values have no order; A has type {A.dtype}, B has {B.dtype}")
    floor = -np.inf if threshold is None else float(threshold)
    if np.isnan(floor):
        raise ValueError("threshold is NaN")
    cls, shape = _args.container(A, "csr"), (A.shape[0], B.shape[1])
    if not _args.has_kernel(dtype) or shape[1] > np.iinfo(np.int32).max:
        return _args.wrap(cls, shape, *_largest_of_rows(sparse_sparse(A, B, threads).tocsr(), n, floor))
    R, S = _as_format(A, "csr", "A", threads), _as_format(B, "csr", "B", threads)
    if n == 0:      # kernels keep at least one: let none be large enough
        n, floor = 1, np.inf
    indptr, indices, data = _core.topn(*_buffers(R, dtype), *_buffers(S, dtype), n, floor,
                                       _threads.resolve(threads, _work(R, S)))
    return _args.wrap(cls, shape, indptr, indices, _stored(data, dtype))


def _largest_of_rows(C, n, floor):
    """matmul_topn of a product that is there: for types without a kernel."""
    C.sort_indices()
    above = C.data > floor      # NaN is not, and takes no place
    row, indices, data = np.repeat(np.arange(C.shape[0]), np.diff(C.indptr))[above], C.indices[above], C.data[above]
    rank = np.unique(data, return_inverse=True)[1]
    order = np.lexsort((-rank, row))
    first = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=C.shape[0]))))
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size) - first[row[order]]
    keep = place < n
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row[keep], minlength=C.shape[0])))).astype(C.indptr.dtype)
    return indptr, indices[keep], data[keep]


def _pattern(M, fmt, name, threads):
    """The canonical view of M in the format asked for."""
    R = _args.rows(M, name)
    R = canonical(R, threads) if R.transposed == (fmt == "csc") else flipped(R, threads)
    return narrow(R, threads)


def masked_matmul(A, B, mask, *, threads=None):
    """(A @ B) where mask has an entry: a sampled product of sparse matrices.

    Parameters
    ----------
    A, B : scipy.sparse array or matrix, m x k and k x p
    mask : scipy.sparse array or matrix, m x p
        Its pattern counts, its values do not.

    Returns
    -------
    A sparse matrix of A's family with exactly the pattern of mask (an entry is zero where A @ B has none), canonical;
    CSC if A is CSC, else CSR.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, a malformed matrix.

    Notes
    -----
    All products of a row are looked at, those outside the mask are dropped: the work of `matmul` without sorting, and
    memory of one row of B's width for each thread.
    """
    _check_inner(A, B)
    shape = (A.shape[0], B.shape[1])
    if not _args.is_sparse(mask):
        raise TypeError(f"mask must be a scipy.sparse array or matrix, not {type(mask).__name__}")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}; A @ B has {shape}")
    dtype = _args.result_type(A.dtype, B.dtype)
    R, S, column = _pair(A, B, threads)
    M = _pattern(mask, "csc" if column else "csr", "mask", threads)
    return _result(A, B, column, (M.indptr.copy(), M.indices.copy(), _masked(R, S, M, dtype, threads)))


def _masked(R, S, M, dtype, threads):
    """The values of R @ S at the entries of the pattern M."""
    if not _args.has_kernel(dtype):      # integers: exactly, through SciPy
        left, right = (sp.csr_array((X.data.astype(dtype), X.indices, X.indptr), shape=X.shape)
                       for X in (checked(R, threads), checked(S, threads)))
        C = left @ right
        C.sort_indices()
        # Numbers from 1 in the place of values: what meets ones is where both have an entry.
        numbered, ones = ([sp.csr_array((make(X.indices.size), X.indices, X.indptr), shape=M.shape) for X in (C, M)]
                          for make in (lambda n: np.arange(1, n + 1), lambda n: np.ones(n, np.int64)))
        out = np.zeros(M.indices.size, dtype)
        out[numbered[1].multiply(ones[0]).tocsr().data - 1] = C.data[numbered[0].multiply(ones[1]).tocsr().data - 1]
        return out
    if S.shape[1] > np.iinfo(np.int32).max:     # columns by number, as in _product
        names, numbers = np.unique(np.concatenate((checked(S, threads).indices, M.indices)), return_inverse=True)
        parts = np.split(numbers.astype(np.int32), [S.indices.shape[0]])
        S, M = (X._replace(shape=(X.shape[0], names.size), indptr=X.indptr.astype(np.int64), indices=part)
                for X, part in zip((S, M), parts, strict=True))
    out = large.empty(M.indices.shape[0], _compute_type(dtype))
    _core.masked_matmul(*_buffers(R, dtype), *_buffers(S, dtype), M.shape, M.indptr, M.indices, out,
                        _threads.resolve(threads, _work(R, S)))
    return _stored(out, dtype)


def _by_entries(M):
    """M as CSR or CSC, and the order that puts M.data beside its entries (None: it stands there).  COO keeps
    duplicate coordinates apart: they have values of their own."""
    if M.format in ("csr", "csc"):
        return M, None
    if M.format != "coo":
        return M.tocsr(), None
    row, col = M.coords
    within(row, col, M.shape)
    order = np.lexsort((col, row))
    indptr = np.zeros(M.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=M.shape[0]), out=indptr[1:])
    return _args.wrap(_args.container(M, "csr"), M.shape, indptr, col[order], M.data[order], canonical=False), order


class MatmulPlan:
    """A @ B for one pair of patterns and many values: the structure is worked out once.

    Parameters
    ----------
    A, B : scipy.sparse array or matrix, m x k and k x p
        Their index arrays are kept by reference and must not change; their values are not looked at.

    Attributes
    ----------
    shape, nnz : the shape of the product and its number of structural entries.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, a malformed matrix, an operand that is not sparse; of a call: values that are not one
        for each entry, or a pattern that changed.

    Notes
    -----
    Making a plan costs a product and, up to 8 products an entry of the result, 2 bytes for each; a call costs the
    multiplications alone.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp, sparsecore as sc
    >>> A = sp.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> plan = sc.MatmulPlan(A, A)
    >>> plan(A.data, 10 * A.data).toarray()
    array([[20.,  0.],
           [ 0., 20.]])
    """

    def __init__(self, A, B, *, threads=None):
        _check_inner(A, B)
        self.shape = (A.shape[0], B.shape[1])
        (A, self._A_order), (B, self._B_order) = _by_entries(A), _by_entries(B)
        R, S, self._column = _pair(A, B, threads)
        self._container = _args.container(A, "csc" if self._column else "csr")
        # The operand whose format was changed needs its values in another order.
        if (B.format == "csc") != self._column:
            Q = _args.rows(B, "B")
            order = flipped(Q._replace(data=np.arange(Q.indices.shape[0])), threads, merge=False).data
            self._B_order = order if self._B_order is None else self._B_order[order]
        # Sums of ones never cancel: the pattern of their product is the structure.
        ones = [X._replace(data=np.ones(X.indices.shape[0], np.float32)) for X in (R, S)]
        indptr, indices, _ = _product(*ones, B, np.dtype(np.float32), threads)
        self._R, self._S = (X._replace(data=None) for X in (R, S))
        self._M = _args.Rows((R.shape[0], S.shape[1]), indptr, indices, None, False)
        self._starts = indptr.astype(np.int64)
        self._slots = self._place_products(*ones, _threads.resolve(threads, _work(R, S)))
        for a in (indptr, indices):      # shared by all products of the plan
            a.flags.writeable = False

    def _place_products(self, R, S, threads):
        """Where each product goes within its row of C: 2 bytes a product, if that is little beside the result."""
        if S.shape[1] > np.iinfo(np.int32).max:
            return None
        self._products = np.empty(R.shape[0] + 1, np.int64)
        _core.count_products(*R[:4], *S[:4], self._products, threads)
        if self._products[-1] > 8 * self.nnz or np.diff(self._starts).max(initial=0) > 1 << 16:
            return None
        slots = np.empty(int(self._products[-1]), np.uint16)
        pattern = np.empty(self.nnz, np.float16)      # no values are read
        _core.plan_slots(*R[:4], *S[:4], self._M.shape, self._M.indptr, self._M.indices, pattern, self._products,
                         slots, threads)
        return slots

    @property
    def nnz(self):
        return self._M.indices.shape[0]

    def __call__(self, A_data, B_data, *, threads=None):
        """The product for these values, given in the order of A.data and B.data.

        Returns a sparse matrix of A's family (CSC if A is CSC, else CSR), canonical, with every structural entry: one
        whose value is zero stays, so that all products of a plan have the same pattern.  They share its two index
        arrays, which are read-only; copy() makes a matrix whose pattern can be changed in place.
        """
        A_data, B_data = np.asarray(A_data), np.asarray(B_data)
        first, second = (self._S, self._R) if self._column else (self._R, self._S)
        for name, data, X in (("A", A_data, first), ("B", B_data, second)):
            if data.shape != X.indices.shape:
                raise ValueError(f"{name}_data has shape {data.shape}; {name} has {X.indices.shape[0]} entries")
        A_data, B_data = (data if order is None else data[order]
                          for data, order in ((A_data, self._A_order), (B_data, self._B_order)))
        dtype = _args.result_type(A_data, B_data)
        a, b = _args.native(A_data), _args.native(B_data)
        R, S = (self._R._replace(data=b), self._S._replace(data=a)) if self._column else (
            self._R._replace(data=a), self._S._replace(data=b))
        if self._slots is None or not _args.has_kernel(dtype):
            values = _masked(R, S, self._M, dtype, threads)
        else:
            values = large.empty(self.nnz, _compute_type(dtype))
            _core.plan_multiply(*_buffers(R, dtype), *_buffers(S, dtype), self._starts, self._products, self._slots,
                                values, _threads.resolve(threads, self._slots.shape[0]))
            values = _stored(values, dtype)
        return _args.wrap(self._container, self.shape, self._M.indptr, self._M.indices, values)


def sddmm(P, X, Y, *, weights=False, threads=None):
    """P.pattern * (X @ Y.T), the sampled product of dense matrices; times P's values if weights.

    Parameters
    ----------
    P : scipy.sparse array or matrix, m x p
    X, Y : array_like, m x n and p x n
    weights : bool
        Multiply each entry by its value in P.

    Returns
    -------
    A sparse matrix of P's family with the pattern of P, canonical; CSC if P is CSC, else CSR.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, a malformed matrix.

    Notes
    -----
    Work: nnz(P) n.  P's values do not count for the type unless weights.  Half precision is summed in float32.
    """
    if not _args.is_sparse(P):
        raise TypeError(f"P must be a scipy.sparse array or matrix, not {type(P).__name__}")
    X, Y = np.asarray(X), np.asarray(Y)
    if X.ndim != 2 or Y.ndim != 2:
        raise ValueError(f"X and Y must have 2 dimensions; they have {X.ndim} and {Y.ndim}")
    if (X.shape[0], Y.shape[0]) != P.shape:
        raise ValueError(f"P has shape {P.shape}; X has {X.shape[0]} rows and Y has {Y.shape[0]}")
    if X.shape[1] != Y.shape[1]:
        raise ValueError(f"X has {X.shape[1]} columns; Y has {Y.shape[1]}")
    fmt = "csc" if P.format == "csc" else "csr"
    R = _pattern(P, fmt, "P", threads)
    dtype = _args.result_type(X, Y, R.data) if weights else _args.result_type(X, Y)
    if not _args.has_kernel(dtype):
        row, col = np.repeat(np.arange(R.shape[0]), np.diff(R.indptr)), R.indices
        if R.transposed:
            row, col = col, row
        values = np.einsum("ij,ij->i", X[row], Y[col]).astype(dtype)
        values = values * R.data if weights else values
    else:
        compute = _compute_type(dtype)
        x, y = (np.ascontiguousarray(D, dtype=compute) for D in ((Y, X) if R.transposed else (X, Y)))
        values = np.empty(R.indices.shape[0], compute)
        data = _args.real_or_complex(R.data, compute) if weights else values
        _core.sddmm(R.shape, R.indptr, R.indices, data, x, y, bool(weights), values,
                    _threads.resolve(threads, R.indices.shape[0] * X.shape[1]))
        values = _stored(values, dtype)
    return _args.wrap(_args.container(P, fmt), P.shape, R.indptr.copy(), R.indices.copy(), values)
