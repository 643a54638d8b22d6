"""Sparse operations: the numeric API over scipy.sparse and NumPy arrays."""

from . import products, spgemm, structure
from .products import *  # noqa: F403
from .spgemm import *  # noqa: F403
from .structure import *  # noqa: F403

__all__ = [
    *products.__all__,
    *spgemm.__all__,
    *structure.__all__,
]
