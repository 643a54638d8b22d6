"""Storage that is smaller than CSR where many weights are left: one bit for each element, or N of every M.

Both hold the values row by row in order of their columns and nothing else but where they are: a Bitmask takes
s nnz + size / 8 bytes for values of s bytes, 2:4 in f32 2.125 bytes for each element of the matrix.  `matmul` reads
them directly, with the bits of the product of the CSR matrix.
"""

import numpy as np
import scipy.sparse as sp

from . import _args, _core, _threads
from .ops import large, products, structure

__all__ = ["NM", "Bitmask"]

INT32_MAX = np.iinfo(np.int32).max


class _Storage:
    """What both have: shape, dtype, nnz, nbytes, T, tocsr(), todense(), and products with dense operands."""

    __array_ufunc__ = None      # X @ S comes here
    ndim = 2

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def nnz(self):
        return self.data.shape[0]

    @property
    def T(self):
        """The transpose, as a csc_array (a copy: rows are what is stored)."""
        return self.tocsr().T

    def tocsr(self, *, threads=None):
        """The matrix as a canonical csr_array; stored zeros stay."""
        columns = large.empty(self.nnz, np.int32)
        _core.storage_columns(self._view(), columns, _threads.resolve(threads, self.nnz))
        indptr = self._indptr()
        if self.nnz <= INT32_MAX:
            indptr = indptr.astype(np.int32)
        else:
            columns = columns.astype(np.int64)
        return _args.wrap(sp.csr_array, self.shape, indptr, columns, self.data.copy())

    def todense(self):
        """The matrix as an ndarray."""
        A, W = self.tocsr(), np.zeros(self.shape, self.dtype)
        W[np.repeat(np.arange(self.shape[0]), np.diff(A.indptr)), A.indices] = A.data
        return W

    toarray = todense

    def __matmul__(self, X):
        return products.matmul(self, X)

    def __rmatmul__(self, X):
        return products.matmul(X, self.tocsr())

    def __sparse_matmul__(self, X, out=None, threads=None):
        """self @ X: what `matmul` calls."""
        if _args.is_sparse(X):
            return products.matmul(self.tocsr(), X, out=out, threads=threads)
        X = np.asarray(X)
        if X.ndim not in (1, 2):
            raise ValueError(f"a dense operand must have 1 or 2 dimensions; it has {X.ndim}")
        m, n = self.shape
        if X.shape[0] != n:
            raise ValueError(f"{'x has length' if X.ndim == 1 else 'X has'} {X.shape[0]}"
                             f"{'' if X.ndim == 1 else ' rows'}; A has {n} columns")
        dtype = _args.result_type(self.dtype, X.dtype)
        compute = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        if self.dtype != compute and not (self.dtype.itemsize == 2 and compute == np.float32):
            return products.matmul(self.tocsr(), X, out=out, threads=threads)
        shape = (m, *X.shape[1:])
        if out is not None:
            _args.check_out(out, shape, dtype, (X, self.data))
        y = large.empty(shape, compute)
        if y.size:
            x = np.ascontiguousarray(X, compute)
            _core.storage_matmul(self._view(), x if X.ndim == 2 else x[:, None], y if X.ndim == 2 else y[:, None],
                                 _threads.resolve(threads, self.nnz * (1 if X.ndim == 1 else X.shape[1]) + m))
        if out is not None:
            out[...] = y
            return out
        return y if y.dtype == dtype else y.astype(dtype)


def _sound(data, shape):
    """Values and shape as every storage needs them."""
    rows, columns = (_args.count(n, "shape", 0, 2**62, "rows and columns") for n in shape)
    if columns > INT32_MAX:
        raise OverflowError(f"the matrix has {columns} columns; storage holds at most {INT32_MAX}")
    data = _args.native(data, "data")
    if data.ndim != 1:
        raise ValueError(f"data must have 1 dimension; it has {data.ndim}")
    if not _args.has_kernel(data.dtype):
        raise TypeError(f"data must hold {', '.join(_args.KERNEL_TYPES)}; it holds {data.dtype}")
    return (rows, columns), data


