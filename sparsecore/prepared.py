"""Layouts for repeated products with one matrix: inspector and executor.

A pruned weight matrix is multiplied thousands of times.  Once, its density, its shape and the number of columns it will
meet are looked at and its entries are laid out anew, so that every later product runs from cache and registers.
"""

import threading

import numpy as np
import scipy.sparse as sp

from . import _args, _core, _threads
from .ops import products, structure

__all__ = ["Prepared", "prepare"]

# Values from which on a matrix comes from memory, product after product, and the smallest layout is the fastest (AVX2,
# two threads, 4096 x 4096: 30 % zeros 3.8 to 2.6 ms in single and 8.7 to 6.2 in double precision, 50 % 3.2 to 1.9).
MEMORY_BYTES = 24 << 20

# Rows of a tile; X stays in the first cache as block_cols x a panel of columns.
BLOCK_ROWS = 256


def prepare(A, *, columns=None, transpose=False, threads=None):
    """A layout of A for repeated products.

    Parameters
    ----------
    A : scipy.sparse array or matrix, (m, n)
        float32 and float64 get a layout of their own; other types are kept as CSR.  A is not referred to afterwards.
    columns : int, optional
        The number of columns of the dense operand that matters most; None: many.  Any number works.
    transpose : bool
        Prepare ``A.T`` too, for ``matmul(P.T, Y)``.  Otherwise the first product with ``P.T`` does it.
    threads : int, optional
        See `sparsecore.get_num_threads`.

    Returns
    -------
    Prepared
        For `matmul` and ``@``: the values of ``matmul(A, X)`` to rounding, the same bits on any number of threads.

    Raises
    ------
    ValueError, TypeError
        A malformed matrix (it is checked in full here, and never again), columns < 1.

    Notes
    -----
    Preparing reads all entries a few times and copies them once; a product with n columns is nnz(A) n multiplications.
    Layouts: 'csr', 'csr16' (16-bit columns); for one column 'sliced' (the same by eight rows of about one length),
    'listed' (rows by fours, columns listed by the rows they meet) and 'bitmask' (one bit for every element); for more
    'blocked' (tiles of rows in the order of their counts, 8-bit columns) and 'patterned' (tiles of rows by fours,
    columns grouped by the rows they meet).  Inspector-executor as in the OSKI and MKL sparse libraries; Vuduc, Demmel,
    Yelick, J. Phys. Conf. Ser. 16 (2005).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp, sparsecore as sc
    >>> P = sc.prepare(sp.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]])))
    >>> P @ np.array([3.0, 4.0])
    array([8., 3.])
    """
    if columns is not None:
        columns = _args.count(columns, "columns", 1, np.iinfo(np.int64).max, "columns of the dense operand")
    R = structure.canonical(_args.rows(A), threads)
    t = _threads.resolve(threads, R.indices.shape[0])
    plans = _Plans(R, columns)
    P = Prepared(plans, False)
    for transposed in (False, True) if transpose else (False,):
        plans.build(transposed, t)
    plans.source = None
    return P


def _choose(shape, nnz, columns, dtype):
    """Layout and tile of a matrix: thresholds measured in bench/prepared.py."""
    m, n = shape
    if dtype not in (np.float32, np.float64) or not m or not n or not nnz:
        return "csr", None
    density = nnz / (m * n)
    rows = BLOCK_ROWS if m > BLOCK_ROWS else 64 if m <= 64 else 128
    whole = "csr16" if n <= 1 << 16 else "csr"
    cols = 128
    level = _core.isa_chosen()
    if columns == 1:
        if level == "avx2" and density >= 0.35 and nnz * np.dtype(dtype).itemsize > MEMORY_BYTES:
            return "bitmask", (64, n)
        if level == "avx2" and n < 1 << 16:
            return "listed" if density >= 0.2 else "sliced", (rows, n)
        if level != "base" and density >= (0.3 if level == "avx512" else 0.35):      # bits become lanes
            return "bitmask", (rows, n)
        if level != "avx2" and density >= 0.13:     # 8-bit columns: what does not fit the cache is read faster
            return "blocked", (rows, cols)
    if columns == 1 or density * cols < 2:     # or tiles with hardly an entry in a row
        return whole, (rows, n)
    if level == "avx2" and density >= 0.38:     # with half the registers longer lists pay: their ends are mispredicted
        return "patterned", (rows, 240)
    return ("patterned" if density >= 0.25 and level != "avx2" else "blocked"), (rows, cols)


