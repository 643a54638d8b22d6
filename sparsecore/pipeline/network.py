"""A feed-forward network of dense or pruned layers: h <- max(0, W h + b), the last layer without the max."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from .. import ops
from ..io import ModelFileError, save_model
from ..pruning import PrunedModel
from .features import features_from

__all__ = ["Network"]

KIND = "sparsecore network"


@dataclass
class Network:
    """model: a PrunedModel with layers fc1.weight (out, in), fc1.bias, fc2.weight, ...; classes: array of str."""

    features: object
    model: PrunedModel
    classes: np.ndarray
    facts: dict = field(default_factory=dict)

    @property
    def depth(self):
        return sum(name.endswith(".weight") for name in self.model.layers)

    def decision(self, X):
        """Scores (rows, classes) of feature rows X.

        Where some layers are sparse, the few dense ones go through the same kernels: the threads of BLAS would go on
        spinning after their product and take a core from the sparse layers of the next batch.
        """
        h = np.ascontiguousarray(X.T)
        mixed = any(sp.issparse(layer) for layer in self.model.layers.values())
        for i in range(1, self.depth + 1):
            W, bias = self.model.layers[f"fc{i}.weight"], self.model.layers[f"fc{i}.bias"]
            if mixed and isinstance(W, np.ndarray):
                W = ops.from_dense(W)
            h = (W @ h if isinstance(W, np.ndarray) else ops.matmul(W, h)) + bias[:, None]
            if i < self.depth:
                np.maximum(h, 0, out=h)
        return h.T

    def predict(self, batch):
        """The class of every row of a batch {column: array}."""
        X = self.features.transform(batch).astype(self.model.layers["fc1.weight"].dtype)
        return self.classes[self.decision(X).argmax(axis=1)]

    def save(self, path, *, key=None, passphrase=None):
        layers, facts = self.features.to_layers()
        metadata = {"kind": KIND, "features": {"kind": self.features.kind, **facts},
                    "classes": self.classes.tolist(), "facts": self.facts}
        whole = PrunedModel({**self.model.layers, **layers}, self.model.shapes, self.model.report)
        save_model(path, whole, key=key, passphrase=passphrase, metadata=metadata)

    @classmethod
    def from_contents(cls, found, path):
        try:
            features = features_from(found.layers, found.metadata["features"])
            layers = {name: layer for name, layer in found.layers.items() if name.startswith("fc")}
            classes = np.array(found.metadata["classes"], dtype=object)
            made = cls(features, PrunedModel(layers), classes, found.metadata["facts"])
            width = features.size
            for i in range(1, made.depth + 1):
                W, bias = layers[f"fc{i}.weight"], layers[f"fc{i}.bias"]
                if W.shape[1] != width or bias.shape != (W.shape[0],):
                    raise ValueError(f"layer {i} has shape {W.shape}, bias {bias.shape}; its input has width {width}")
                width = W.shape[0]
            if width != len(classes):
                raise ValueError(f"{width} outputs for {len(classes)} classes")
            return made
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}") from error
