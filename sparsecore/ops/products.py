"""Products of sparse with dense and sparse operands."""

import numpy as np

from .. import _args, _core, _threads
from . import large
from .spgemm import sparse_sparse
from .structure import checked, wrapped

__all__ = ["matmul"]


def matmul(A, B, *, out=None, threads=None):
    """A @ B where A, B or both are sparse.

    Parameters
    ----------
    A, B : scipy.sparse array or matrix, or array_like
        sparse @ vector, sparse @ dense, dense @ sparse, sparse @ sparse.  Dense operands may have any strides.
    out : ndarray, optional
        Where a dense result goes: its shape and type, writeable, not overlapping A or B.
    threads : int, optional
        See `sparsecore.get_num_threads`.  The result has the same bits for any number.

    Returns
    -------
    ndarray where one operand is dense.  Else a sparse matrix of the family (array or matrix) of A, CSC if A is CSC
    and CSR otherwise, with sorted rows, no duplicates, and (as SciPy's) no entries that are exactly zero.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, malformed sparse matrices, operands that hold no numbers, an `out` that does not fit.

    Notes
    -----
    Values promote as NumPy's.  float16 and bfloat16 are stored values: sums are formed in float32 and rounded once.
    Types without a kernel (integers, long double) go through SciPy.  Work: nnz(A) n for n dense columns; for two sparse
    matrices one multiplication for every pair of entries that meet, row by row, and the sorting of rows (Gustavson,
    ACM Trans. Math. Softw. 4, 1978).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp, sparsecore as sc
    >>> sc.matmul(sp.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]])), np.array([3.0, 4.0]))
    array([8., 3.])
    """
    if out is None and threads is None:
        result = _core.ordinary_product(A, B, _threads.CROSSOVER, _threads.resolve)
        if result is not None:
            return result
    laid_out = hasattr(B, "__sparse_matmul__")
    if hasattr(A, "__sparse_matmul__"):
        if laid_out:
            raise TypeError(f"one operand must be an ordinary array or matrix; "
                            f"they are {type(A).__name__} and {type(B).__name__}")
        return A.__sparse_matmul__(B, out, threads)
    sparse_A, sparse_B = _args.is_sparse(A), _args.is_sparse(B)
    if sparse_A and not sparse_B and not laid_out:
        return _sparse_dense(A, B, out, threads)
    if laid_out or sparse_B and not sparse_A:
        # A @ B = (B.T @ A.T).T, and B.T is B's buffers read the other way.
        A = A if sparse_A else np.asarray(A)
        if A.ndim not in (1, 2):
            raise ValueError(f"a dense operand must have 1 or 2 dimensions; A has {A.ndim}")
        if A.shape[-1] != B.shape[0]:
            raise ValueError(f"A has {A.shape[-1]} columns; B has {B.shape[0]} rows")
        if out is not None:
            _args.check_shape(out, A.shape[:-1] + B.shape[1:])
        turned = None if out is None else out.T
        result = (matmul(B.T, A.T, out=turned, threads=threads) if laid_out
                  else _sparse_dense(B.T, A.T, turned, threads, swapped=True))
        return out if out is not None else result.T
    if not sparse_A:
        raise TypeError(f"one operand must be sparse; got {type(A).__name__} and {type(B).__name__}")
    if out is not None:
        raise TypeError("out must be None: the product of two sparse matrices is sparse")
    return sparse_sparse(A, B, threads)


def _sparse_dense(A, X, out, threads, swapped=False):
    """A @ X for dense X with 1 or 2 dimensions; swapped: the caller computes X.T @ A.T."""
    R = _args.rows(A, "B" if swapped else "A")
    X = np.asarray(X)
    if X.ndim not in (1, 2):
        raise ValueError(f"a dense operand must have 1 or 2 dimensions; it has {X.ndim}")
    m, n = A.shape
    if X.shape[0] != n:
        raise ValueError(f"{'x has length' if X.ndim == 1 else 'X has'} {X.shape[0]}{'' if X.ndim == 1 else ' rows'}; "
                         f"A has {n} columns")
    if X.dtype.kind not in "biufc" and not _args.has_kernel(X.dtype):
        raise TypeError(f"a dense operand must hold numbers, not {X.dtype}")
    dtype = _args.result_type(R.data.dtype, X.dtype)
    if not _args.has_kernel(dtype):
        # Integers and exotic types: through SciPy, which trusts its indices.
        result = wrapped(A, checked(R._replace(data=_args.real_or_complex(R.data, dtype)), threads)) @ X
        if out is None:
            return result
        _args.check_out(out, result.shape, result.dtype, (R.data, X))[...] = result
        return out
    # Half precision is stored, not computed: sums and dense operands are float32.
    compute = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    half = R.data.dtype.name in ("float16", "bfloat16") and compute == np.float32
    data = R.data if half else _args.real_or_complex(R.data, compute)
    x = X if X.dtype == compute and X.flags.aligned else X.astype(compute)
    if any(s % x.itemsize for s in x.strides):
        x = np.ascontiguousarray(x)
    shape = (m,) + X.shape[1:]
    if out is not None:
        _args.check_out(out, shape, dtype, (R.data, R.indices, R.indptr, X))
    usable = out is not None and out.dtype == compute and _args.in_place(out)
    columns = 1 if X.ndim == 1 else X.shape[1]
    t = _threads.resolve(threads, R.indices.shape[0] * columns + m)
    if X.ndim == 1:
        x = np.ascontiguousarray(x)
        y = out if usable and out.flags.c_contiguous else large.empty(m, compute, least=_core.KEEP_DENSE)
        _core.spmv(R.shape, R.indptr, R.indices, data, x, y, R.transposed, t)
    else:
        order = "F" if swapped and out is None else "C"
        y = out if usable else large.empty(shape, compute, order, _core.KEEP_DENSE)
        _core.spmm(R.shape, R.indptr, R.indices, data, x, y, R.transposed, t)
    if out is not None and y is not out:
        out[...] = y
        return out
    return y if y.dtype == dtype else y.astype(dtype)
