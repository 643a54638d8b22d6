"""One condensed row per group: mean, sum, median or max.

    sum = S X,  mean = diag(1 / counts) S X,   S the sparse (groups, rows) indicator
"""

from __future__ import annotations

import numbers

import numpy as np
import scipy.sparse as sp

from .. import ops
from .batches import as_rows, is_frame, is_stream, like, rebatched, stacked, twice

__all__ = ["aggregate"]

_ROWS = 8192


def aggregate(data, groups=None, method="mean", *, weight=None):
    """One row per group, groups in sorted order (`numpy.unique(groups)`).

    data: array, data frame, scipy.sparse, or batches of these (list, function, iterator), which give the same bits;
    the same family comes out (batches: that of a batch, a frame indexed by group). groups: one label per row over all
    the data, or the name of a frame's column (left out of the result), or a number of clusters to find (scikit-learn's
    k-means with a fixed seed, in memory), or None for one group. method: 'mean', 'sum',
    'median' or 'max'; the median of batches holds them in memory. weight: per row, for 'mean' and 'sum'. ValueError for
    another number of labels than rows, an unknown method, or a group of weight zero.
    """
    if method not in ("mean", "sum", "median", "max"):
        raise ValueError(f"method is {method!r}; it must be 'mean', 'sum', 'median' or 'max'")
    if weight is not None and method not in ("mean", "sum"):
        raise ValueError(f"weights have no meaning for method {method!r}")
    if isinstance(groups, str):
        if not is_frame(data):
            raise ValueError(f"groups is {groups!r}, a column's name, but the data is no data frame")
        if groups not in data.columns:
            raise ValueError(f"the frame has no column {groups!r}; it has {', '.join(map(repr, data.columns))}")
        labels, data = data[groups].to_numpy(), data[[c for c in data.columns if c != groups]]
    else:
        labels = groups
    parts = [as_rows(b) for b in twice(data)[0]()] if is_stream(data) else [as_rows(data)]
    rows = sum(part.shape[0] for part in parts)
    if not rows:
        raise ValueError("there are no rows to aggregate")
    if isinstance(labels, numbers.Integral) and not isinstance(labels, bool):
        labels = _clusters(stacked(parts), labels, weight)
    labels = np.zeros(rows, np.int64) if labels is None else np.asarray(labels)
    if labels.shape != (rows,):
        raise ValueError(f"groups has shape {labels.shape}; the data has {rows} rows")
    weight = None if weight is None else np.asarray(weight, np.float64)
    if weight is not None and weight.shape != (rows,):
        raise ValueError(f"weight has shape {weight.shape}; the data has {rows} rows")
    names, place = np.unique(labels, return_inverse=True)
    if method in ("mean", "sum"):
        result = _sums(parts, place, len(names), weight)
        if method == "mean":
            result = _divided(result, np.bincount(place, weight, minlength=len(names)), names)
    else:
        result = _by_group(stacked(parts), place, len(names), method)
    return _like(data, result, names)


def _clusters(X, count, weight):
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise ImportError("clusters need scikit-learn: pip install 'sparsecore[sklearn]'") from error
    if not 1 <= count <= X.shape[0]:
        raise ValueError(f"{count} clusters of {X.shape[0]} rows")
    return KMeans(count, n_init=3, random_state=0).fit_predict(X, sample_weight=weight)


def _sums(parts, place, count, weight):
    total, start = None, 0
    for block in rebatched(parts, _ROWS):
        stop = start + block.shape[0]
        values = np.ones(stop - start) if weight is None else weight[start:stop]
        S = sp.csr_array((values, (place[start:stop], np.arange(stop - start))), shape=(count, stop - start))
        added = ops.matmul(S, block.astype(np.float64, copy=False))
        total = added if total is None else total + added
        start = stop
    return total


def _divided(total, counts, names):
    if (counts <= 0).any():
        raise ValueError(f"the group {names[np.argmax(counts <= 0)]!r} has weight zero")
    if sp.issparse(total):
        return sp.csr_array((total.data / np.repeat(counts, np.diff(total.indptr)), total.indices, total.indptr),
                            shape=total.shape)
    return total / counts[:, None]


def _by_group(X, place, count, method):
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(count + 1))
    rows = [_one(X[order[a:b]], method) for a, b in zip(bounds[:-1], bounds[1:])]
    return sp.vstack(rows, format="csr") if sp.issparse(X) else np.stack(rows)


def _one(block, method):
    if not sp.issparse(block):
        return np.median(block, axis=0) if method == "median" else block.max(axis=0)
    if method == "max":
        return sp.csr_array(block.max(axis=0).toarray().reshape(1, -1))
    columns = sp.csc_array(block)  # only columns filled in half of the rows or more can have a median other than zero
    full = np.flatnonzero(2 * np.diff(columns.indptr) >= block.shape[0])
    values = np.median(columns[:, full].toarray(), axis=0) if full.size else np.zeros(0)
    return sp.csr_array((values, (np.zeros(full.size, np.int64), full)), shape=(1, block.shape[1]))


def _like(data, result, names):
    if is_frame(data):
        if hasattr(data, "index"):
            return type(data)(result, index=names, columns=list(data.columns))
        return like(data, result)
    return result
