"""Products of two sparse matrices, and products of which only a part is wanted."""

import numpy as np

from .. import _args, _core, _threads
from .structure import validate

__all__ = []


def _compute_type(dtype):
    """Half precision is stored, not computed."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _check_inner(A, B):
    if A.shape[1] != B.shape[0]:
        raise ValueError(f"A has {A.shape[1]} columns; B has {B.shape[0]} rows")


def _pair(A, B):
    """(R, S, column): the views whose product R @ S is A @ B, or (column) its transpose."""
    RA = _args.rows(A, "A")
    if RA.transposed:
        # (A @ B).T = B.T @ A.T, and the CSC buffers of B and A are the CSR buffers of those.
        return _as_format(B, "csc", "B"), RA, True
    return RA, _as_format(B, "csr", "B"), False


def _as_format(M, fmt, name):
    R = _args.rows(M, name)
    if R.transposed == (fmt == "csc"):
        return R
    validate(M)
    return _args.rows(M.asformat(fmt), name)


def _work(R, S):
    """Products to expect if the rows of S were equally long."""
    return int(R.indices.shape[0] * (S.indices.shape[0] / max(1, S.shape[0]))) + R.shape[0]


def _result(A, B, column, parts):
    fmt = "csc" if column else "csr"
    return _args.wrap(_args.container(A, fmt), (A.shape[0], B.shape[1]), *parts)


def sparse_sparse(A, B, threads=None):
    """A @ B for sparse A and B: canonical, without exact zeros, sums in the order of A's entries (SciPy's bits)."""
    _check_inner(A, B)
    dtype = np.result_type(A.dtype, B.dtype)
    if not _args.has_kernel(dtype):
        validate(A)
        validate(B)
        C = (A @ B).asformat("csc" if A.format == "csc" else "csr")
        C.sum_duplicates()
        return C
    R, S, column = _pair(A, B)
    if S.shape[1] > np.iinfo(np.int32).max:
        # Kernels hold columns in 32 bits: number those that occur, in order, and put the names back.
        names, narrow = np.unique(S.indices, return_inverse=True)
        if names.size and not 0 <= names[0] <= names[-1] < S.shape[1]:
            validate(B)
        narrow = S._replace(shape=(S.shape[0], names.size), indices=narrow.astype(np.int32))
        indptr, indices, data = _multiply(R, narrow, dtype, threads)
        parts = indptr.astype(np.int64), names[indices].astype(np.int64), data
    else:
        parts = _multiply(R, S, dtype, threads)
    return _result(A, B, column, parts)


def _multiply(R, S, dtype, threads):
    compute = _compute_type(dtype)
    indptr, indices, data = _core.spgemm(
        R.shape, R.indptr, R.indices, _args.real_or_complex(R.data, compute),
        S.shape, S.indptr, S.indices, _args.real_or_complex(S.data, compute), _threads.resolve(threads, _work(R, S)))
    return indptr, indices, data if data.dtype == dtype else data.astype(dtype)
