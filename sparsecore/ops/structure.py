"""Structure: validation, transposition, conversion, slicing, stacking."""

import numpy as np

from .. import _args, _core, _threads

__all__ = ["validate"]

def validate(A, *, threads=None):
    """Full structural check of a CSR or CSC matrix.

    Raises ValueError naming the first offending row and entry: indptr that falls or leaves 0..nnz, an index outside
    the matrix.  O(nnz), one read of indptr and indices.
    """
    R = _args.rows(A)
    data = R.data if _args.has_kernel(R.data.dtype) else np.empty(R.data.shape[0], np.float16)
    _core.validate(R.shape, R.indptr, R.indices, data, _threads.resolve(threads, R.indices.shape[0]))
