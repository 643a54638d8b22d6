"""Drop-in csr_array and csc_array: SciPy's classes whose operators run on the kernels.

A subclass of SciPy's array, so whatever takes a scipy.sparse array takes it; an operation for which there is no kernel
(integers, exotic types, indexing) is SciPy's own.  Results of operators are drop-ins again.  SciPy's C reads and writes
wherever indices point: so they are checked where an array is made, and again before an operator is left to SciPy, as
the buffers may have been changed since.
"""

import numpy as np
import scipy.sparse as sp

from . import _args, ops

__all__ = ["accelerate", "csc_array", "csr_array"]


class _Kernels:
    """The operators, before SciPy's in the order of resolution."""

    def __init__(self, arg1, *args, **kwargs):
        _check(arg1)
        super().__init__(arg1, *args, **kwargs)
        if isinstance(arg1, tuple) and len(arg1) == 3:
            _check(self)

    # SciPy's own methods ask these two which class a new matrix of that format takes.
    @property
    def _csr_container(self):
        return csr_array

    @property
    def _csc_container(self):
        return csc_array

    def _computed(self, *others):
        """Is there a kernel for these operands?  Else the call is SciPy's, and must not come back to us."""
        return self.ndim == 2 and _args.has_kernel(_args.result_type(self, *others))

    def __matmul__(self, other):
        if isinstance(other, np.ndarray) and other.ndim in (1, 2) and self._computed(other):
            return ops.matmul(self, other)
        if sp.issparse(other) and other.ndim == 2 and self._computed(other):
            return _own(ops.matmul(self, other))
        _check(self, other)
        return super().__matmul__(other)

    def __rmatmul__(self, other):
        if isinstance(other, np.ndarray) and other.ndim in (1, 2) and self._computed(other):
            return ops.matmul(other, self)
        _check(self, other)
        return super().__rmatmul__(other)

    def __add__(self, other):
        if self._fits(other):
            return _own(ops.add(self, other))
        _check(self, other)
        return super().__add__(other)

    def __sub__(self, other):
        if self._fits(other):
            return _own(ops.add(self, other, beta=-1))
        _check(self, other)
        return super().__sub__(other)

    def multiply(self, other):
        """Element by element, as SciPy's."""
        if self._fits(other):
            return _own(ops.multiply(self, other))
        _check(self, other)
        return super().multiply(other)

    def _fits(self, other):
        """A sparse operand of the same shape, with a kernel for the pair."""
        return sp.issparse(other) and other.shape == self.shape and self._computed(other)

    def tocsr(self, copy=False):
        if self.format == "csc" and self._computed():
            return _own(ops.tocsr(self))
        _check(self)
        return super().tocsr(copy=copy)

    def tocsc(self, copy=False):
        if self.format == "csr" and self._computed():
            return _own(ops.tocsc(self))
        _check(self)
        return super().tocsc(copy=copy)

    def toarray(self, order=None, out=None):
        if out is None and self._computed():
            return ops.todense(self, order=order or ("F" if self.format == "csc" else "C"))
        _check(self)
        return super().toarray(order=order, out=out)

    def sum(self, axis=None, dtype=None, out=None):
        if axis in (0, 1) and dtype is None and out is None and self._computed():
            return ops.sum(self, axis)
        _check(self)
        return super().sum(axis=axis, dtype=dtype, out=out)


class csr_array(_Kernels, sp.csr_array):
    """scipy.sparse.csr_array, with @, +, -, *, conversions and sums on the kernels.

    Takes what scipy.sparse.csr_array takes.

    Examples
    --------
    >>> import numpy as np, sparsecore as sc
    >>> A = sc.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> A @ np.array([3.0, 4.0])
    array([8., 3.])
    >>> type(A.T).__name__, (A @ A).nnz
    ('csc_array', 2)
    """


class csc_array(_Kernels, sp.csc_array):
    """scipy.sparse.csc_array, with @, +, -, *, conversions and sums on the kernels; see `csr_array`."""


def _check(*operands):
    """ValueError for a malformed matrix among the operands."""
    for A in operands:
        if sp.issparse(A) and A.ndim == 2 and A.format in ("csr", "csc", "coo", "bsr"):
            ops.validate(A)


def _own(C, canonical=True):
    """C as a drop-in on the same buffers; canonical as our results are."""
    if not sp.issparse(C) or C.format not in ("csr", "csc") or isinstance(C, _Kernels):
        return C
    cls = csr_array if C.format == "csr" else csc_array
    return _args.wrap(cls, C.shape, C.indptr, C.indices, C.data, canonical)


def accelerate(A):
    """A as a drop-in array: the same buffers, the operators of this library.

    Parameters
    ----------
    A : scipy.sparse array or matrix of shape (m, n)
        CSR and CSC keep their buffers (changes of one are seen by the other); other formats are converted to CSR.

    Returns
    -------
    csr_array or csc_array of this module.

    Raises
    ------
    TypeError, ValueError
        A is not sparse, not of 2 dimensions, or malformed.
    """
    if not sp.issparse(A):
        raise TypeError(f"A must be a scipy.sparse array or matrix, not {type(A).__name__}")
    if A.ndim != 2:
        raise ValueError(f"A must have 2 dimensions; it has {A.ndim}")
    if A.format in ("csr", "csc"):
        _check(A)
        C, nnz = _own(A, canonical=False), int(A.indptr[-1])      # not known; SciPy looks when it matters
        if C is not A and not C.indices.shape[0] == C.data.shape[0] == nnz:     # SciPy reads all that is there
            C.indices, C.data = C.indices[:nnz], C.data[:nnz]
        return C
    return _own(ops.tocsr(A))
