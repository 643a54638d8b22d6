"""Less data instead of fewer weights: which rows (samples) and columns (features) of X to keep."""
import numpy as np
import scipy.sparse as sp

from ..ops import gram, matmul
from ..threshold import topk_mask

__all__ = ["leverage", "select_columns", "select_rows"]


def select_rows(X, keep, *, method="leverage", probabilities=None, y=None, seed=0):
    """The numbers of the rows to keep, ascending.

    Parameters
    ----------
    X : ndarray or sparse (samples, features)
    keep : int or float
        How many rows, or a share of them (a float in [0, 1], rounded).
    method : {'leverage', 'herding', 'el2n', 'random'}
        leverage: the largest x'(X'X)^+ x. herding: greedily the row that moves the running mean nearest to the mean of
        X (Welling, 2009). el2n: the largest ||p - y|| (Paul et al., 'Deep learning on a data diet', 2021). random:
        uniform, by `seed`.
    probabilities, y : for el2n
        Predicted class probabilities (samples, classes) and integer labels (samples,) or targets of that shape.

    Raises ValueError for an unknown method, keep out of range, and arguments that do not fit X.
    """
    n = X.shape[0]
    count = _count(keep, n, "rows")
    if method == "leverage":
        scores = leverage(X)
    elif method == "herding":
        return np.sort(_herd(X, count))
    elif method == "el2n":
        scores = _el2n(n, probabilities, y)
    elif method == "random":
        return np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
    else:
        raise ValueError(f"method {method!r} is not one of leverage, herding, el2n, random")
    return np.flatnonzero(topk_mask(scores, count))


def leverage(X):
    """x'(X'X)^+ x of every row: how much it alone determines the least-squares fit. They add up to the rank of X."""
    if sp.issparse(X):
        X = X.tocsr().astype(np.float64)
        values, Q = np.linalg.eigh(gram(X).toarray())
        some = values > len(values) * np.finfo(float).eps * max(values[-1], 0)
        U = matmul(X, Q[:, some] / np.sqrt(values[some]))
    else:
        X = np.asarray(X, dtype=np.float64)
        U, s, _ = np.linalg.svd(X, full_matrices=False)
        U = U[:, s > max(X.shape) * np.finfo(float).eps * s.max(initial=0)]
    return np.einsum("ij,ij->i", U, U)


def _herd(X, count):
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    X = X.astype(np.float64)
    mean = X.mean(axis=0)
    norms = np.einsum("ij,ij->i", X, X)
    taken, total = [], np.zeros(X.shape[1])
    free = np.ones(len(X), dtype=bool)
    for t in range(1, count + 1):
        # ||mean - (total + x)/t||^2 over x, less what does not depend on x
        distance = norms + 2 * (X @ (total - t * mean))
        distance[~free] = np.inf
        best = int(np.argmin(distance))
        taken.append(best)
        free[best] = False
        total += X[best]
    return np.array(taken, dtype=np.intp)


def _el2n(n, probabilities, y):
    if probabilities is None or y is None:
        raise ValueError("method 'el2n' needs probabilities (samples, classes) and y")
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(y)
    if p.ndim != 2 or len(p) != n or len(y) != n:
        raise ValueError(f"X has {n} rows; probabilities has shape {p.shape}; y has {y.shape}")
    if y.ndim == 1:
        if y.dtype.kind not in "iu" or y.min(initial=0) < 0 or y.max(initial=0) >= p.shape[1]:
            raise ValueError(f"y must hold class numbers from 0 to {p.shape[1] - 1}, a column of probabilities each")
        y = np.eye(p.shape[1])[y]
    return np.linalg.norm(p - y, axis=1)


def select_columns(X, keep, *, method="sum"):
    """The numbers of the columns (features) to keep, ascending.

    method 'sum' scores column j by sum_i |x_ij|, 'weighted' by sum_i |x_ij| / sum_l |x_il| (each row counts the same),
    'activation' by ||X_j||_2. X is an array or sparse (samples, features); keep a number of columns or a share.
    """
    size = abs(X.tocsr()) if sp.issparse(X) else np.abs(np.asarray(X, dtype=np.float64))
    if method == "weighted":
        rows = np.asarray(size.sum(axis=1), dtype=np.float64).ravel()
        scores = size.T @ np.divide(1.0, rows, out=np.zeros_like(rows), where=rows > 0)
    elif method == "activation":
        scores = np.sqrt(np.asarray(size.multiply(size).sum(axis=0) if sp.issparse(X) else (size**2).sum(axis=0)))
    elif method == "sum":
        scores = size.sum(axis=0)
    else:
        raise ValueError(f"method {method!r} is not one of sum, weighted, activation")
    scores = np.asarray(scores, dtype=np.float64).ravel()
    return np.flatnonzero(topk_mask(scores, _count(keep, scores.size, "columns")))


def _count(keep, n, what):
    count = round(keep * n) if isinstance(keep, float) else int(keep)
    if not 0 <= count <= n:
        raise ValueError(f"keep={keep} asks for {count} {what}; X has {n}")
    return count
