"""SparseGPT: one sweep over the columns, each removed weight corrected by the columns to its right.

With U the upper factor of H^-1 = U'U, in each block of columns the smallest w^2 / U_jj^2 go, then from left to right
    err = (w - q) / U_jj;   W[:, j:] -= err * U[j, j:]
and the columns beyond the block are corrected once per block (one matrix product).

Frantar & Alistarh, 'SparseGPT: massive language models can be accurately pruned in one shot', 2023.
"""
import numpy as np

from ..threshold import topk_mask
from .calibration import DAMP
from .layerwise import hessian, upper_factor_of_inverse
from .patterns import NM, Unstructured

__all__ = ["sparse_gpt"]

_STEP = 16  # columns corrected one by one; beyond them within the block, by a product


def sparse_gpt(W, sparsity, stats, *, pattern=None, damp=DAMP, block=128, mask=None, details=False):
    """Prune W (out, features) in one sweep; about features^3 * 2/3 + out * features^2 flops, nearly all in BLAS.

    Parameters
    ----------
    W : ndarray (out, features)
    sparsity : float
        Exactly round(sparsity * W.size) weights go. Weights on features that were never active go first; the other
        zeros are shared evenly among the blocks by their live columns.
    stats : Calibration of the layer's inputs, with its gram
    pattern : Unstructured, or NM (each group is chosen when the sweep reaches it); any other pattern, like a given
        `mask` (True = stay), is fixed before the sweep.
    details : bool
        Return (W_hat, losses): err^2 of every removed weight. They add up to E.
    """
    W = np.asarray(W)
    pattern = Unstructured() if pattern is None else pattern
    U = upper_factor_of_inverse(hessian(W, stats, damp))
    pivots = np.diagonal(U)
    if mask is None and not isinstance(pattern, (NM, Unstructured)):
        mask = pattern.mask((W / pivots) ** 2, sparsity)
    m, d = W.shape
    step = pattern.group if mask is None and isinstance(pattern, NM) else _STEP
    block = -(-block // step) * step
    edges = np.append(np.arange(0, d, block), d)
    T = np.array(W.T, dtype=np.float64, order="C")  # a copy in which a column of W is a contiguous row
    go = np.zeros((d, m), dtype=bool) if mask is None else np.ascontiguousarray(~np.asarray(mask, dtype=bool).T)
    plan = _plan(pattern, sparsity, m, stats.dead, edges) if mask is None and isinstance(pattern, Unstructured) else ()
    losses = np.zeros((d, m)) if details else None
    for b, (start, stop) in enumerate(zip(edges[:-1], edges[1:])):
        for rows, columns, counts in plan:
            at = start + np.flatnonzero(columns[start:stop])
            _choose(go, T, pivots, rows, at, int(counts[b]), pattern.scope)
        errors = np.zeros((stop - start, m))
        for s in range(start, stop, step):
            e = min(s + step, stop)
            if mask is None and isinstance(pattern, NM):
                go[s:e] = ~pattern.mask(np.ascontiguousarray(np.abs(T[s:e] / pivots[s:e, None]).T)).T
            for j in range(s, e):
                err = errors[j - start]
                np.divide(T[j], pivots[j], out=err, where=go[j])
                T[j, go[j]] = 0.0
                for i in range(j + 1, e):
                    T[i] -= U[j, i] * err
            T[e:stop] -= U[s:e, e:stop].T @ errors[s - start:e - start]
        T[stop:] -= U[start:stop, stop:].T @ errors
        if details:
            losses[start:stop] = errors**2
    W_hat = np.ascontiguousarray(T.T, dtype=W.dtype)
    return (W_hat, losses.T.copy()) if details else W_hat


def _plan(pattern, sparsity, m, dead, edges):
    """(rows, columns, zeros per block) for the dead and for the live columns; row scope counts zeros per row."""
    total = round(sparsity * m * dead.size)
    if pattern.scope == "row":
        base, extra = divmod(total, max(1, m))
        parts = [(slice(0, extra), base + 1, 1), (slice(extra, m), base, 1)]
    else:
        parts = [(slice(0, m), total, m)]
    plan = []
    for rows, zeros, height in parts:
        from_dead = min(zeros, height * int(dead.sum()))
        for columns, count in ((dead, from_dead), (~dead, zeros - from_dead)):
            before = np.concatenate([[0], np.cumsum(columns)])[edges]
            if count and rows.stop > rows.start:
                plan.append((rows, columns, np.diff(count * before // max(1, int(before[-1])))))
    return plan


def _choose(go, T, pivots, rows, at, count, scope):
    """Mark the `count` weights of least w^2 / U_jj^2 among columns `at` of these rows (of each row, with row scope)."""
    if not count:
        return
    scores = np.ascontiguousarray(np.abs(T[at, rows] / pivots[at, None]).T)
    if scope == "row":
        stay = topk_mask(scores, scores.shape[1] - count, axis=1)
    else:
        stay = topk_mask(scores, scores.size - count)
    go[at, rows] = ~stay.T
