"""Data that has outgrown one machine: the same calls on dask's arrays, data frames, bags and delayed objects.

    sc.scale(batches(X)), sc.sparsify(batches(X)), sc.aggregate(batches(X), labels), sc.pruning.calibrate(batches(X)())
    sc.truncated_svd(sc.RowBlocks(batches(X), X.shape), 50)
    sc.merge(fit_shards(X, y)).prune(0.95)

`batches` brings one block of rows at a time to this process; `fit_shards` and `calibrate` run on the scheduler that is
in force (threads, processes, or a distributed cluster), block by block, and only models or sums travel.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

try:
    import dask
    from dask.delayed import Delayed
except ImportError as error:
    raise ImportError("dask collections need dask: pip install 'sparsecore[dask]'") from error

from ..pipeline.readers import ordered_map
from ..pipeline.shards import Linear, completed, train_shard
from ..pruning import calibrate as calibrate_rows

__all__ = ["batches", "calibrate", "fit_shards"]


def batches(data, *, prefetch=2):
    """A function that returns an iterator over the blocks of rows of `data`, computed in order.

    data: dask array (any chunks along the rows; columns are joined), data frame, bag of row sequences, or a list of
    delayed blocks. At most 1 + prefetch computed blocks are held. Whatever takes batches takes this function, and may
    call it more than once: each call computes the blocks anew unless they were persisted.
    """
    blocks = _blocks(data)
    return lambda: ordered_map(lambda block: _rows(dask.compute(block)[0]), blocks, 1, prefetch)


def fit_shards(X, y, make_model=Linear, *, validation=0.2, seed=0):
    """`sparsecore.fit_shards` with one shard per block of rows, trained where dask computes; a list of SubModel.

    X, y: collections (or lists of delayed blocks) with the same division of their rows. The models are those of
    sparsecore.fit_shards on the same blocks. ValueError for another number of blocks, RuntimeError if every shard
    fails.
    """
    rows, labels = _blocks(X), _blocks(y)
    if len(rows) != len(labels):
        raise ValueError(f"X has {len(rows)} blocks of rows; y has {len(labels)}")
    train = dask.delayed(_train, pure=False)
    return completed(list(dask.compute(*(
        train(number, a, b, make_model, validation, seed) for number, (a, b) in enumerate(zip(rows, labels))))))


def calibrate(X, *, gram=True):
    """The Calibration of all rows: sums of the blocks where they lie, merged two by two in a fixed order."""
    parts = [dask.delayed(_calibration)(block, gram) for block in _blocks(X)]
    merge = dask.delayed(lambda a, b: a.merge(b))
    while len(parts) > 1:
        parts = [merge(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return dask.compute(parts[0])[0]


def _blocks(data):
    """Delayed blocks of rows, in order; at least one."""
    if isinstance(data, (list, tuple)) and data and all(isinstance(block, Delayed) for block in data):
        return list(data)
    if hasattr(data, "numblocks"):  # an array
        if data.ndim == 2 and data.numblocks[1] > 1:
            data = data.rechunk({1: -1})
        return list(data.to_delayed().ravel())
    if hasattr(data, "to_delayed"):  # a data frame or a bag
        return list(data.to_delayed())
    raise TypeError(f"{type(data).__name__} is no dask collection and no list of delayed blocks")


def _rows(block):
    """What a bag's partition holds (a list of rows) as an array; anything else as it is."""
    if not isinstance(block, (list, tuple)):
        return block
    return sp.vstack(block, format="csr") if block and sp.issparse(block[0]) else np.array(block)


def _train(number, X, y, make_model, validation, seed):
    X = _rows(X)
    return train_shard(number, X.to_numpy() if hasattr(X, "to_numpy") else X, np.asarray(_rows(y)), make_model,
                       validation, seed)


def _calibration(block, gram):
    rows = _rows(block)
    return calibrate_rows(rows.to_numpy() if hasattr(rows, "to_numpy") else rows, gram=gram)