class _Layout:
    """One matrix laid out: the arrays that the kernels read."""

    def __init__(self, shape, layout, block, arrays, nnz, dtype):
        self.shape, self.layout, self.block, self.arrays = shape, layout, block, arrays
        self.nnz, self.dtype = nnz, dtype

    @property
    def nbytes(self):
        return sum(a.nbytes for a in self.arrays)

    @classmethod
    def build(cls, R, by_columns, columns, threads):
        """The layout of the compressed matrix R, or of its transpose."""
        shape, nnz, dtype = R.shape, R.indices.shape[0], R.data.dtype
        layout, block = _choose(shape[::-1] if by_columns else shape, nnz, columns, dtype)
        if by_columns and layout not in ("blocked", "patterned"):
            R, by_columns = structure.flipped(R, threads), False
            shape = R.shape
        final = shape[::-1] if by_columns else shape
        if layout == "csr":
            R = structure.narrow(R, threads)
            return cls(final, layout, None, tuple(np.array(a) for a in R[1:4]), nnz, dtype)
        start, heads = cls._space(final, layout, block)
        _core.prepare_count(*R[:4], by_columns, layout, block, start, heads, threads)
        # Whole vectors are read at the end of values and of 16-bit columns.
        listed, stored = {"sliced": start[[-1, -1]], "listed": start[-2:],
                          "bitmask": (-16, nnz)}.get(layout, (nnz, nnz))
        index = np.empty(listed + 16, np.uint16 if layout in ("csr16", "sliced", "listed") else np.uint8)
        data = np.empty(stored + 16, dtype)
        index[listed:], data[stored:] = 0, 0
        _core.prepare_fill(*R[:4], by_columns, layout, block, start, heads, index, data, threads)
        return cls(final, layout, block, (start, heads, index, data), nnz, dtype)

    @staticmethod
    def _space(shape, layout, block):
        """Room for start and heads; heads are counted up from 0."""
        (m, n), (rows, cols) = shape, block
        tiles = -(-m // rows) * -(-n // cols)
        if layout == "csr16":
            return np.empty(m + 1, np.int64), np.empty(0, np.uint8)
        if layout == "bitmask":
            return np.empty(m + 1, np.int64), np.zeros(m * -(-n // 16), np.uint16)
        if layout == "listed":
            return np.empty(2 * (tiles + 1), np.int64), np.zeros(tiles * rows * 4, np.uint16)
        if layout == "sliced":
            return np.empty(tiles * rows // 8 + 1, np.int64), np.empty(tiles * rows, np.uint8)
        if layout == "blocked":
            return np.empty(tiles + 1, np.int64), np.zeros(tiles * 2 * rows, np.uint8)
        return np.empty(2 * (tiles + 1), np.int64), np.zeros(tiles * rows * 4, np.uint8)

    def matmul(self, X, C, threads):
        """C = self @ X for 2-D arrays of this layout's type (csr: of any)."""
        _core.prepared_matmul(self.shape, self.layout, self.block, *self.arrays, self.nnz, X, C, threads)

    def tocsr(self):
        """The matrix it was made of, canonical."""
        if self.layout == "csr":
            return _args.wrap(sp.csr_array, self.shape, *(a.copy() for a in self.arrays))
        row, col, data = self._entries()
        return structure.from_coo((data, (row, col)), self.shape)

    def _entries(self):
        """Row, column and value of every entry in the order of storage."""
        start, heads, index, data = self.arrays
        (m, n), (rows, cols) = self.shape, self.block
        if self.layout == "sliced":
            slices = np.repeat(np.arange(start.size - 1), np.diff(start) // 8)
            row = (slices * 8 // rows * rows)[:, None] + heads.reshape(-1, 8)[slices]
            kept = index[:-16] < n
            return row.ravel()[kept], index[:-16][kept].astype(np.int64), data[:-16][kept]
        bits = (np.arange(16)[:, None] >> np.arange(4)) & 1         # of the masks of four rows
        if self.layout == "listed":
            eights = heads.reshape(-1, 16).astype(np.int64)         # group, mask
            group, mask = (np.repeat(a.ravel(), eights.ravel()) for a in np.indices(eights.shape))
            which, row = np.nonzero(bits[mask])                     # of the eights of columns; of the group
            column = index[:-16].reshape(-1, 8)[which].ravel()
            row = np.repeat(row + 4 * group[which], 8)
            kept = column < n
            return row[kept], column[kept].astype(np.int64), data[:-16][kept]
        index, data = index[: self.nnz], data[: self.nnz]
        if self.layout == "csr16":
            return np.repeat(np.arange(m), np.diff(start)), index.astype(np.int64), data
        if self.layout == "bitmask":
            bits = np.unpackbits(heads.view(np.uint8), bitorder="little").reshape(m, -1)
            return (*np.nonzero(bits), data)
        blocks = -(-n // cols)
        if self.layout == "blocked":
            heads = heads.reshape(-1, 2, rows)
            first = np.arange(heads.shape[0])
            row = (first // blocks * rows)[:, None] + heads[:, 0]
            tile = np.repeat(first % blocks * cols, heads[:, 1].sum(axis=1, dtype=np.int64))
            return np.repeat(row.ravel(), heads[:, 1].ravel()), index + tile, data
        heads = heads.reshape(-1, rows // 4, 16)        # tile, group, mask
        lists = heads.sum(axis=(1, 2), dtype=np.int64)
        entries = (heads * bits.sum(axis=1)).sum(axis=(1, 2), dtype=np.int64)
        index, data = index[_runs(start[:-2:2], lists)], data[_runs(start[1:-2:2], entries)]
        tile, group, mask = (np.repeat(a.ravel(), heads.ravel()) for a in np.indices(heads.shape))
        which, row = np.nonzero(bits[mask])             # of the list of columns; of the group
        row += (tile // blocks * rows + group * 4)[which]
        return row, (index + tile % blocks * cols)[which], data


def _runs(first, count):
    """first[0], first[0] + 1, ... (count[0] of them), first[1], ..."""
    return np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)


class _Plans:
    """What a Prepared and its transpose share: the layouts of A and of A.T, the second made when first needed."""

    def __init__(self, R, columns):
        self.columns, self.stored_by_columns = columns, R.transposed
        self.layouts = {}
        self.source = R        # until the forward layout is there
        self.lock = threading.Lock()

    def build(self, transposed, threads):
        """The layout of A (transposed: of A.T)."""
        found = self.layouts.get(transposed)
        if found is None:
            with self.lock:
                found = self.layouts.get(transposed)
                if found is None:
                    R, by_columns = self.source, transposed != self.stored_by_columns
                    if R is None:
                        R, by_columns = _args.rows(self.layouts[not transposed].tocsr()), True
                    found = _Layout.build(R, by_columns, self.columns, threads)
                    self.layouts[transposed] = found
        return found

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "lock"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.lock = threading.Lock()


class Prepared:
    """A matrix laid out for repeated products; made by `prepare`.

    Attributes
    ----------
    shape, dtype, nnz : of the matrix
    layout : str
        'csr', 'csr16', 'sliced', 'listed', 'bitmask', 'blocked' or 'patterned'.
    nbytes : int
        Memory of this layout (with the transposed one: ``P.nbytes + P.T.nbytes``).
    T : Prepared
        The transpose, a view on the same object.
    """

    __array_ufunc__ = None      # X @ P comes here

    def __init__(self, plans, transposed):
        self._plans, self._transposed = plans, transposed

    def _layout(self, threads=None):
        found = self._plans.layouts.get(self._transposed)
        if found is None:
            found = self._plans.build(self._transposed, _threads.resolve(threads))
        return found

    @property
    def shape(self):
        return self._layout().shape

    @property
    def dtype(self):
        return self._layout().dtype

    @property
    def nnz(self):
        return self._layout().nnz

    @property
    def layout(self):
        return self._layout().layout

    @property
    def nbytes(self):
        return self._layout().nbytes

    ndim = 2

    @property
    def T(self):
        return Prepared(self._plans, not self._transposed)

    def tocsr(self):
        """The matrix as a canonical csr_array."""
        return self._layout().tocsr()

    def __repr__(self):
        m, n = self.shape
        return f"<Prepared {m} x {n} {self.dtype}, {self.nnz} entries, layout '{self.layout}', {self.nbytes} bytes>"

    def __matmul__(self, X):
        return products.matmul(self, X)

    def __rmatmul__(self, X):
        return products.matmul(X, self)

    def __sparse_matmul__(self, X, out=None, threads=None):
        """self @ X for a dense vector or panel: what `matmul` calls."""
        P = self._layout(threads)
        if (out is None and type(X) is np.ndarray and X.dtype == P.dtype and P.block is not None
                and 1 <= X.ndim <= 2 and X.shape[0] == P.shape[1]
                and (X.flags.c_contiguous or X.flags.f_contiguous) and X.flags.aligned):
            return self._run(P, X, None, threads)       # nothing to coerce: small products stay small
        if _args.is_sparse(X) or P.layout == "csr":
            return products.matmul(P.tocsr() if _args.is_sparse(X) else self._csr(P), X, out=out, threads=threads)
        X = np.asarray(X)
        if X.ndim not in (1, 2):
            raise ValueError(f"a dense operand must have 1 or 2 dimensions; it has {X.ndim}")
        m, n = P.shape
        if X.shape[0] != n:
            raise ValueError(f"{'x has length' if X.ndim == 1 else 'X has'} {X.shape[0]}"
                             f"{'' if X.ndim == 1 else ' rows'}; A has {n} columns")
        if _args.result_type(P.dtype, X.dtype) != P.dtype:
            # Of a wider type than the layout's: through the plain product, so that no bit of X is lost.
            return products.matmul(P.tocsr(), X, out=out, threads=threads)
        x = X if X.dtype == P.dtype and X.flags.aligned else X.astype(P.dtype)
        if any(s % x.itemsize for s in x.strides):
            x = np.ascontiguousarray(x)
        if out is None:
            return self._run(P, x, None, threads)
        _args.check_out(out, (m, *X.shape[1:]), P.dtype, (X, *P.arrays))
        if _args.in_place(out):
            return self._run(P, x, out, threads)
        out[...] = self._run(P, x, None, threads)
        return out

    @staticmethod
    def _run(P, x, y, threads):
        """y = P @ x, all of P's type; without y a new array in the order of x: a batch of rows, seen as columns, comes
        back as a batch of rows."""
        if x.ndim == 1:
            if y is None:
                y = np.empty(P.shape[0], P.dtype)
            X, C, n = x[:, None], y[:, None], 1
        else:
            n = x.shape[1]
            if y is None:
                strides = x.strides
                y = np.empty((P.shape[0], n), P.dtype, "F" if abs(strides[0]) < abs(strides[1]) else "C")
            X, C = x, y
        if n:
            P.matmul(X, C, _threads.resolve(threads, P.nnz * n))
        return y

    @staticmethod
    def _csr(P):
        return _args.wrap(sp.csr_array, P.shape, *P.arrays)
