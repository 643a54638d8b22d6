"""Ridge classifiers: from rows, or from moments gathered batch by batch; pruned and solved again.

    min over w, b of  sum_i weight_i (y_i - x_i.w - b)^2 + alpha |w|^2

with one column of Y per class, +1 and -1 (one column for two classes). In closed form while a square matrix of the rows
(the dual, K = X X') or of the features (the normal equations) is small; else by conjugate gradients, which only
multiply X, so that memory grows with the entries of X.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from .. import ops
from .. import pruning as pr

__all__ = ["AGAIN", "CHOICE", "CLOSED", "USE_INPUTS", "Moments", "descend", "encode_labels", "input_stats",
           "pick_labels", "prune_linear", "ridge", "ridge_path"]

# What stays is chosen by the weights of a stiffer fit, which looks more at what a feature tells on its own and less at
# chance among correlated ones. The few that stay then need less shrinking. bench/reviews.py compares.
CHOICE = 10.0  # penalty of the fit that chooses, in units of the dense fit's
AGAIN = 0.5  # penalty of the fit on what was chosen

USE_INPUTS = (pr.wanda, pr.obs)  # scores that look at the inputs too

_ROWS = 4096
CLOSED = 4096  # rows or features, whichever are fewer, up to which the closed form is the faster
_TOLERANCE = 1e-4  # of conjugate gradients: residual over right side; accuracies were those of the closed form at 1e-3
_STEPS = 2000
_FULL = 0.1  # share of entries from which BLAS on a dense block is the faster way to its Gram matrix


def encode_labels(y, classes):
    """Y: (n, 1) for two classes, +1 for the second; else (n, classes) with +1 in the column of the class."""
    found = np.searchsorted(classes, y)
    if len(classes) == 2:
        return np.where(found == 1, 1.0, -1.0)[:, None]
    return np.where(found[:, None] == np.arange(len(classes)), 1.0, -1.0)


def pick_labels(scores, classes):
    """The class of every row of scores (n, 1) or (n, classes); ties go to the first class."""
    if scores.shape[1] == 1:
        return classes[(scores[:, 0] > 0).astype(int)]
    return classes[scores.argmax(axis=1)]


def ridge(X, Y, alpha, weight=None):
    """coef (outputs, features) and intercept (outputs,). X dense or CSR, Y (rows, outputs), alpha > 0."""
    return ridge_path(X, Y, [alpha], weight)[0]


def ridge_path(X, Y, alphas, weight=None):
    """[(coef, intercept)] for several penalties; the products of the rows are computed once."""
    if min(X.shape) > CLOSED:
        return _conjugate_gradients(X, Y, alphas, weight)
    if X.shape[1] <= X.shape[0]:
        moments = Moments(X.shape[1], Y.shape[1])
        moments.add(X, Y, weight)
        return [moments.solve(alpha) for alpha in alphas]
    root = np.sqrt(np.ones(X.shape[0]) if weight is None else np.asarray(weight, np.float64))
    K = _row_products(X).astype(np.float64, copy=False)
    K *= root[:, None] * root
    right, before, found = np.column_stack([root[:, None] * Y, root]), 0.0, []
    for alpha in alphas:
        K[np.diag_indices_from(K)] += alpha - before
        before = alpha
        solved = la.cho_solve(la.cho_factor(K, lower=True), right)
        intercept = root @ solved[:, :-1] / (root @ solved[:, -1])
        dual = (solved[:, :-1] - solved[:, -1:] * intercept) * root[:, None]
        found.append((np.ascontiguousarray((X.T @ dual).T), intercept))
    return found


def _conjugate_gradients(X, Y, alphas, weight):
    """The same for large problems: (Xc' W Xc + alpha) coef = Xc' W Y, Xc = X less the weighted means of its columns,
    which are taken off the products and not off X. Each penalty begins where the last one ended.

    Preconditioned by the diagonal, since common and rare terms differ by orders of magnitude (Hestenes, Stiefel 1952).
    Time: two products with X per step, some tens of steps.
    """
    weight = (np.ones(X.shape[0]) if weight is None else np.asarray(weight, np.float64))[:, None]
    X = X.astype(np.float64, copy=False)
    total, mean = weight.sum(), _times(X.T, weight) / weight.sum()
    mean_y = _dots(weight, Y) / total
    spread = np.maximum(_times(_squared(X).T, weight) - total * mean**2, 0)
    right = _times(X.T, weight * (Y - mean_y))
    coef, found = np.zeros_like(right), []
    for alpha in alphas:
        def normal(V, alpha=alpha):
            fit = _times(X, V) - _dots(mean, V)
            return _times(X.T, weight * fit) - mean * _dots(weight, fit) + alpha * V

        coef = descend(normal, right, spread + alpha, coef, f"alpha={alpha:g}")
        found.append((np.ascontiguousarray(coef.T), mean_y - _dots(mean, coef)))
    return found


def descend(normal, right, scale, coef, what):
    """The solution of normal(coef) = right, column by column, by conjugate gradients from `coef` on.

    normal: V (features, columns) to the product with a positive definite matrix for each column; scale: what residuals
    are divided by, positive, such as its diagonal. Columns that are solved stand still. A warning names `what` if some
    are not after _STEPS steps.
    """
    enough = _TOLERANCE * np.sqrt(_dots(right, right))
    residual = right - normal(coef) if coef.any() else right
    scaled = residual / scale
    step, height = scaled, _dots(residual, scaled)
    for _ in range(_STEPS):
        going = _dots(residual, residual) > enough**2
        if not going.any():
            break
        change = normal(step)
        length = np.where(going, height / np.where(going, _dots(step, change), 1), 0)
        coef = coef + length * step
        residual = residual - length * change
        scaled = residual / scale
        before, height = height, _dots(residual, scaled)
        step = scaled + np.where(going, height / np.where(going, before, 1), 0) * step
    else:
        warnings.warn(f"ridge at {what} is not solved to {_TOLERANCE:g} after {_STEPS} steps; a larger alpha needs "
                      "fewer", stacklevel=3)
    return coef


def _times(A, V):
    return ops.matmul(A, V) if sp.issparse(A) else A @ V


def _squared(X):
    return sp.csr_array((X.data**2, X.indices, X.indptr), shape=X.shape) if sp.issparse(X) else X * X


def _dots(A, B):
    """The products of the columns of A with those of B; not by BLAS, whose bits depend on its threads."""
    return (A * B).sum(axis=0)


def _row_products(X):
    """X X' as a dense array. Columns filled in one row of 16 or more go through BLAS: they hold most of the work."""
    if not sp.issparse(X):
        return X @ X.T
    full = np.bincount(X.indices, minlength=X.shape[1]) > X.shape[0] / 16
    dense = X[:, np.flatnonzero(full)].toarray()
    return dense @ dense.T + ops.gram(X[:, np.flatnonzero(~full)], axis=1).toarray()


class Moments:
    """Sums over rows: the weight, x, y, x x', x y', y y'. All that a ridge classifier needs; no row is kept.

    Rows are added in blocks of 4096 whatever the batches, so the bits do not depend on how the data was cut.
    """

    def __init__(self, features, outputs):
        self.total = 0.0
        self.x, self.y = np.zeros(features), np.zeros(outputs)
        self.xx, self.xy = np.zeros((features, features)), np.zeros((features, outputs))
        self._held, self._waiting = [], 0

    def add(self, X, Y, weight=None):
        """Add rows: X (n, features) dense or sparse, Y (n, outputs)."""
        weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, np.float64)
        self._held.append((X, Y, weight))
        self._waiting += X.shape[0]
        if self._waiting >= _ROWS:
            X, Y, weight = self._joined()
            full = X.shape[0] - X.shape[0] % _ROWS
            for start in range(0, full, _ROWS):
                self._add_block(*(part[start : start + _ROWS] for part in (X, Y, weight)))
            self._held, self._waiting = [(X[full:], Y[full:], weight[full:])], X.shape[0] - full

    def without(self, other):
        """The moments of the rows that are here and not in `other`, whose rows must be some of these."""
        found = Moments(len(self.x), len(self.y))
        for moments in (self, other):
            moments._finish()
        for name in ("total", "x", "y", "xx", "xy"):
            setattr(found, name, getattr(self, name) - getattr(other, name))
        return found

    def solve(self, alpha, support=None):
        """coef (outputs, features) and intercept; with support (indices), only those features may be used."""
        self._finish()
        chosen = slice(None) if support is None else support
        mean_x, mean_y = self.x / self.total, self.y / self.total
        G = self.xx[chosen][:, chosen] - self.total * np.outer(mean_x[chosen], mean_x[chosen])
        G[np.diag_indices_from(G)] += alpha
        right = self.xy[chosen] - self.total * np.outer(mean_x[chosen], mean_y)
        coef = np.zeros((len(self.y), len(self.x)))
        if G.size:
            coef[:, chosen] = la.solve(G, right, assume_a="pos").T
        return coef, mean_y - coef @ mean_x

    def calibration(self):
        """What scores in USE_INPUTS want to know of the rows."""
        self._finish()
        return pr.Calibration(self.xx, np.sqrt(np.diagonal(self.xx)), round(self.total))

    def _finish(self):
        if self._waiting:
            self._add_block(*self._joined())
            self._held, self._waiting = [], 0

    def _joined(self):
        X, Y, weight = zip(*self._held)
        X = (sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X)) if len(X) > 1 else X[0]
        return X, np.concatenate(Y), np.concatenate(weight)

    def _add_block(self, X, Y, weight):
        self.total += weight.sum()
        self.y += weight @ Y
        if sp.issparse(X) and X.nnz <= _FULL * X.shape[0] * X.shape[1]:
            root = sp.csr_array(ops.diag_scale(X.astype(np.float64, copy=False), left=np.sqrt(weight)))
            self.x += X.T @ weight
            self.xx += ops.todense(ops.gram(root, axis=0))
            self.xy += X.T @ (weight[:, None] * Y)
            return
        X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
        scaled = X if (weight == 1).all() else X * weight[:, None]
        self.x += scaled.sum(axis=0)
        self.xx += scaled.T @ X
        self.xy += scaled.T @ Y


def input_stats(score, X):
    """What a score of sparsecore.pruning wants to know of the rows X: a Calibration, or None."""
    return pr.calibrate(X, gram=score is pr.obs) if score in USE_INPUTS else None


def prune_linear(coef, sparsity, *, score=None, stats=None):
    """The mask of the entries of coef (outputs, features) that stay: size - round(sparsity * size) of them."""
    stats = None if stats is None else {"coef": stats}
    model = pr.prune({"coef": coef}, sparsity, score=score or pr.magnitude, stats=stats)
    kept = model.layers["coef"]
    return (kept.toarray() if sp.issparse(kept) else kept) != 0
