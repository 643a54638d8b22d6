"""Memory for results.  Fresh pages cost a large result as much as the work on it: the kernel clears them first."""

import math

import numpy as np

from .. import _core

__all__ = []


def empty(shape, dtype, order="C", least=_core.KEEP_LEAST):
    """numpy.empty, from `least` bytes on in memory that earlier results gave back, where a block fits (csrc/keep.c)."""
    dtype = np.dtype(dtype)
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    make = np.empty if count * dtype.itemsize < least else _core.empty
    return make(shape, dtype, order)
