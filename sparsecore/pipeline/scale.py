"""Zero-preserving scaling: x / divisor per column, x / |x| per row, or TF-IDF; the same bits in batches as in one go.

    maxabs   divisor_j = max_i |x_ij|
    std      divisor_j = sqrt(mean_i (x_ij - mean_j)^2), not centred, so zeros stay zero
    l2       every row divided by its Euclidean length
    tfidf    x_ij (1 + ln((1 + n) / (1 + df_j))), then l2
A divisor of zero is taken as one.
"""

from __future__ import annotations

import copy

import numpy as np
import scipy.sparse as sp

from .. import ops
from .batches import as_rows, is_stream, like, rebatched, twice

__all__ = ["ColumnStatistics", "scale"]

_ROWS = 8192


class ColumnStatistics:
    """Count, largest magnitude, mean and squared deviations of every column, and how many entries are not zero.

    Rows are taken in blocks of 8192 whatever the batches and combined in order (Chan, Golub, LeVeque 1979), so the bits
    do not depend on how the data was cut.
    """

    def __init__(self):
        self.count = 0
        self.largest = self.mean = self.squares = self.occupied = None
        self._held, self._waiting = [], 0

    def add(self, X):
        """Add rows, dense or CSR."""
        self._held.append(X)
        self._waiting += X.shape[0]
        if self._waiting >= _ROWS:
            *full, rest = [*rebatched(self._held, _ROWS), None]
            if full and full[-1].shape[0] < _ROWS:
                rest = full.pop()
            for block in full:
                self._add_block(block)
            self._held, self._waiting = ([rest], rest.shape[0]) if rest is not None else ([], 0)
        return self

    def divisor(self, method):
        """The divisor of every column for 'maxabs' or 'std'."""
        whole = self._finished()
        divisor = whole.largest if method == "maxabs" else np.sqrt(whole.squares / whole.count)
        return np.where(divisor > 0, divisor, 1.0)

    def idf(self):
        """1 + ln((1 + n) / (1 + df)) of every column."""
        whole = self._finished()
        return 1 + np.log((1 + whole.count) / (1 + whole.occupied))

    def _finished(self):
        """A copy that has taken in the rows still held: more may come, and would have to join them in their block."""
        whole = copy.copy(self)
        for block in rebatched(self._held, _ROWS):
            whole._add_block(block)
        if not whole.count:
            raise ValueError("there are no rows to scale")
        return whole

    def _add_block(self, X):
        n = X.shape[0]
        if sp.issparse(X):
            data, column, d = np.asarray(X.data, np.float64), X.indices, X.shape[1]
            largest = np.zeros(d)
            np.maximum.at(largest, column, np.abs(data))
            occupied = np.bincount(column[data != 0], minlength=d)
            mean = np.bincount(column, data, minlength=d) / n
            filled = np.bincount(column, minlength=d)
            squares = np.bincount(column, (data - mean[column]) ** 2, minlength=d) + (n - filled) * mean**2
        else:
            X = np.asarray(X, np.float64)
            largest, occupied = np.abs(X).max(axis=0, initial=0), np.count_nonzero(X, axis=0)
            mean = X.mean(axis=0)
            squares = ((X - mean) ** 2).sum(axis=0)
        if not self.count:
            self.count, self.largest, self.mean, self.squares, self.occupied = n, largest, mean, squares, occupied
            return
        if largest.shape != self.largest.shape:
            raise ValueError(f"a batch has {largest.size} columns; the batches before it have {self.largest.size}")
        total, step = self.count + n, mean - self.mean
        self.squares = self.squares + squares + step**2 * (self.count * n / total)
        self.mean = self.mean + step * (n / total)
        self.largest = np.maximum(self.largest, largest)
        self.occupied = self.occupied + occupied
        self.count = total


def scale(data, method="maxabs"):
    """Scale without moving zeros. data: array, frame, scipy.sparse, or batches of these; the same family comes out.

    method: 'maxabs', 'std', 'l2' or 'tfidf', as at the top of this module. Batches: a list, a function that returns an
    iterator (read twice), or an iterator (held in memory unless the method is 'l2'); scaled batches come out, lazily.
    ValueError for an unknown method or batches of different widths, TypeError for values that are not numbers.
    """
    if method not in ("maxabs", "std", "l2", "tfidf"):
        raise ValueError(f"method is {method!r}; it must be 'maxabs', 'std', 'l2' or 'tfidf'")
    if is_stream(data):
        return _scaled_batches(data, method)
    rows = as_rows(data)
    return like(data, _apply(rows, method, None if method == "l2" else ColumnStatistics().add(rows)))


def _scaled_batches(data, method):
    if method == "l2":
        statistics = None
        second = data() if callable(data) else iter(data)
    else:
        first, second = twice(data)
        statistics = ColumnStatistics()
        for batch in first():
            statistics.add(as_rows(batch))
        second = second()
    return (like(batch, _apply(as_rows(batch), method, statistics)) for batch in second)


def _apply(X, method, statistics):
    if method == "l2":
        return unit_length(X)
    if method == "tfidf":
        return unit_length(by_columns(X, statistics.idf()))
    return by_columns(X, 1.0, statistics.divisor(method))


def by_columns(X, factor, divisor=None):
    """X * factor / divisor, column by column; a sparse X keeps its pattern."""
    if sp.issparse(X):
        data = X.data * (factor if np.ndim(factor) == 0 else factor[X.indices])
        data = data if divisor is None else data / divisor[X.indices]
        return sp.csr_array((data, X.indices.copy(), X.indptr.copy()), shape=X.shape)
    return X * factor if divisor is None else X * factor / divisor


def unit_length(X):
    """Rows divided by their Euclidean length; rows of zeros stay."""
    if sp.issparse(X):
        X = sp.csr_array(X, dtype=np.float64)
        length = ops.norm(X, axis=1)
        return ops.diag_scale(X, left=1 / np.where(length > 0, length, 1))
    length = np.sqrt((np.asarray(X, np.float64) ** 2).sum(axis=1, keepdims=True))
    return X / np.where(length > 0, length, 1)
