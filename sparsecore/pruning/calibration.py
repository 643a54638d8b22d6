"""What a layer's inputs say about its weights: X'X, column norms and, for gradient criteria, dLoss/dW."""
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import dsyrk

from ..ops import gram as sparse_gram

__all__ = ["DAMP", "Calibration", "calibrate"]

DAMP = 0.01  # the ridge of the Hessian, as a share of the mean diagonal of X'X
_ROWS = 4096  # samples turned to float64 at a time


@dataclass(frozen=True)
class Calibration:
    """Sums over the inputs X (samples, features) of one layer.

    gram       X'X (features, features) in float64, not divided by anything; None if only the diagonal was kept
    col_norm   ||X_j||_2 of every feature
    count      the number of samples
    grad       summed dLoss/dW of the layer (out, features), for the criteria that want it; else None
    """

    gram: np.ndarray | None
    col_norm: np.ndarray
    count: int
    grad: np.ndarray | None = None

    @property
    def features(self):
        return self.col_norm.shape[0]

    @property
    def dead(self):
        """True for the features that were zero in every sample."""
        return self.col_norm == 0

    def hessian(self, damp=DAMP):
        """H = X'X + lam I, lam = damp * mean(diag X'X), as a fresh float64 array; the identity where X was all zero."""
        if self.gram is None:
            raise ValueError("this needs the whole X'X; the Calibration keeps its diagonal only (gram=False)")
        H = self.gram.copy()
        lam = damp * float(np.mean(np.diagonal(H)))
        H[np.diag_indices_from(H)] += lam if lam > 0 or np.any(self.col_norm) else 1.0
        return H

    def merge(self, other):
        """The Calibration of both sets of samples together."""
        if self.features != other.features:
            raise ValueError(f"one Calibration has {self.features} features; the other has {other.features}")
        gram = None if self.gram is None or other.gram is None else self.gram + other.gram
        if self.grad is not None and other.grad is not None and self.grad.shape != other.grad.shape:
            raise ValueError(f"one gradient has shape {self.grad.shape}; the other has {other.grad.shape}")
        grads = [g for g in (self.grad, other.grad) if g is not None]
        square = self.col_norm**2 + other.col_norm**2 if gram is None else np.diagonal(gram)
        return Calibration(gram, np.sqrt(square), self.count + other.count, sum(grads) if grads else None)

    def with_grad(self, grad):
        """The same sums with dLoss/dW beside them."""
        grad = np.asarray(grad)
        if grad.ndim < 2 or grad.reshape(grad.shape[0], -1).shape[1] != self.features:
            raise ValueError(f"the gradient has shape {grad.shape}; the Calibration has {self.features} features")
        return replace(self, grad=grad.reshape(grad.shape[0], -1))


def calibrate(X, *, gram=True):
    """Sum up what pruning needs to know of the inputs X.

    Parameters
    ----------
    X : ndarray or sparse (samples, features), or an iterable of such batches
        Sums are taken in float64 whatever the type of X, over the batches in turn: nothing is held but the sums.
    gram : bool
        False keeps the diagonal of X'X only (features numbers instead of features^2).

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        No samples, batches of different width, or a value that is not finite (the message names the feature).
    """
    total = None
    for batch in [X] if hasattr(X, "shape") else X:
        part = _one(batch, gram)
        total = part if total is None else total.merge(part)
    if total is None:
        raise ValueError("calibrate got no batches")
    return total


def _one(X, gram):
    if not sp.issparse(X):
        X = np.asarray(X)
        if X.dtype.kind not in "fiub" and X.dtype.name != "bfloat16":
            raise TypeError(f"X must be real; it has dtype {X.dtype}")
    if X.ndim != 2:
        raise ValueError(f"X must be (samples, features); it has shape {X.shape}")
    n, d = X.shape
    if sp.issparse(X):
        G, square = _sparse_sums(X.tocsr(), gram)
    else:
        G = np.zeros((d, d), order="F") if gram else None
        square = np.zeros(d)
        for start in range(0, n, _ROWS):
            part = np.asarray(X[start:start + _ROWS], dtype=np.float64)
            if gram and d:
                G = dsyrk(1.0, part.T, beta=1.0, c=G, overwrite_c=1)  # upper triangle of part'part + G
            else:
                square += np.einsum("ij,ij->j", part, part)
        if gram:
            G = np.triu(G) + np.triu(G, 1).T
            square = np.diagonal(G)
    bad = np.flatnonzero(~np.isfinite(square))
    if bad.size:
        raise ValueError(f"X has a value that is not finite (or whose square is not) in feature {bad[0]}")
    return Calibration(G, np.sqrt(square), n)


def _sparse_sums(X, gram):
    X = X.astype(np.float64)
    if gram:
        G = sparse_gram(X).toarray()
        return G, np.diagonal(G).copy()
    return None, np.bincount(X.indices, weights=X.data**2, minlength=X.shape[1])
