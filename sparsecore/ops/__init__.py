"""Sparse operations: the numeric API over scipy.sparse and NumPy arrays."""

from . import elementwise, products, spgemm, structure
from .elementwise import *  # noqa: F403
from .products import *  # noqa: F403
from .spgemm import *  # noqa: F403
from .structure import *  # noqa: F403

__all__ = [
    *elementwise.__all__,
    *products.__all__,
    *spgemm.__all__,
    *structure.__all__,
]
