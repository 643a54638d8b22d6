"""From data at scale to a condensed model: read in batches, scale, sparsify, aggregate, fit, prune, merge."""

from ..io import ModelFileError
from . import model as _model
from . import network as _network
from .aggregate import aggregate
from .model import CondensedModel, cross_validate, train
from .network import Network
from .readers import DataError, read_columns, table_batches
from .scale import scale
from .shards import Linear, SubModel, Voting, fit_shards, merge
from .sparsify import column_scores, kept_columns, sparsify

__all__ = [
    "CondensedModel",
    "DataError",
    "Linear",
    "Network",
    "SubModel",
    "Voting",
    "aggregate",
    "column_scores",
    "cross_validate",
    "fit_shards",
    "kept_columns",
    "merge",
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
