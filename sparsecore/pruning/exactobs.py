"""ExactOBS: greedy removal of one weight at a time with the best correction of its row after each.

    q = argmin w_q^2 / [H^-1]_qq;   w -= w_q / [H^-1]_qq * H^-1[:, q];   eliminate q from H^-1

Frantar & Alistarh, 'Optimal brain compression', 2022.
"""
import numpy as np
from scipy.linalg import blas

from .calibration import DAMP
from .layerwise import backsolve, hessian, upper_factor_of_inverse
from .patterns import NM, Unstructured

__all__ = ["exact_obs"]

_BATCH_BYTES = 16 << 20  # rows whose copies of H^-1 fit here are eliminated together


def exact_obs(W, sparsity, stats, *, pattern=None, damp=DAMP, details=False):
    """Greedy removal with exact correction; about out * features^3 flops (twice that with layer scope).

    Parameters
    ----------
    W : ndarray (out, features)
    sparsity : float
        Exactly round(sparsity * W.size) weights go.
    stats : Calibration of the layer's inputs, with its gram
    pattern : Unstructured or NM
        Layer scope gives each removal to the row where the next one is cheapest. Any other pattern takes its mask
        from the scores w^2 / [H^-1]_qq and its weights from the backsolve.
    details : bool
        Return (W_hat, losses): the loss of every removed weight at its place, else 0. They add up to E. (None for the
        other patterns.)
    """
    W = np.asarray(W)
    pattern = Unstructured() if pattern is None else pattern
    U = upper_factor_of_inverse(hessian(W, stats, damp))
    inverse = U.T @ U
    if not isinstance(pattern, (Unstructured, NM)):
        scores = W.astype(np.float64) ** 2 / np.diagonal(inverse)
        W_hat = backsolve(W, pattern.mask(scores, sparsity), stats, damp=damp)
        return (W_hat, None) if details else W_hat
    m, d = W.shape
    per_batch = max(1, _BATCH_BYTES // (8 * d * d)) if d else 1
    batches = [slice(start, min(start + per_batch, m)) for start in range(0, m, per_batch)]
    groups = None
    if isinstance(pattern, NM):
        groups = pattern.group, _zeros_per_group(pattern, d)
        go = np.full(m, groups[1].sum())
    elif pattern.scope == "row":
        base, extra = divmod(round(sparsity * m * d), max(1, m))
        go = base + (np.arange(m) < extra)
    else:
        traces = [_eliminate(W[b], inverse, np.full(b.stop - b.start, d), None)[2] for b in batches]
        go = _cheapest(np.concatenate(traces), round(sparsity * m * d)) if m else np.zeros(0, dtype=int)
    W_hat, losses = np.empty((m, d), dtype=W.dtype), np.zeros((m, d))
    for b in batches:
        W_hat[b], losses[b], _ = _eliminate(W[b], inverse, go[b], groups)
    return (W_hat, losses) if details else W_hat


def _zeros_per_group(pattern, d):
    widths = np.array([min(pattern.group, d - j) for j in range(0, d, pattern.group)], dtype=int)
    return widths + (-pattern.keep * widths) // pattern.group


def _cheapest(traces, total):
    """How many removals each row makes when, `total` times, the row whose next removal is cheapest makes it."""
    m, d = traces.shape
    # A removal waits for the dearer ones before it in its row, so rows are merged by their running maxima.
    order = np.argsort(np.maximum.accumulate(traces, axis=1).ravel(), kind="stable")[:total]
    return np.bincount(order // d, minlength=m)


def _eliminate(W, inverse, go, groups):
    """Remove go[r] weights from every row r, each row with its own copy of H^-1.

    Returns the rows, each removed weight's loss in its place, and the losses in order of removal (rows, max(go)).
    """
    m, d = W.shape
    w = W.astype(np.float64)
    P = np.repeat(inverse[None], m, axis=0)
    columns = np.arange(d)  # of W; shrinks with the problem when it is a single row
    gone = np.zeros((m, d), dtype=bool)
    losses = np.zeros((m, d))
    trace = np.zeros((m, int(go.max(initial=0))))
    quota = np.repeat(groups[1][None], m, axis=0) if groups else None
    for step in range(trace.shape[1]):
        loss = w**2 / np.maximum(np.einsum("rjj->rj", P), np.finfo(float).tiny)
        loss[gone] = np.inf
        if groups:
            loss[quota[:, columns // groups[0]] == 0] = np.inf
        r = np.flatnonzero(step < go)
        q = np.argmin(loss[r], axis=1)
        trace[r, step] = losses[r, columns[q]] = loss[r, q]
        if groups:
            quota[r, columns[q] // groups[0]] -= 1
        pivots = P[r, q]
        scaled = pivots / pivots[np.arange(r.size), q][:, None]
        w[r] -= w[r, q][:, None] * scaled
        for row, pivot, by in zip(r, pivots, scaled):
            blas.dger(-1.0, pivot, by, a=P[row].T, overwrite_a=1)  # in place: 15 times faster than through NumPy
        gone[r, q] = True
        w[gone] = 0.0
        if m == 1 and 3 * np.count_nonzero(gone) > columns.size > 32:
            # Go on with what is left of H^-1: eliminated rows and columns of it are zero.
            live = np.flatnonzero(~gone[0])
            w, P, columns = w[:, live], np.ascontiguousarray(P[:, live[:, None], live]), columns[live]
            gone = np.zeros((1, live.size), dtype=bool)
    out = np.zeros((m, d))
    out[:, columns] = w
    return out, losses, trace
