"""sparsecore: sparse kernels, exact magnitude thresholding, certified truncated SVD, and model pruning for CPUs."""

import logging as _logging
import os as _os

from . import _core

_core.isa_choose(_os.environ.get("SPARSECORE_ISA"))
_logging.getLogger(__name__).addHandler(_logging.NullHandler())

__version__ = "0.1.0"

from . import ops as _ops  # noqa: E402
from ._config import show_config  # noqa: E402
from ._threads import get_num_threads, set_num_threads, threads  # noqa: E402
from .arrays import accelerate, csc_array, csr_array  # noqa: E402
from .ops import *  # noqa: E402, F403
from .prepared import Prepared, prepare  # noqa: E402
from .storage import NM, Bitmask  # noqa: E402
from .svd import RowBlocks, SVDResult, truncated_svd  # noqa: E402
from .threshold import (  # noqa: E402
    apply_mask,
    block_mask,
    kth_magnitude,
    nm_mask,
    threshold,
    topk,
    topk_mask,
)

__all__ = [
    "accelerate", "csc_array", "csr_array",
    "Prepared", "prepare", "get_num_threads", "set_num_threads", "show_config", "threads",
    "RowBlocks", "SVDResult", "truncated_svd",
    *_ops.__all__,
    "NM", "Bitmask", "apply_mask", "block_mask", "kth_magnitude", "nm_mask", "threshold", "topk", "topk_mask",
]


_ON_DEMAND = {
    **dict.fromkeys(("scale", "sparsify", "aggregate", "fit_shards", "merge"), "pipeline"),
    **dict.fromkeys(("Scaler", "Sparsifier", "TruncatedSVD", "PrototypeClassifier", "PrunedLinearClassifier"),
                    "integrations.sklearn"),
}


def __getattr__(name):
    # Rooms that not every user enters are opened on demand: importing sparsecore stays fast.
    import importlib

    if name in ("io", "pipeline", "pruning", "integrations"):
        return importlib.import_module(f".{name}", __name__)
    if name in _ON_DEMAND:
        return getattr(importlib.import_module(f".{_ON_DEMAND[name]}", __name__), name)
    raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")
