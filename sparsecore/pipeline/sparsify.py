"""Dropping what is redundant: whole columns by score, or single entries by magnitude.

    sum        s_j = sum_i |x_ij|
    weighted   s_j = sum_i |x_ij| / sum_l |x_il|      a row counts by the share of its mass, however long it is
    norm       s_j = sqrt(sum_i x_ij^2)
    magnitude  single entries: the largest |x_ij| of the whole stay
    a score    single entries by a function of sparsecore.pruning, f(X, calibrate(X)), such as wanda: |x_ij| |X_j|
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..pruning import calibrate
from ..threshold import apply_mask, topk, topk_mask
from .batches import as_rows, is_stream, rebatched, stacked, twice

__all__ = ["column_scores", "kept_columns", "sparsify"]

_ROWS = 8192
_METHODS = ("sum", "weighted", "norm", "magnitude")


def sparsify(data, method="sum", keep=0.1, *, drop=False):
    """CSR of `data` with only the best share of its columns filled (for 'magnitude' or a score: of its entries).

    data: array, data frame, scipy.sparse, or batches of these (a list, a function that returns an iterator, or an
    iterator); batches give the same bits as one go. keep: the share, 0 < keep <= 1; round(keep * columns) columns stay,
    at least one, ties go to the lowest index. The shape stays unless drop=True leaves out the empty columns
    (`column_scores` and `kept_columns` tell which). Zeros stay zero. ValueError for an unknown method or share,
    TypeError for values that are not numbers.
    """
    if not callable(method) and method not in _METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(map(repr, _METHODS))}, or "
                         "a score of sparsecore.pruning")
    if not 0 < keep <= 1:
        raise ValueError(f"keep is {keep}; it must be above 0 and at most 1")
    if callable(method) or method == "magnitude":
        X = stacked([as_rows(b) for b in twice(data)[0]()]) if is_stream(data) else as_rows(data)
        count = round(keep * X.shape[0] * X.shape[1])
        return topk(X, count) if method == "magnitude" else _best_entries(X, method, count)
    if not is_stream(data):
        X = as_rows(data)
        return _only(X, kept_columns(column_scores(X, method), keep), drop)
    first, second = twice(data)
    chosen = kept_columns(column_scores(first, method), keep)
    return stacked([_only(as_rows(batch), chosen, drop) for batch in second()])


def column_scores(data, method="sum"):
    """The score of every column, float64; the same bits for batches (any that `sparsify` takes) as in one go."""
    if method not in _METHODS[:3]:
        raise ValueError(f"method is {method!r}; columns are scored by {', '.join(map(repr, _METHODS[:3]))}")
    batches = (as_rows(b) for b in twice(data)[0]()) if is_stream(data) else [as_rows(data)]
    total = None
    for block in rebatched(batches, _ROWS):
        scores = _block_scores(block, method)
        total = scores if total is None else total + scores
    if total is None:
        raise ValueError("there are no rows to score")
    return np.sqrt(total) if method == "norm" else total


def kept_columns(scores, keep):
    """The round(keep * columns) best columns, at least one, in ascending order; ties go to the lowest index."""
    count = max(1, round(keep * scores.size))
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _best_entries(X, score, count):
    rows = X.toarray() if sp.issparse(X) else X  # a score is an array as large as the data
    best = sp.csr_array(apply_mask(rows, topk_mask(np.asarray(score(rows, calibrate(X))), count)))
    best.eliminate_zeros()
    return best


def _block_scores(X, method):
    magnitudes = abs(X) if method != "norm" else X.multiply(X) if sp.issparse(X) else X * X
    if method == "weighted":
        mass = np.asarray(magnitudes.sum(axis=1), np.float64).ravel()
        share = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
        return np.asarray(magnitudes.T @ share, np.float64)
    return np.asarray(magnitudes.sum(axis=0, dtype=np.float64)).ravel()


def _only(X, chosen, drop):
    rows = sp.csr_array(X)
    if drop:
        return sp.csr_array(rows[:, chosen])
    wanted = np.zeros(rows.shape[1], bool)
    wanted[chosen] = True
    stays = wanted[rows.indices]
    before = np.concatenate([[0], np.cumsum(stays)])
    return sp.csr_array((rows.data[stays], rows.indices[stays], before[rows.indptr].astype(rows.indptr.dtype)),
                        shape=rows.shape)
