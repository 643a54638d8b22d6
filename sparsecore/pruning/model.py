"""PrunedModel: named layers after pruning, their original shapes and the report of what was done."""
from dataclasses import dataclass, field

from .report import Report
from .storage import smallest_format, todense

__all__ = ["PrunedModel"]


@dataclass
class PrunedModel:
    """Named layers after pruning.

    layers    {name: csr_array | ndarray | LowRank | SparsePlusLowRank}; a pruned array is 2-D (4-D ones as (out, -1))
    shapes    {name: original shape}, so that state_dict() gives 4-D arrays back
    report    one dict per layer: shape, nnz, bytes before and after, error
    metadata  plain strings and numbers that travel with the file
    """

    layers: dict
    shapes: dict = field(default_factory=dict)
    report: Report = field(default_factory=Report)
    metadata: dict = field(default_factory=dict)

    def __post_init__(self):
        self.shapes = {name: tuple(self.shapes.get(name, layer.shape)) for name, layer in self.layers.items()}
        if not isinstance(self.report, Report):
            self.report = Report(self.report)

    def state_dict(self):
        """{name: dense ndarray in its original shape}; fresh arrays."""
        return {name: todense(layer).reshape(self.shapes[name]).copy() for name, layer in self.layers.items()}

    @property
    def nbytes(self):
        """Bytes of all layers, each in its smallest format."""
        return sum(smallest_format(layer)[1] for layer in self.layers.values())

    def save(self, path, **options):
        """Write a model file; options (key, passphrase) as in sparsecore.io.save_model."""
        from sparsecore.io import save_model

        return save_model(path, self, **options)
