"""ALPS: alternating direction method for the support, then conjugate gradients on it.

With H scaled to unit diagonal and H = Q diag(l) Q' computed once,
    B = (H + rho I)^-1 (H W - V + rho D);   D = the best of the pattern in B + V / rho;   V += rho (B - D)
with rho grown as the support settles. Meng et al., 'ALPS: improved optimization for highly sparse one-shot pruning
for large language models', 2024.
"""
import numpy as np
from scipy.linalg import eigh

from .calibration import DAMP
from .layerwise import backsolve, conjugate_gradients, hessian
from .patterns import Unstructured

__all__ = ["alps"]

_EXACT = 1024  # layers no wider than this end with the exact backsolve
_EVERY = 3  # iterations between looks at the support


def alps(W, sparsity, stats, *, pattern=None, damp=DAMP, iterations=None, refine=12):
    """Prune W (out, features) near optimally; a dense eigendecomposition and 4 * out * features^2 flops an iteration.

    Parameters
    ----------
    W : ndarray (out, features)
    sparsity : float
        Exactly round(sparsity * W.size) weights go.
    stats : Calibration of the layer's inputs, with its gram
    pattern : any pattern
    iterations : int, optional
        The most taken (default 300, or 36 for layers wider than 1024, whose rho then grows faster); the support
        usually settles before.
    refine : int
        Steps of conjugate gradients on the support at the end for layers wider than 1024; narrower ones are solved.

    Iterates are in float32 for float32 weights wider than 1024, else in float64.
    """
    W = np.asarray(W)
    pattern = Unstructured() if pattern is None else pattern
    H = hessian(W, stats, damp)
    wide = W.shape[1] > _EXACT
    kind = np.float32 if wide and W.dtype.itemsize <= 4 else np.float64
    scale = np.sqrt(np.diagonal(H))
    H = (H / scale / scale[:, None]).astype(kind)
    target = (W * scale).astype(kind)
    if iterations is None:
        iterations = 36 if wide else 300
    mask = _support(target, H, pattern, sparsity, iterations, 2.0 if wide else 1.0)
    if not wide:
        return backsolve(W, mask, stats, damp=damp)
    found = conjugate_gradients(target, np.where(mask, target, 0), mask, H, steps=refine, tol=1e-6)
    return (found / scale.astype(kind)).astype(W.dtype)


def _support(W, H, pattern, sparsity, iterations, haste):
    values, Q = eigh(H, driver="evd", check_finite=False)
    Qt = np.ascontiguousarray(Q.T)
    HW = (W @ Q) * values  # everything but D and B lives in the eigenbasis
    V = np.zeros_like(HW)
    mask = pattern.mask(W**2, sparsity)
    D = np.where(mask, W, 0)
    DQ = D @ Q
    seen = mask
    rho = 0.1
    for step in range(1, iterations + 1):
        B = (HW - V + rho * DQ) / (values + rho)
        D = (B + V / rho) @ Qt
        mask = pattern.mask(D**2, sparsity)
        D *= mask
        DQ = D @ Q
        V += rho * (B - DQ)
        if step % _EVERY == 0:
            moved = np.count_nonzero(mask != seen) / max(1, np.count_nonzero(mask))
            if not moved:
                break
            rho *= (1.3 if moved >= 0.1 else 1.2 if moved >= 0.005 else 1.1) ** haste
            seen = mask
    return mask
