"""The matrix as the solvers see it: products of A and of A^H with panels, and little else."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp

from .. import _args, _core
from ..ops.structure import canonical, flipped, narrow
from .panels import SERIAL, empty, outer, pack, unpack, width

# Values in a chunk of rows of a dense matrix, and entries in a block of rows of a matrix on disk.
DENSE_CHUNK = 1 << 19
DISK_BLOCK = 1 << 22
# Values of a dense matrix that is copied for the sake of speed.
PANELS = 1 << 26


class RowBlocks:
    """A matrix that is only seen by blocks of rows: out of core, or made on the fly.

    Parameters
    ----------
    blocks : callable
        `blocks()` returns a fresh iterator over the blocks, from the first row to the last: sparse or dense arrays of
        `shape[1]` columns, the same ones each time.
    shape : (int, int)
    dtype : dtype, optional
        float64 if not given.

    Notes
    -----
    A CSR matrix on `numpy.memmap` buffers needs no RowBlocks: `truncated_svd` reads it by blocks of rows of its own
    accord and gives the pages back as it goes.
    """

    def __init__(self, blocks, shape, dtype=np.float64):
        if not callable(blocks):
            raise TypeError(f"blocks must be a callable that returns an iterator, not {type(blocks).__name__}")
        self.blocks, self.dtype = blocks, np.dtype(dtype)
        self.shape = tuple(int(n) for n in shape)
        if len(self.shape) != 2:
            raise ValueError(f"shape must have 2 entries; it has {len(self.shape)}")


class Operator:
    """A (m x n): mul gives A X, tmul A^H Y, on panels; counts passes over A and columns multiplied."""

    dear = False      # a pass costs much more than its arithmetic: use wide blocks
    dense = False     # BLAS does the products

    def __init__(self, shape, dtype, threads):
        self.shape, self.dtype, self.threads = tuple(shape), np.dtype(dtype), threads
        self.width = width(dtype)
        self.passes = self.matvecs = 0
        self.entries = self.shape[0] * self.shape[1]        # stored values that a product reads, as far as known

    def values(self):
        """The values of A as an iterator of one-dimensional arrays, or None where that would cost a pass."""
        return None

    def settle(self):
        """Called before many products."""

    def single(self, factor):
        """factor A in float32, A in float64; None where there is none."""
        return None

    def wide(self):
        """A as it is, multiplied in double precision; None where there is no such product."""
        return self

    def longest(self):
        """Terms that a sum of A^H Y adds up one after the other, at most."""
        return min(self.shape[0], 4096)

    def _computing(self, dtype, **fields):
        other = copy.copy(self)
        other.__dict__.update(fields, dtype=np.dtype(dtype), width=width(dtype))
        return other

    def mul(self, X, out=None):
        self.passes += 1
        self.matvecs += X.shape[0] * X.shape[2]
        return self._mul(X, out)

    def tmul(self, Y, out=None, passes=1):
        self.passes += passes
        self.matvecs += Y.shape[0] * Y.shape[2]
        return self._tmul(Y, out)


class Transposed(Operator):
    """A^H of an operator; shares its counters."""

    def __init__(self, op):
        self.op, self.shape, self.dtype, self.threads = op, op.shape[::-1], op.dtype, op.threads
        self.dear, self.dense, self.values, self.width = op.dear, op.dense, op.values, op.width
        self.entries = op.entries
        self.mul, self.tmul, self.settle = op.tmul, op.mul, op.settle

    passes = property(lambda self: self.op.passes)
    matvecs = property(lambda self: self.op.matvecs)


def into(out, Y):
    """Y, in `out` if there is one."""
    if out is None or out is Y:
        return Y
    out[...] = Y
    return out


def cut(a):
    """A one-dimensional array by chunks."""
    for i in range(0, a.shape[0], 1 << 18):
        yield a[i : i + (1 << 18)]


def double(dtype):
    """The type of double precision that goes with a type."""
    return np.dtype(np.complex128 if np.dtype(dtype).kind == "c" else np.float64)


def sum_of_squares(chunks, squeeze=1.0):
    """Sum of |squeeze a|^2 in double."""
    total = 0.0
    for a in chunks:
        part = a.astype(double(a.dtype), copy=False)
        part = part if squeeze == 1.0 else part * squeeze
        total += float(np.vdot(part, part).real)
    return total


def _single(a, factor):
    return np.multiply(a, factor, out=np.empty(a.shape, np.float32), casting="same_kind")


class Sparse(Operator):
    """CSR or CSC; the other orientation is kept too where many passes are to come.

    A block of rows (whole=False) is checked by each product and by nothing else."""

    def __init__(self, A, dtype, threads, keep_transpose, whole=True):
        super().__init__(A.shape, dtype, threads)
        R = _args.rows(A)
        if whole:       # norms are sums over the stored values: duplicates are summed first
            R = narrow(canonical(R, threads), threads)
        R = R._replace(data=_args.real_or_complex(R.data, dtype))
        self.here, self.entries = R, R.data.shape[0]
        other = flipped(R, threads) if keep_transpose else None
        self.forward, self.back = (other, R) if R.transposed else (R, other)
        self.team = threads if R.data.shape[0] * self.width >= SERIAL else 1

    def values(self):
        return cut(self.here.data)

    def single(self, factor):
        here = self.here._replace(data=_single(self.here.data, factor))
        other = self.forward if self.back is self.here else self.back
        if other is not None:
            other = other._replace(data=_single(other.data, factor))
        forward, back = (other, here) if self.back is self.here else (here, other)
        return self._computing(np.float32, here=here, forward=forward, back=back)

    def wide(self):
        dtype = double(self.dtype)
        if dtype == self.dtype:
            return self
        M = self.back or self.forward
        M = M._replace(data=M.data.astype(dtype))
        back, forward = (M, None) if self.back else (None, M)
        return self._computing(dtype, here=M, forward=forward, back=back)

    def longest(self):
        if self.back is not None:
            return int(np.diff(self.back.indptr).max(initial=0))
        return int(np.bincount(self.forward.indices, minlength=1).max())

    def _product(self, M, X, rows, flip, out):
        Y = empty(X.shape[0], rows, self.dtype) if out is None else out
        for x, y in zip(X, Y):
            _core.spmm(M.shape, M.indptr, M.indices, M.data, x, y, flip, self.team)
        return Y

    def _mul(self, X, out=None):
        M = self.forward or self.back
        return self._product(M, X, self.shape[0], M is self.back, out)

    def _tmul(self, Y, out=None):
        M = self.back or self.forward
        if self.dtype.kind != "c":
            return self._product(M, Y, self.shape[1], M is self.forward, out)
        Z = self._product(M, Y.conj(), self.shape[1], M is self.forward, out)
        return np.conj(Z, out=Z)


class Dense(Operator):
    """A dense array of any strides, by chunks of rows that each run on one thread of BLAS, or in panels."""

    dense = True

    def __init__(self, A, dtype, threads):
        super().__init__(A.shape, dtype, threads)
        self.A, self.P = A.astype(dtype, copy=False), None
        step = max(64, DENSE_CHUNK // max(1, A.shape[1]))
        parts = max(1, min(16, A.shape[0] // step))
        self.cuts = [slice(A.shape[0] * i // parts, A.shape[0] * (i + 1) // parts) for i in range(parts)]

    def values(self):
        for c in self.cuts:
            yield from cut(self.A[c].ravel(order="K"))

    def settle(self):
        """Copies A into panels where many products are to come: with a block they are those of tall matrices.

        BLAS packs all of A anew for every product with few columns: 44 us against 24 for 200 x 200 and 8 columns, 23 to
        33 ms against 10 to 12 for 4096 x 4096, in double; in single precision a third of the time.
        """
        if self.P is None and self.dtype.kind != "c" and self.A.size <= PANELS:
            self.P = self._panels(1)

    def single(self, factor):
        narrow = self._computing(np.float32)
        narrow.P = narrow._panels(factor)
        return narrow

    def wide(self):
        # BLAS gets chunks of rows, which NumPy converts.
        return self if double(self.dtype) == self.dtype else self._computing(double(self.dtype), P=None)

    def _panels(self, factor):
        m, n = self.shape
        P = empty(-(-n // self.width), m, self.dtype)
        A = self.A if self.A.flags.aligned and all(s % self.A.itemsize == 0 for s in self.A.strides) else self.A.copy()
        strides = [s // A.itemsize for s in A.strides]
        _core.panels_fill(A, strides, factor, P, self.threads if A.size >= SERIAL else 1)
        return P

    def _each(self, work, cuts):
        if self.threads == 1 or len(cuts) == 1:
            return [work(c) for c in cuts]
        with ThreadPoolExecutor(min(self.threads, len(cuts))) as pool:
            return list(pool.map(work, cuts))

    def product(self, X):
        """A X for an ordinary (n, columns) array."""
        Y = np.empty((self.shape[0], X.shape[1]), self.dtype)
        self._each(lambda c: np.matmul(self.A[c], X, out=Y[c]), self.cuts)
        return Y

    def _mul(self, X, out=None):
        if self.P is None:
            return into(out, pack(self.product(unpack(X))))
        Y = empty(X.shape[0], self.shape[0], self.dtype) if out is None else out
        padded = self.P.shape[0] * self.width
        if padded == self.shape[1]:
            minus = np.negative(X)
        else:
            minus = np.zeros((X.shape[0], padded, self.width), self.dtype)
            np.negative(X, out=minus[:, : self.shape[1]])
        Y[...] = 0
        _core.panels_subtract(self.P, minus, Y, self._team(X))
        return Y

    def _tmul(self, Y, out=None):
        if self.P is not None:
            padded, n = self.P.shape[0] * self.width, self.shape[1]
            Z = out if padded == n and out is not None else empty(Y.shape[0], padded, self.dtype)
            _core.panels_inner(self.P, Y, Z, False, self._team(Y))
            return np.ascontiguousarray(Z[:, :n]) if out is None else into(out, Z[:, :n])
        Y = unpack(Y)
        parts = self._each(lambda c: self.A[c].conj().T @ Y[c], self.cuts)
        total = parts[0]
        for part in parts[1:]:
            total += part
        return into(out, pack(total))

    def _team(self, X):
        return self.threads if self.entries * X.shape[0] * self.width >= SERIAL else 1

    def gram(self, transposed=False):
        """A^H A, or A A^H, by chunks of the long side."""
        A = self.A.conj().T if transposed else self.A
        m, n = A.shape
        parts = int(max(1, min(16, m // 64, m * n * n >> 25)))
        total = 0
        for part in self._each(lambda c: A[c].conj().T @ A[c], [slice(m * i // parts, m * (i + 1) // parts)
                                                                for i in range(parts)]):
            total = total + part
        return total


class Blocks(Operator):
    """A row-block source: a pass runs through all blocks."""

    dear = True

    def __init__(self, source, dtype, threads):
        super().__init__(source.shape, dtype, threads)
        self.source = source

    def wide(self):
        return self._computing(double(self.dtype))

    def blocks(self):
        """(first row, block as an operator) in order."""
        r = 0
        m, n = self.shape
        for block in self.source.blocks():
            block = block if sp.issparse(block) else np.asarray(block)
            if block.ndim != 2 or block.shape[1] != n:
                raise ValueError(f"a block of rows has shape {block.shape}; the matrix has {n} columns")
            if r + block.shape[0] > m:
                raise ValueError(f"the blocks have more than the {m} rows of the matrix")
            op = Sparse(block, self.dtype, self.threads, False, False) if sp.issparse(block) else Dense(
                block, self.dtype, self.threads)
            yield r, op
            r += block.shape[0]
        if r != m:
            raise ValueError(f"the blocks have {r} rows; the matrix has {m}")

    def _mul(self, X, out=None):
        Y = empty(X.shape[0], self.shape[0], self.dtype) if out is None else out
        for r, op in self.blocks():
            Y[:, r : r + op.shape[0]] = op._mul(X)
        return Y

    def _tmul(self, Y, out=None):
        Z = np.zeros((Y.shape[0], self.shape[1], self.width), self.dtype)
        for r, op in self.blocks():
            Z += op._tmul(np.ascontiguousarray(Y[:, r : r + op.shape[0]]))
        return into(out, Z)


def mapped(A):
    """A CSR matrix on memory-mapped buffers as a RowBlocks that gives pages back; None for another matrix."""
    if not sp.issparse(A) or A.format != "csr":
        return None
    maps = [_map_of(a) for a in (A.data, A.indices)]
    if not any(m is not None for m in maps):
        return None
    indptr = np.asarray(A.indptr)

    def blocks():
        m, r = A.shape[0], 0
        while r < m:
            p = int(indptr[r])
            end = max(r + 1, int(np.searchsorted(indptr, p + DISK_BLOCK, side="right")) - 1)
            stop = int(indptr[end])
            view = sp.csr_array((end - r, A.shape[1]), dtype=A.dtype)
            view.data, view.indices = np.asarray(A.data[p:stop]), np.asarray(A.indices[p:stop])
            view.indptr = (indptr[r : end + 1] - indptr[r]).astype(A.indices.dtype)
            yield view
            for mm in maps:
                if mm is not None and hasattr(mm, "madvise"):
                    mm.madvise(4)      # MADV_DONTNEED
            r = end

    return RowBlocks(blocks, A.shape, A.dtype)


def _map_of(a):
    """The mmap object under an array, or None."""
    while isinstance(a, np.ndarray):
        found = getattr(a, "_mmap", None)
        if found is not None:
            return found
        a = a.base
    return None


class Linear(Operator):
    """A scipy LinearOperator, or anything with its interface."""

    dear = True

    def __init__(self, A, dtype, threads):
        super().__init__(A.shape, dtype, threads)
        self.A = A

    def wide(self):
        return self if double(self.dtype) == self.dtype else None       # what it computes in is its own affair

    def _apply(self, f, X):
        Y = np.asarray(f(unpack(X)))
        return pack(Y.astype(self.dtype, copy=False))

    def _mul(self, X, out=None):
        return into(out, self._apply(self.A.matmat, X))

    def _tmul(self, Y, out=None):
        return into(out, self._apply(self.A.rmatmat, Y))


class Scaled(Operator):
    """2^-shift left (A - centre) right: diagonals as vectors, factors as operators, the centre as an outer product."""

    def __init__(self, op, left=None, right=None, centre=None):
        self.left, self.right, self.op = left, right, op
        m = left.shape[0] if isinstance(left, Operator) else op.shape[0]
        n = right.shape[1] if isinstance(right, Operator) else op.shape[1]
        super().__init__((m, n), op.dtype, op.threads)
        self.dear, self.dense, self.entries = op.dear, op.dense, op.entries
        self.squeeze = None
        self.exact = centre
        self.centre = None if centre is None else tuple(c.astype(op.dtype) for c in centre)

    def settle(self):
        self.op.settle()

    def values(self):
        return self.op.values() if self.left is None and self.right is None and self.centre is None else None

    def single(self, factor):
        sides = [None if D is None else D.single(1.0) if isinstance(D, Operator) else D.astype(np.float32)
                 for D in (self.left, self.right)]
        factor *= 1.0 if self.squeeze is None else float(self.squeeze)
        op = self.op.single(factor)
        if op is None or any(D is not None and d is None for D, d in zip((self.left, self.right), sides)):
            return None
        centre = None
        if self.centre is not None:     # one of the two is all ones
            a, b = self.centre
            a, b = (a * factor, b) if np.all(b == 1) else (a, b * factor)
            centre = a.astype(np.float32), b.astype(np.float32)
        return self._computing(np.float32, op=op, left=sides[0], right=sides[1], centre=centre, squeeze=None)

    def wide(self):
        dtype, op = double(self.dtype), self.op.wide()
        if dtype == self.dtype:
            return self
        sides = [None if D is None else D.wide() if isinstance(D, Operator) else D.astype(dtype)
                 for D in (self.left, self.right)]
        if op is None or any(D is not None and d is None for D, d in zip((self.left, self.right), sides)):
            return None
        return self._computing(dtype, op=op, left=sides[0], right=sides[1], centre=self.exact)

    def longest(self):
        return max(self.op.longest(), self.left.longest() if isinstance(self.left, Operator) else 0)

    @staticmethod
    def _side(D, X, back):
        if D is None:
            return X
        if isinstance(D, Operator):
            return D._tmul(X) if back else D._mul(X)
        return X * (D.conj() if back else D)[None, :, None]

    def _mul(self, X, out=None):
        X = self._side(self.right, X if self.squeeze is None else X * self.squeeze, False)
        Y = self.op._mul(X, out if self.left is None else None)
        if self.centre is not None:
            outer(*self.centre, X, Y, self.threads)
        return into(out, self._side(self.left, Y, False))

    def _tmul(self, Y, out=None):
        Y = self._side(self.left, Y if self.squeeze is None else Y * self.squeeze, True)
        Z = self.op._tmul(Y, out if self.right is None else None)
        if self.centre is not None:
            outer(*self.centre[::-1], Y, Z, self.threads)
        return into(out, self._side(self.right, Z, True))


def value_type(dtype, name="A"):
    """The type A is computed in: float32, float64 and their complex kin stay; what is smaller or whole widens."""
    dtype = np.dtype(dtype)
    if dtype.name in ("float16", "bfloat16"):
        return np.dtype(np.float32)
    if dtype.kind in "biu" or dtype.name == "float64":
        return np.dtype(np.float64)
    if dtype.name in ("float32", "complex64", "complex128"):
        return dtype
    if dtype.kind in "fc":
        return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
    raise TypeError(f"{name} has values of type {dtype}; truncated_svd takes numbers")


def operator(A, dtype, threads, name="A", keep_transpose=True):
    """The operator of any input, computing in `dtype`."""
    if isinstance(A, RowBlocks):
        return Blocks(A, dtype, threads)
    if sp.issparse(A):
        source = mapped(A)
        return Blocks(source, dtype, threads) if source is not None else Sparse(A, dtype, threads, keep_transpose)
    if hasattr(A, "matmat"):
        return Linear(A, dtype, threads)
    return Dense(A, dtype, threads)


def admit(A, name="A"):
    """A as a matrix with shape and dtype: sparse, LinearOperator and RowBlocks as they are, the rest as arrays."""
    if not (isinstance(A, RowBlocks) or sp.issparse(A) or (hasattr(A, "matmat") and hasattr(A, "rmatmat"))):
        A = np.asarray(A)
    if len(A.shape) != 2:
        raise ValueError(f"{name} must have 2 dimensions; it has {len(A.shape)}")
    return A


def means(op, axis):
    """(a, b) with a b^H the means to subtract, of every row ('rows') or of every column ('columns'); in double, as
    sums of a long side in single precision are off by more than what they leave may be."""
    (m, n), work = op.shape, op.wide() or op
    ones = np.ones(n if axis == "rows" else m, double(op.dtype))
    total = (work.mul if axis == "rows" else work.tmul)(pack(ones[:, None].astype(work.dtype)))[0, :, 0]
    op.passes, op.matvecs = work.passes, work.matvecs
    total = total.astype(ones.dtype) / ones.shape[0]
    return (total, np.ones(n, ones.dtype)) if axis == "rows" else (np.ones(m, ones.dtype), total)


def side(D, length, name, dtype, threads):
    """`left` or `right` as a vector or as an operator, checked against A."""
    if D is None:
        return None
    what = "rows" if name == "left" else "columns"
    if not hasattr(D, "shape"):
        D = np.asarray(D)
    if len(D.shape) == 1:
        if D.shape[0] != length:
            raise ValueError(f"{name} has length {D.shape[0]}; A has {length} {what}")
        D = np.asarray(D)
        value_type(D.dtype, name)
        if not np.isfinite(D).all():
            raise ValueError(f"{name} has NaN or infinite values")
        return D.astype(dtype)
    D = operator(admit(D, name), dtype, threads, name)
    if (D.shape[1] if name == "left" else D.shape[0]) != length:
        raise ValueError(f"{name} has shape {D.shape}; A has {length} {what}")
    return D
