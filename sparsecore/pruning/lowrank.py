"""Low rank, and sparse plus low rank: W ~ left @ right (+ S)."""
import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular

from ..threshold import apply_mask
from .calibration import Calibration
from .patterns import Unstructured

__all__ = ["low_rank", "sparse_plus_low_rank"]

_DENSE = 512  # up to this smaller side LAPACK's SVD is taken


def low_rank(W, rank=None, *, stats=None, scaling=None, budget=None, energy=None, error=None):
    """(left, right) of least error for its rank; left (out, rank), right (rank, features), in W's type.

    Parameters
    ----------
    W : ndarray (out, features)
    rank, budget, energy, error : give one
        rank: the number of columns of left. budget: at most this share of W's numbers is kept, rank =
        floor(budget * out * features / (out + features)). energy: the least rank with this share of the (scaled)
        squared singular values. error: the least rank whose share of squared error is at most this.
    stats : Calibration, optional
    scaling : 'plain', 'activation' or 'whitened'
        plain minimises ||W - W_hat||_F; activation ||(W - W_hat) diag(||X_j||)||_F (ASVD, Yuan et al., 2023);
        whitened ||(W - W_hat) X'||_F by the SVD of W S with S S' = X'X (SVD-LLM, Wang et al., 2024): that error is the
        sum of the squared singular values cut. Default: whitened where stats has a gram, activation where it has the
        diagonal only, plain without stats.

    Raises ValueError for a rank outside 1..min(W.shape), no or several of the four, stats missing or of another width.
    """
    W = _matrix(W)
    if sum(given is not None for given in (rank, budget, energy, error)) != 1:
        raise ValueError("give exactly one of rank, budget, energy and error")
    if scaling is None:
        scaling = "plain" if stats is None else "activation" if stats.gram is None else "whitened"
    if scaling not in ("plain", "activation", "whitened"):
        raise ValueError(f"scaling {scaling!r} is not one of plain, activation, whitened")
    if scaling != "plain":
        _check(W, stats)
    if budget is not None:
        rank = max(1, int(budget * W.size / sum(W.shape)))
    if rank is not None and not 1 <= rank <= min(W.shape):
        raise ValueError(f"rank must be from 1 to {min(W.shape)}, the smaller side of W {W.shape}; got {rank}")
    work = W.astype(np.float64)
    if scaling == "plain":
        scaled, undo = work, lambda V: V
    elif scaling == "activation":
        scaled, undo = work * stats.col_norm, lambda V: _divide(V, stats.col_norm)
    else:
        scaled, undo = _whiten(work, stats.gram)
    U, s, Vt = _svd(scaled, rank)
    if rank is None:
        rank = _rank(s, 1 - energy if energy is not None else error)
    root = np.sqrt(s[:rank])  # shared, so that both factors have the same scale
    return (U[:, :rank] * root).astype(W.dtype), undo(root[:, None] * Vt[:rank]).astype(W.dtype)


def sparse_plus_low_rank(W, sparsity, rank, *, stats=None, iterations=40):
    """(S, left, right) with W ~ S + left @ right: S a CSR array with round(sparsity * W.size) zeros, row by row.

    Alternates L = SVD_rank(A - S) and S = top-k of every row of A - L with A = W diag(||X_j||) (A = W without stats),
    then undoes the scaling (OATS, Zhang & Papyan, 2024).
    """
    W = _matrix(W)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share from 0 to 1; got {sparsity}")
    if not 0 <= rank <= min(W.shape):
        raise ValueError(f"rank must be from 0 to {min(W.shape)}, the smaller side of W {W.shape}; got {rank}")
    scale = np.ones(W.shape[1])
    if stats is not None:
        _check(W, stats)
        scale = stats.col_norm
    A = W * scale
    pattern = Unstructured("row")
    left, right = np.zeros((len(W), rank)), np.zeros((rank, W.shape[1]))
    mask = pattern.mask(np.abs(A), sparsity)
    S = np.where(mask, A, 0)
    for _ in range(iterations if rank else 0):
        U, s, Vt = _svd(A - S, rank)
        left, right = U[:, :rank] * np.sqrt(s[:rank]), np.sqrt(s[:rank])[:, None] * Vt[:rank]
        rest = A - left @ right
        before, mask = mask, pattern.mask(np.abs(rest), sparsity)
        S = np.where(mask, rest, 0)
        if np.array_equal(before, mask):
            break
    S = apply_mask(np.ascontiguousarray(_divide(S, scale), dtype=W.dtype), mask)
    return S, left.astype(W.dtype), _divide(right, scale).astype(W.dtype)


def _svd(A, rank):
    """Leading triplets: LAPACK where the matrix is small or all of them are wanted, else the iterative solver."""
    if rank is None or rank * 4 > min(A.shape) or min(A.shape) <= _DENSE:
        return np.linalg.svd(A, full_matrices=False)
    from ..svd import truncated_svd

    return tuple(truncated_svd(A, rank, tol=1e-6))


def _rank(s, lost):
    """The least rank that loses at most the share `lost` of sum(s^2)."""
    if not 0 <= lost <= 1:
        raise ValueError(f"energy and error are shares from 0 to 1; got an error of {lost}")
    tail = np.append(np.cumsum((s**2)[::-1])[::-1], 0.0)
    return max(1, int(np.argmax(tail <= lost * tail[0])))


def _whiten(W, gram):
    """(W S, V -> V S^-1) with S S' = X'X: Cholesky, or the eigenvectors with weight where X'X is singular."""
    try:
        S = cholesky(gram, lower=True, check_finite=False)
        if np.diagonal(S).min() ** 2 > len(gram) * np.finfo(float).eps * np.diagonal(gram).max():
            # V S^-1 is solved for, never multiplied by an inverse.
            return W @ S, lambda V: solve_triangular(S, V.T, lower=True, trans="T").T
    except LinAlgError:
        pass
    values, Q = eigh(gram, check_finite=False)
    some = values > len(gram) * np.finfo(float).eps * max(values[-1], 0)
    root, Q = np.sqrt(values[some]), Q[:, some]
    return (W @ Q) * root, lambda V: (V / root) @ Q.T


def _divide(A, scale):
    return np.divide(A, scale, out=np.zeros_like(A), where=scale > 0)


def _matrix(W):
    W = np.asarray(W)
    if W.ndim != 2 or W.dtype.kind != "f":
        raise ValueError(f"W must be a floating-point matrix; it has shape {W.shape} and dtype {W.dtype}")
    if not np.isfinite(W).all():
        raise ValueError("W has values that are not finite")
    return W


def _check(W, stats):
    if not isinstance(stats, Calibration):
        raise ValueError("activation and whitened scaling need stats: the Calibration of this layer's inputs")
    if stats.features != W.shape[1]:
        raise ValueError(f"W has {W.shape[1]} columns; stats has {stats.features} features")
