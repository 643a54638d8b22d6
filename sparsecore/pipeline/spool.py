"""Ridge classifiers on more features than a square matrix of them fits: the rows wait in a temporary file, which every
step of conjugate gradients reads once for all penalties, outputs and sets of rows, as columns of one product.

    min over w, b of  sum_i (y_i - x_i.w - b)^2 + alpha |w|^2

Memory: some vectors of the features, and a block of rows. Disk: 8 bytes per entry of X, and 4 per entry of Y and row.
"""

from __future__ import annotations

import errno
import os
import tempfile

import numpy as np
import scipy.sparse as sp

from .. import ops
from .. import pruning as pr
from .linear import descend
from .readers import prefetched

__all__ = ["HELD", "VECTORS", "Spool"]

_ENTRIES = 1 << 21  # of a block: 24 MB as CSR; cut by these and not by batches, so that batches do not change the bits
_FITS = 64 << 20  # bytes of the values that a block's rows are fitted to, for two penalties on two sets of rows
VECTORS = 512 << 20  # bytes of the vectors of one run of conjugate gradients
HELD = 8  # vectors of the features that conjugate gradients hold per column


class Spool:
    """Sparse feature rows in a temporary file that has no name and is gone with the process.

    features, outputs: widths of X and Y. hold_out: solve for all rows, and for those not held out ("rest").
    """

    def __init__(self, features, outputs, *, hold_out=False):
        self.features, self.outputs = features, outputs
        self.parts = ("all", "rest") if hold_out else ("all",)
        self.total = np.zeros(len(self.parts))
        self.x, self.squares = np.zeros((2, features, len(self.parts)))
        self.y = np.zeros((len(self.parts), outputs))
        self.xy = np.zeros((len(self.parts), features, outputs))
        self._folder = _folder()
        self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)
        self._sizes, self._held, self._waiting, self._rows = [], [], 0, 0
        self._most = max(1, _FITS // (32 * outputs))

    def add(self, X, Y, held=None):
        """Add rows: X (n, features) CSR, Y (n, outputs) of numbers that float32 holds; held (n,): not in "rest"."""
        held = np.zeros(X.shape[0], bool) if held is None else held
        self._held.append((X, Y, held))
        self._waiting += X.nnz
        self._rows += X.shape[0]
        while self._waiting >= _ENTRIES or self._rows >= self._most:
            X, Y, held = self._joined()
            cut = min(int(np.searchsorted(X.indptr, _ENTRIES)), self._most, X.shape[0])
            self._write(X[:cut], Y[:cut], held[:cut])
            self._held, self._waiting = [(X[cut:], Y[cut:], held[cut:])], int(X.nnz - X.indptr[cut])
            self._rows = X.shape[0] - cut

    def blocks(self):
        """(X, Y, held) of some rows at a time, in order; X in float64 of values rounded to float32."""
        self._finish()
        return prefetched(self._read(), 1)

    def solve(self, alphas, support=None):
        """{part: [(coef (outputs, features), intercept (outputs,)) for each of alphas]}.

        support: a mask (outputs, features) of the weights that may be used.
        """
        self._finish()
        columns = [(p, alpha, o) for p in range(len(self.parts)) for alpha in alphas for o in range(self.outputs)]
        at_once = max(1, VECTORS // (8 * HELD * self.features))
        solved = [found for first in range(0, len(columns), at_once)
                  for found in self._solve(columns[first : first + at_once], support)]
        found, place = {}, 0
        for part in self.parts:
            found[part] = []
            for _ in alphas:
                own = solved[place : place + self.outputs]
                found[part].append((np.stack([coef for coef, _ in own]), np.array([b for _, b in own])))
                place += self.outputs
        return found

    def calibration(self, part="all"):
        """What `pruning.wanda` wants to know of the inputs."""
        self._finish()
        p = self.parts.index(part)
        return pr.Calibration(None, np.sqrt(self.squares[:, p]), round(self.total[p]))

    def _solve(self, columns, support):
        """[(coef (features,), intercept)] for each (part, alpha, output)."""
        part, alpha, output = (np.array(values) for values in zip(*columns))
        rest = np.flatnonzero(part == 1)
        mean, mean_y = self.x[:, part] / self.total[part], self.y[part, output] / self.total[part]
        spread = np.maximum(self.squares[:, part] - self.total[part] * mean**2, 0)
        right = self.xy[part, :, output].T - self.x[:, part] * mean_y
        own = None if support is None else support.T[:, output]

        def normal(V):
            shift, found, sums = (mean * V).sum(axis=0), alpha * V, np.zeros(V.shape[1])
            for X, _, held in self.blocks():
                fit = ops.matmul(X, V) - shift
                if rest.size:
                    fit[np.ix_(held, rest)] = 0
                found += ops.matmul(X.T, fit)
                sums += fit.sum(axis=0)
            found -= mean * sums
            return found if own is None else np.where(own, found, 0)

        right = np.ascontiguousarray(right if own is None else np.where(own, right, 0))
        named = "alpha=" + ", ".join(f"{a:g}" for a in dict.fromkeys(alpha.tolist()))
        # All of the diagonal, as in memory, guards against columns of any scale. Rows of TF-IDF have length 1: its root
        # took 47 readings in place of 76 for 100,000 reviews (no scale 51), and 35 in place of 41 for the twentieth of
        # their terms that stays (no scale 52).
        coef = descend(normal, right, np.sqrt(spread + alpha), np.zeros_like(right), named)
        return list(zip(np.ascontiguousarray(coef.T), mean_y - (mean * coef).sum(axis=0)))

    def _finish(self):
        if self._held:
            self._write(*self._joined())
            self._held, self._waiting, self._rows = [], 0, 0

    def _joined(self):
        X, Y, held = zip(*self._held)
        return (sp.vstack(X, format="csr") if len(X) > 1 else X[0]), np.concatenate(Y), np.concatenate(held)

    def _write(self, X, Y, held):
        X = sp.csr_array((X.data.astype(np.float32), X.indices, X.indptr), shape=X.shape)
        arrays = (X.indptr.astype(np.int32), X.indices.astype(np.int32, copy=False), X.data, Y.astype(np.float32), held)
        try:
            for array in (a for a in arrays if a.size):
                rest = memoryview(np.ascontiguousarray(array)).cast("B")
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise OSError(error.errno, "no room for the vectorised rows; the variable TMPDIR names another folder for "
                          "temporary files", self._folder) from error
        self._sizes.append((X.shape[0], X.nnz))
        X, Y = X.astype(np.float64), np.asarray(Y, np.float64)
        for p in range(len(self.parts)):
            weight = np.ones(len(held)) if p == 0 else np.where(held, 0.0, 1.0)
            self.total[p] += weight.sum()
            self.y[p] += (weight[:, None] * Y).sum(axis=0)
            self.x[:, p] += ops.matmul(X.T, weight)
            self.squares[:, p] += ops.matmul(sp.csr_array((X.data**2, X.indices, X.indptr), shape=X.shape).T, weight)
            self.xy[p] += ops.matmul(X.T, weight[:, None] * Y)

    def _read(self):
        self._file.seek(0)
        for rows, entries in self._sizes:
            indptr, indices, data, Y, held = (self._array(shape, kind) for shape, kind in (
                ((rows + 1,), np.int32), ((entries,), np.int32), ((entries,), np.float32),
                ((rows, self.outputs), np.float32), ((rows,), bool)))
            yield sp.csr_array((data.astype(np.float64), indices, indptr), shape=(rows, self.features)), Y, held

    def _array(self, shape, kind):
        found = np.empty(shape, kind)
        rest = memoryview(found).cast("B") if found.size else b""
        while rest:
            count = self._file.readinto(rest)
            if not count:
                raise OSError(errno.EIO, "the temporary file is shorter than what was written", self._folder)
            rest = rest[count:]
        return found


def _folder():
    """Where large temporary files belong: TMPDIR, or else not /tmp, which is memory on many systems."""
    if os.environ.get("TMPDIR") or not os.access("/var/tmp", os.W_OK):
        return tempfile.gettempdir()
    return "/var/tmp"
