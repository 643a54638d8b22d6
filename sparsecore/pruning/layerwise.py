"""The layer problem: min E(W_hat) = tr((W - W_hat) H (W - W_hat)') over sparse W_hat, H = X'X + lam I.

W is (out, features); every row is a problem of its own and all share H. Sums are in float64, results have W's type.
"""
import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, lapack

from .calibration import DAMP, Calibration

__all__ = ["backsolve", "error"]

_EXACT_FLOPS = 4e11  # a backsolve dearer than this takes conjugate gradients


def error(W, W_hat, stats=None, *, damp=DAMP):
    """tr((W - W_hat) H (W - W_hat)') with H = X'X + lam I of `stats`; squared Frobenius where stats is None."""
    W, W_hat = np.asarray(W), np.asarray(W_hat)
    if W.shape != W_hat.shape:
        raise ValueError(f"W has shape {W.shape}; W_hat has {W_hat.shape}")
    difference = W.reshape(len(W), -1).astype(np.float64) - W_hat.reshape(len(W), -1)
    if stats is None:
        return float(np.einsum("ij,ij->", difference, difference))
    return float(np.einsum("ij,ij->", difference @ hessian(difference, stats, damp), difference))


def backsolve(W, mask, stats, *, damp=DAMP):
    """The weights of least error E on a given mask: row by row H[S,S] w_S = H[S,:] W[row] on its support S.

    Rows with one and the same support are solved together. Exact (Cholesky) up to about 4e11 flops for the layer,
    beyond that conjugate gradients on all rows at once, to a relative residual of 1e-10.

    Raises ValueError where mask and W differ in shape, or stats and W in the number of features.
    """
    W, mask = np.asarray(W), np.asarray(mask, dtype=bool)
    if mask.shape != W.shape or W.ndim != 2:
        raise ValueError(f"W has shape {W.shape}; mask has {mask.shape}")
    H = hessian(W, stats, damp)
    work = W.astype(np.float64)
    supports = {}
    for row, support in enumerate(mask):
        supports.setdefault(np.packbits(support).tobytes(), []).append(row)
    if sum(float(np.count_nonzero(mask[rows[0]])) ** 3 / 3 for rows in supports.values()) > _EXACT_FLOPS:
        start = np.where(mask, work, 0.0)
        return conjugate_gradients(work, start, mask, H, steps=500, tol=1e-10).astype(W.dtype)
    result = np.zeros_like(work)
    target = work @ H
    for rows in supports.values():
        S = np.flatnonzero(mask[rows[0]])
        if S.size:
            factor = cho_factor(H[np.ix_(S, S)], lower=True, overwrite_a=True, check_finite=False)
            result[np.ix_(rows, S)] = cho_solve(factor, target[np.ix_(rows, S)].T, check_finite=False).T
    return result.astype(W.dtype)


def conjugate_gradients(W, start, mask, H, *, steps, tol):
    """Minimise E over the support `mask` from `start`, all rows at once, preconditioned by diag(H); in W's type."""
    scale = 1 / np.diagonal(H)
    X = start.copy()
    residual = (W - X) @ H
    residual *= mask
    z = residual * scale
    direction = z.copy()
    rz = _row_dots(residual, z)
    goal = tol**2 * rz
    for _ in range(steps):
        if np.all(rz <= goal):
            break
        Hd = direction @ H
        Hd *= mask
        alpha = _ratio(rz, _row_dots(direction, Hd))
        X += alpha * direction
        residual -= alpha * Hd
        np.multiply(residual, scale, out=z)
        before, rz = rz, _row_dots(residual, z)
        direction *= _ratio(rz, before)
        direction += z
    return X


def _row_dots(A, B):
    return np.einsum("ij,ij->i", A, B)


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)[:, None]


def hessian(W, stats, damp=DAMP):
    """H of this layer's Calibration, checked against W."""
    if not isinstance(stats, Calibration):
        raise ValueError("this needs stats: the Calibration of this layer's inputs (see calibrate)")
    if stats.features != W.shape[1]:
        raise ValueError(f"W has {W.shape[1]} columns; stats has {stats.features} features")
    return stats.hessian(damp)


def upper_factor_of_inverse(H):
    """U upper with H^-1 = U'U, H^-1 never formed: H = R R' with R upper (Cholesky from the last row up), U = R^-1."""
    R = np.ascontiguousarray(cholesky(H[::-1, ::-1], lower=True, check_finite=False)[::-1, ::-1])
    U, info = lapack.dtrtri(R, lower=0)
    if info:
        raise np.linalg.LinAlgError(f"the Hessian's factor has a zero pivot at {info - 1}")
    return np.ascontiguousarray(U)


def inverse_diagonal(stats, *, damp=DAMP):
    """diag(H^-1)."""
    U = upper_factor_of_inverse(stats.hessian(damp))
    return np.einsum("ij,ij->j", U, U)