def _plane(W):
    W = np.asarray(W)
    if W.ndim != 2:
        raise ValueError(f"W must have 2 dimensions; it has {W.ndim}")
    if not (W.flags.aligned and W.dtype.isnative) or any(s % W.itemsize for s in W.strides):
        W = np.array(W, W.dtype.newbyteorder("="), order="C")
    return W


class Bitmask(_Storage):
    """Values and one bit for each element that tells whether it is stored.

    Parameters
    ----------
    shape : (rows, columns)
    words : uint64 array, rows x ceil(columns / 64)
        Column c of row r is stored if bit c % 64 of words[r, c // 64] is set.
    indptr : int64 array, rows + 1
        Where the values of a row begin.
    data : array, one value for each bit, row by row

    Examples
    --------
    >>> import numpy as np, sparsecore as sc
    >>> B = sc.Bitmask.from_dense(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> B @ np.array([3.0, 4.0])
    array([8., 3.])
    """

    def __init__(self, shape, words, indptr, data):
        self.shape, self.data = _sound(data, shape)
        m, n = self.shape
        self.words = np.ascontiguousarray(words, np.uint64)
        self.indptr = np.ascontiguousarray(indptr, np.int64)
        if self.words.shape != (m, (n + 63) // 64):
            raise ValueError(f"words has shape {self.words.shape}; {m} x {n} elements need {(m, (n + 63) // 64)}")
        if self.indptr.shape != (m + 1,):
            raise ValueError(f"indptr has shape {self.indptr.shape}; {m} rows need {(m + 1,)}")

    @property
    def nbytes(self):
        return self.words.nbytes + self.indptr.nbytes + self.data.nbytes

    def _indptr(self):
        return self.indptr

    def _view(self):
        return self.shape, self.data, self.indptr, self.words, None, (1, 1, 1, 0, 0)

    def __repr__(self):
        return f"<Bitmask {self.shape[0]} x {self.shape[1]} {self.dtype}, {self.nnz} entries, {self.nbytes} bytes>"

    @classmethod
    def from_dense(cls, W, mask=None, *, threads=None):
        """The nonzero elements of a 2-D array (NaN included), or those where mask."""
        W = _plane(W)
        if mask is None:
            mask = W != 0
        mask = np.ascontiguousarray(mask, bool)
        if mask.shape != W.shape:
            raise ValueError(f"mask has shape {mask.shape}; W has shape {W.shape}")
        return cls._selected(W, int(np.count_nonzero(mask)), _core.MASKED, threads, rule_mask=mask)

    @classmethod
    def _selected(cls, W, count, kind, threads, **rule):
        """What a rule selects, `count` elements, from a 2-D array in one read."""
        words, indptr = np.zeros((W.shape[0], (W.shape[1] + 63) // 64), np.uint64), np.zeros(W.shape[0] + 1, np.int64)
        data = large.empty(count, W.dtype)
        if W.size:
            _core.select(W, kind, words=words, indptr=indptr, data=data, threads=_threads.resolve(threads, W.size),
                         **rule)
        return cls(W.shape, words, indptr, data)

    @classmethod
    def from_csr(cls, A, *, threads=None):
        """The stored entries, zeros among them, of a sparse matrix."""
        A = structure.as_csr(A, threads=threads)
        R = _args.rows(A)
        words = np.zeros((A.shape[0], (A.shape[1] + 63) // 64), np.uint64)
        shape, data = _sound(R.data, A.shape)
        _core.storage_words(shape, R.indptr, R.indices, data, words, _threads.resolve(threads, data.shape[0]))
        return cls(shape, words, R.indptr.astype(np.int64), data.copy())


class NM(_Storage):
    """Exactly `keep` values of every `group` neighbours of a row, and their positions in the group.

    A ragged last group of length m holds ceil(keep * m / group).

    Parameters
    ----------
    shape : (rows, columns)
    keep, group : int
        1 <= keep <= group <= 256.
    positions : uint8 array, rows x bytes of a row
        1, 2, 4 or 8 bits for each value, the first in the low bits; rows begin with a whole byte.
    data : array
        The values, row by row, as many in each.
    """

    def __init__(self, shape, keep, group, positions, data):
        self.shape, self.data = _sound(data, shape)
        self.group = _args.count(group, "group", 1, 256, "positions have at most 8 bits")
        self.keep = _args.count(keep, "keep", 1, self.group, f"group is {self.group}")
        self.positions = np.ascontiguousarray(positions, np.uint8)
        m, n = self.shape
        if self.data.shape[0] != m * self.per_row:
            raise ValueError(f"data has {self.data.shape[0]} values; {m} rows of {n} columns keep {m * self.per_row}")
        if self.positions.shape != (m, self.row_bytes):
            raise ValueError(f"positions has shape {self.positions.shape}; {m} rows need {(m, self.row_bytes)}")

    @property
    def per_row(self):
        """Values in a row."""
        full, rest = divmod(self.shape[1], self.group)
        return full * self.keep - (-self.keep * rest // self.group)

    @property
    def bits(self):
        """Bits of a position."""
        return next(b for b in (1, 2, 4, 8) if self.group <= 1 << b)

    @property
    def row_bytes(self):
        return (self.per_row * self.bits + 7) // 8

    @property
    def nbytes(self):
        return self.positions.nbytes + self.data.nbytes

    def _indptr(self):
        return np.arange(self.shape[0] + 1, dtype=np.int64) * self.per_row

    def _view(self):
        return (self.shape, self.data, None, None, self.positions,
                (self.keep, self.group, self.bits, self.per_row, self.row_bytes))

    def __repr__(self):
        m, n = self.shape
        return f"<NM {self.keep}:{self.group} {m} x {n} {self.dtype}, {self.nnz} entries, {self.nbytes} bytes>"

    @classmethod
    def from_dense(cls, W, *, keep, group, threads=None):
        """The `keep` largest |w| of every group (`nm_mask`), ties to the first, in one read of W."""
        W = _plane(W)
        if W.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
            raise TypeError(f"W must hold float16, bfloat16, float32 or float64; it holds {W.dtype}")
        m, n = W.shape
        group = _args.count(group, "group", 1, 256, "positions have at most 8 bits")
        keep = _args.count(keep, "keep", 1, group, f"group is {group}")
        full, rest = divmod(n, group)
        per_row, bits = full * keep - (-keep * rest // group), next(b for b in (1, 2, 4, 8) if group <= 1 << b)
        words, indptr = np.zeros((m, (n + 63) // 64), np.uint64), np.zeros(m + 1, np.int64)
        positions = np.zeros((m, (per_row * bits + 7) // 8), np.uint8)
        S = cls((m, n), keep, group, positions, large.empty(m * per_row, W.dtype))
        if W.size:
            t = _threads.resolve(threads, W.size)
            rule = {"keep": keep, "group": group} if group <= n else {"keep": per_row, "group": n}
            status = _core.select(W, _core.GROUPS, words=words, indptr=indptr, data=S.data, threads=t, **rule)[0]
            if status == _core.IS_NAN:
                r, c = np.argwhere(np.isnan(W))[0]
                raise ValueError(f"W is NaN at ({r}, {c}): NaN has no rank")
            _core.storage_positions(S._view(), words, S.positions, t)
        return S

    @classmethod
    def from_csr(cls, A, *, keep, group, threads=None):
        """A sparse matrix with at most `keep` nonzeros in every group; zeros fill up groups that have fewer."""
        A = structure.as_csr(A, threads=threads)
        parts, step = [], max(1, (1 << 20) // max(1, A.shape[1]))
        for r in range(0, max(1, A.shape[0]), step):
            ends = A.indptr[r : r + step + 1]
            part, counts = slice(ends[0], ends[-1]), np.diff(ends)
            W = np.zeros((counts.size, A.shape[1]), A.dtype)
            W[np.repeat(np.arange(counts.size), counts), A.indices[part]] = A.data[part]
            S = cls.from_dense(W, keep=keep, group=group, threads=threads)
            if np.count_nonzero(S.data) != np.count_nonzero(W):
                raise ValueError(f"A has groups of {group} with more than {keep} nonzeros among rows {r} to "
                                 f"{r + counts.size - 1}")
            parts.append(S)
        return cls(A.shape, keep, group, np.concatenate([p.positions for p in parts]),
                   np.concatenate([p.data for p in parts]))
