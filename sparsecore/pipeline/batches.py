"""What counts as data here: arrays, data frames, scipy.sparse, and batches of any of these."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["as_rows", "is_frame", "is_stream", "like", "rebatched", "twice"]


def is_frame(data):
    """True for a pandas or polars DataFrame (by what it can do, so that neither is imported)."""
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def is_stream(data):
    """True for batches: an iterator, a function that returns one, or a list of arrays, frames or sparse matrices."""
    if isinstance(data, (list, tuple)):
        return bool(data) and all(isinstance(b, np.ndarray) and b.ndim == 2 or sp.issparse(b) or is_frame(b)
                                  for b in data)
    return callable(data) or hasattr(data, "__next__")


def as_rows(data):
    """A 2-D float ndarray or canonical csr_array of the same values; never the caller's own object changed."""
    if sp.issparse(data):
        rows = sp.csr_array(data)
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        if rows.dtype.kind not in "f":
            _numbers(rows.dtype)
            rows = rows.astype(np.float64)
        return rows
    array = data.to_numpy() if is_frame(data) else np.asarray(data)
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the data has values that are not numbers ({error})") from None
    _numbers(array.dtype)
    if array.ndim != 2:
        raise ValueError(f"data has shape {array.shape}; rows and columns are needed")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def like(data, result, columns=None):
    """`result` in the family of `data`: a frame with the same index and columns, a sparse matrix, or an ndarray."""
    if is_frame(data):
        names = list(data.columns) if columns is None else columns
        if hasattr(data, "index"):
            return type(data)(result, index=data.index, columns=names)
        return type(data)(result, schema=names)
    if isinstance(data, sp.spmatrix):
        return sp.csr_matrix(result)
    return result


def rebatched(batches, rows):
    """The same rows in blocks of exactly `rows`, the last one shorter."""
    held, count = [], 0
    for batch in batches:
        held.append(batch)
        count += batch.shape[0]
        if count >= rows:
            joined = stacked(held)
            for start in range(0, count - rows + 1, rows):
                yield joined[start : start + rows]
            count %= rows
            held = [joined[joined.shape[0] - count :]] if count else []
    if count:
        yield stacked(held)


def stacked(batches):
    """Batches on top of each other; one array, sparse if they are."""
    widths = sorted({batch.shape[1] for batch in batches})
    if len(widths) > 1:
        raise ValueError(f"a batch has {widths[1]} columns; another has {widths[0]}")
    if len(batches) == 1:
        return batches[0]
    if sp.issparse(batches[0]):
        return sp.vstack(batches, format="csr")
    return np.concatenate(batches)


def twice(data):
    """Two functions that each return an iterator over the batches; a one-shot iterator is held in memory."""
    if callable(data):
        return data, data
    held = data if isinstance(data, (list, tuple)) else list(data)
    return lambda: iter(held), lambda: iter(held)


def _numbers(dtype):
    if dtype.kind not in "fiub":
        raise TypeError(f"the data has values of type {dtype}; real numbers are needed")
