"""What a truncated SVD returns, and the certificate: residuals are recomputed from the returned vectors."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from ..ops.products import matmul
from . import panels
from .operators import Operator

SMALL = 1 << 16

@dataclass
class SVDResult:
    """A truncated SVD, A ~ U diag(s) Vt, that tells how good it is.

    Unpacks as ``U, s, Vt``.

    Attributes
    ----------
    U : ndarray (m, k), s : ndarray (k,), Vt : ndarray (k, n)
        Singular values descend.  In every row of Vt the entry of largest magnitude (the first of equals) is real and
        positive.  U and Vt have orthonormal columns and rows.
    residuals : ndarray (k,)
        ||A^H u - s v||, recomputed from U, s and Vt in double precision (of a LinearOperator: in what it computes in),
        plus an allowance for rounding, so never below the truth.
        A v - s u is zero to rounding.  There is a singular value of A within `residuals[i]` of `s[i]`.
    converged : ndarray of bool (k,)
        residuals <= tol * s[0].
    missed : float
        With probability 1 - 1e-6 over the random start of the safeguard, no triplet that was not found has a singular
        value above this: the safeguard explores the complement of what was found from fresh random vectors (bound of
        Kuczynski and Wozniakowski's kind, by Chebyshev polynomials).  For the direct solvers: the next singular value
        (of 'gram', with its rounding).
    passes : int
        Products of A or A^H with a block of vectors.
    matvecs : int
        Columns of those blocks together.
    solver : str
        'lanczos', 'fewpass', 'gram', 'lapack' or 'inverse'.
    energy : float
        Share of ||A||_F^2 that s holds; NaN where ||A||_F is not known (LinearOperator, factors).
    """

    U: np.ndarray
    s: np.ndarray
    Vt: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    missed: float
    passes: int
    matvecs: int
    solver: str
    energy: float
    _center: tuple = field(default=None, repr=False)

    def __iter__(self):
        return iter((self.U, self.s, self.Vt))

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return (self.U, self.s, self.Vt)[i]

    def transform(self, X):
        """X V: the rows of X (samples, n) in the coordinates of the k components, shape (samples, k).

        X : sparse or dense with as many columns as Vt.  With center='columns' the means of A are subtracted first.
        For A itself this is U * s.
        """
        X = X if hasattr(X, "shape") else np.asarray(X)
        if len(X.shape) != 2 or X.shape[1] != self.Vt.shape[1]:
            raise ValueError(f"X has shape {X.shape}; the components have {self.Vt.shape[1]} columns")
        Y = matmul(X, self.Vt.conj().T) if sp.issparse(X) else np.asarray(X @ self.Vt.conj().T)
        return Y if self._center is None else Y - self._center[None, :] @ self.Vt.conj().T

    def inverse_transform(self, Y):
        """Y Vt: back from the coordinates of the components, shape (samples, n)."""
        X = np.asarray(Y) @ self.Vt
        return X if self._center is None else X + self._center[None, :]


def turns(top):
    """Factors that make these entries of V (one per column) real and positive once V is conjugated to V^H."""
    top = np.where(top == 0, 1, top)
    return top / np.abs(top)


def square(op: Operator, V, k, scale, rng, spare=None):
    """Triplets from panels V that span the right vectors: A V = U S exactly, by one pass.

    Returns U, s, V as panels of the leading k (rounded up to whole panels), all orthonormal.  spare: memory for U.
    A side shorter than whole panels has no room for as many orthonormal vectors: it is taken as it is, by LAPACK.
    """
    threads, c = op.threads, V.shape[2]
    (m, n), columns = op.shape, V.shape[0] * c
    true = min(n, columns)
    # Small blocks: Cholesky in C takes a tenth of the time.
    straight = panels.symmetric(V, threads) if V.size >= SMALL and true == columns else None
    if true < columns:      # V spans the whole space
        V, straight = panels.pack(np.eye(n, dtype=V.dtype)), (np.eye(columns),) * 2
    elif straight is None:
        panels.orthonormalise(V, [], rng, float(panels.norms(V).max()), threads)
        straight = (np.eye(columns),) * 2
    W = op.mul(V, panels.carve(spare, V.shape[0], op.shape[0], V.dtype)[0])
    q = -(-k // c) * c
    if m < columns:
        X, s, Yh = np.linalg.svd(panels.unpack(W) @ straight[0][:, :true])
        U = panels.pack(X[:, :k].astype(V.dtype))
        return U, s[:k], panels.rotate(V, _right(straight[0], Yh, q), threads)
    # Ritz vectors have products that are nearly orthogonal: then one rotation orthonormalises and turns.
    whole = panels.symmetric(W, threads) if W.size >= SMALL else None
    if whole is None:
        R = panels.orthonormalise(W, [W[:0]], rng, scale, threads)
        whole = np.eye(columns), R
    X, s, Yh = np.linalg.svd((whole[1] @ straight[0])[:, :true])
    U = panels.rotate(W, whole[0] @ X[:, :q], threads)
    return U, s[:k], panels.rotate(V, _right(straight[0], Yh, q), threads)


def _right(straight, Yh, q):
    """The matrix that turns V into q right vectors, zeros where there are fewer."""
    Y = straight[:, : Yh.shape[1]] @ Yh[:q].conj().T
    # np.pad with nothing to do takes as long as a product with a small matrix.
    return Y if Y.shape[1] == q else np.pad(Y, ((0, 0), (0, q - Y.shape[1])))


def recompute(op: Operator, U, s, V):
    """||A^H u - s v|| of triplets in panels, a few panels at a time, in double precision, plus rounding.

    Sums of single precision would not do: they are off by up to a part of the number of their terms, A U has the same
    error as A^H U, and 30,000 equal terms made a residual half of what it is.  The allowance is what such sums showed.
    """
    k, c = s.shape[0], U.shape[2]
    weights = np.zeros(U.shape[0] * c)
    weights[:k] = s.astype(np.finfo(op.dtype).dtype)        # as they will be returned
    out = np.zeros_like(weights)
    step = U.shape[0] if op.dear else max(1, 256 // c) if op.dense else 1
    work = op.wide() or op
    for p in range(0, U.shape[0], step):
        Z = work.tmul(panels.widen(U[p : p + step], work.dtype, op.threads), passes=int(p == 0))
        for v, z in zip(V[p : p + step], Z.reshape(-1, U.shape[2] // work.width, *Z.shape[1:])):
            own = slice(p * c, (p + 1) * c)
            out[own] = panels.residual(panels.widen(v[None], work.dtype, op.threads), z, weights[own], op.threads)
            p += 1
    op.passes, op.matvecs = work.passes, work.matvecs
    rounding = np.finfo(work.dtype).eps * (4 + op.longest() / 24)
    if op.dtype.kind == "c":        # vectors are turned to their signs
        rounding += 2 * np.finfo(op.dtype).eps
    return out[:k] + rounding * (s[0] if k else 0)
