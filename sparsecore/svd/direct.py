"""Solvers for matrices with a small side: Gram matrix and eigenvectors, dense LAPACK, and the inverse for the smallest
singular values.  BLAS is held to one thread by the caller, so the bits do not depend on the number of threads."""

import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ..ops.spgemm import gram
from .operators import Dense, Operator, Sparse, Transposed, into
from .panels import pack, unpack
from .recurrences import eigh


def materialise(op):
    """A as a dense array, through products with the identity where it is not one."""
    if isinstance(op, Dense):
        return op.A
    if isinstance(op, Sparse):
        R = op.here
        A = sp.csr_array((R.data, R.indices, R.indptr), shape=R.shape).toarray()
        return A.T if R.transposed else A
    m, n = op.shape
    if m < n:
        return unpack(op.tmul(pack(np.eye(m, dtype=op.dtype))), m).conj().T
    return unpack(op.mul(pack(np.eye(n, dtype=op.dtype))), n)


def gram_matrix(op):
    """A^H A (n x n)."""
    turned = isinstance(op, Transposed)
    inner = op.op if turned else op
    if isinstance(inner, Dense):
        return inner.gram(turned)
    if isinstance(inner, Sparse) and op.dtype.kind != "c":
        R = inner.here
        A = sp.csr_array((R.data, R.indices, R.indptr), shape=R.shape)
        return gram(A, axis=int(R.transposed != turned), threads=op.threads).toarray()
    I = pack(np.eye(op.shape[1], dtype=op.dtype))
    return unpack(op.tmul(op.mul(I)), op.shape[1])


def eigen_cost(n, k):
    """Seconds for k leading eigenpairs of a symmetric matrix of order n: tridiagonal form and bisection, or, from about
    n / 5 on, all by divide and conquer.  Tridiagonal form reads the matrix n times: beyond the cache it slows down."""
    return min(1e-4 + (9e-11 if n < 1800 else 1.7e-10) * n**3 + 5e-7 * n * k, 5.5e-8 * n**2 + 1.6e-10 * n**3)


def by_gram(op, k):
    """Panels that span the k leading right vectors, and singular value k + 1 (0 if there is none), from A^H A.

    Small singular values are good to sqrt(eps) sigma_1 only: the caller squares up and checks the residuals.
    """
    G = gram_matrix(op)
    n = G.shape[0]
    G = (G + G.conj().T) / 2
    # Whole panels: columns of zeros beside them would have to be filled.
    whole = min(-(-k // op.width) * op.width, n)
    more, single = min(max(whole, k + 1), n), G.dtype == np.float32
    lam, E = (single and eigh(G, more, True)) or eigh(G, more)
    s = np.sqrt(np.maximum(lam[::-1], 0))
    return pack(E[:, ::-1][:, :whole].astype(op.dtype)), float(s[k]) if n > k else 0.0


def by_lapack(op, k, which):
    """U, s, V of all of A, cut to k; the next singular value; the norm."""
    A = materialise(op)
    U, s, Vh = sl.svd(A, full_matrices=False, check_finite=False, lapack_driver="gesdd")
    norm = float(s[0]) if s.size else 0.0
    if which == "SM":
        following = float(s[-k - 1]) if k < s.size else np.inf
        U, s, Vh = U[:, -k:], s[-k:], Vh[-k:]
    else:
        following = float(s[k]) if k < s.size else 0.0
        U, s, Vh = U[:, :k], s[:k], Vh[:k]
    return pack(U), s, pack(Vh.conj().T), following, norm


class Inverse(Operator):
    """A^-1 of a square sparse matrix, by one sparse LU."""

    def __init__(self, op):
        super().__init__(op.shape, op.dtype, op.threads)
        R = op.here
        A = sp.csr_array((R.data, R.indices, R.indptr), shape=R.shape)
        try:
            self.lu = spl.splu((A.T if R.transposed else A).tocsc())
        except RuntimeError:
            raise ValueError("which='SM': A is singular, so its smallest singular values are 0") from None

    def _mul(self, X, out=None):
        return into(out, pack(self.lu.solve(unpack(X))))

    def _tmul(self, Y, out=None):
        return into(out, pack(self.lu.solve(unpack(Y), trans="H")))
