"""From data at scale to a condensed model: read in batches, scale, sparsify, aggregate, fit, prune, merge."""

from ..io import ModelFileError
from . import model as _model
from . import network as _network
from .model import CondensedModel, cross_validate, train
from .network import Network
from .readers import DataError, read_columns, table_batches
from .scale import scale
from .sparsify import column_scores, kept_columns, sparsify

__all__ = [
    "CondensedModel",
    "DataError",
    "Network",
    "column_scores",
    "cross_validate",
    "kept_columns",
    "model_from",
    "read_columns",
    "scale",
    "sparsify",
    "table_batches",
    "train",
]


def model_from(contents, path):
    """The CondensedModel or Network in the Contents of a model file; ModelFileError if it is neither."""
    made = {_model.KIND: CondensedModel, _network.KIND: Network}.get(contents.metadata.get("kind"))
    if made is None:
        raise ModelFileError(f"{path} holds bare layers, not a model that knows its features")
    return made.from_contents(contents, path)
