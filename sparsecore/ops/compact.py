"""Dense to CSR in one read: what `from_dense` and magnitude thresholding share."""

import numpy as np
import scipy.sparse as sp

from .. import _args, _core
from . import large

__all__ = []

INT32_MAX = np.iinfo(np.int32).max
SAMPLES = 4096


def room(W, key):
    """Room for the entries of a 2-D array of reals whose bits without the sign are at least `key`: an estimate from a
    fixed sample, generous, at most all."""
    if W.size <= 1 << 16:
        return W.size
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, W.shape[0], SAMPLES), rng.integers(0, W.shape[1], SAMPLES)
    bits = W[rows, columns].view(f"u{W.itemsize}") & ((1 << (8 * W.itemsize - 1)) - 1)
    share = np.count_nonzero(bits >= key) / SAMPLES
    return min(W.size, int(W.size * (share + 5 * (share * (1 - share) / SAMPLES) ** 0.5 + 0.002)))


def to_csr(W, kind, room, **rule):
    """(status, ties taken, csr_array) of what a rule of `_core.select` selects from a 2-D array: one read where `room`
    suffices, else a second with the right size.  No array where W changed between the two, or the status is an error.
    """
    m, n = W.shape
    for _ in range(2):
        index = np.int64 if max(room, n) > INT32_MAX else np.int32
        indptr, indices, data = np.empty(m + 1, index), large.empty(room, index), large.empty(room, W.dtype)
        status, count, tied = _core.select(W, kind, indptr=indptr, indices=indices, data=data, **rule)
        if status == _core.IS_NAN:
            break
        if count <= room:
            if count < room:
                indices.resize(count, refcheck=False)
                data.resize(count, refcheck=False)
            if index is np.int64 and max(count, n) <= INT32_MAX:
                indptr, indices = indptr.astype(np.int32), indices.astype(np.int32)
            return status, tied, _args.wrap(sp.csr_array, (m, n), indptr, indices, data)
        room = count
    return status, 0, None
