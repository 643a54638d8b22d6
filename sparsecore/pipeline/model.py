"""The condensed model: the features that are left, a sparse linear layer on them, and the names of the classes.

    scores = weigh(features) @ coef.T + intercept

Its file holds weights and statistics of columns, never rows of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from .. import ops
from ..io import ModelFileError, read_model, save_model
from ..svd import truncated_svd
from .features import features_from
from .linear import AGAIN, CHOICE, encode_labels, input_stats, pick_labels, prune_linear, ridge, ridge_path
from .sparsify import column_scores, kept_columns

__all__ = ["CondensedModel", "accuracy", "cross_validate", "folds", "mass", "solve_again", "train"]

KIND = "sparsecore condensed model"
_ZERO = 1e-10  # of the largest: singular values below are rounding


@dataclass
class CondensedModel:
    """features: from a batch of columns to numbers; coef: (outputs, features), CSR once pruned; classes: str."""

    features: object
    coef: sp.csr_array
    intercept: np.ndarray
    classes: np.ndarray
    facts: dict = field(default_factory=dict)

    def decision(self, X):
        """Scores (rows, outputs) of feature rows X."""
        if sp.issparse(X):
            coef = self.coef.toarray() if sp.issparse(self.coef) else self.coef
            return ops.matmul(X, np.ascontiguousarray(coef.T)) + self.intercept
        return (self.coef @ X.T if isinstance(self.coef, np.ndarray) else ops.matmul(self.coef, X.T)).T + self.intercept

    def predict(self, batch):
        """The class of every row of a batch {column: array}."""
        return pick_labels(self.decision(self.features.transform(batch)), self.classes)

    def save(self, path, *, key=None, passphrase=None):
        layers, facts = self.features.to_layers()
        metadata = {"kind": KIND, "features": {"kind": self.features.kind, **facts},
                    "classes": self.classes.tolist(), "facts": self.facts}
        layers = {"coef": self.coef, "intercept": self.intercept, **layers}
        save_model(path, layers, key=key, passphrase=passphrase, metadata=metadata)

    @classmethod
    def load(cls, path, *, key=None, passphrase=None):
        """The model in the file `path`; ModelFileError if it holds something else."""
        found = read_model(path, key=key, passphrase=passphrase)
        return cls.from_contents(found, path)

    @classmethod
    def from_contents(cls, found, path):
        if found.metadata.get("kind") != KIND:
            raise ModelFileError(f"{path} holds bare layers, not a model with its features")
        try:
            features = features_from(found.layers, found.metadata["features"])
            coef, intercept = found.layers["coef"], found.layers["intercept"]
            classes = np.array(found.metadata["classes"], dtype=object)
            outputs = 1 if len(classes) == 2 else len(classes)
            if coef.shape != (outputs, features.size) or intercept.shape != (outputs,):
                raise ValueError(f"coef has shape {coef.shape}; {outputs} outputs and {features.size} features")
            return cls(features, coef, intercept, classes, found.metadata["facts"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}") from error


def train(X, y, classes, features, *, sparsity, alpha=0.3, score=None, screen=None, keep=1.0,
          factorize=None, choice=CHOICE, again=AGAIN):
    """(dense model, condensed model): fit ridge, prune its weights, solve what is left again.

    X: rows as `features` weighs them; y: labels. screen, keep: first only the best columns, as `sparsify` scores them.
    score: a function of sparsecore.pruning. factorize: the first fit stays within the span of so many right singular
    vectors of X (latent semantic analysis), or of as many as X has: facts["rank"] of the dense model. choice, again:
    penalties of the fit that chooses the weights, and of the fit of those chosen, in units of alpha. The latter also
    grows as `features.restrict` scales shortened rows up again, so that it weighs as much as if they had kept their
    length.
    """
    Y = encode_labels(y, classes)
    if screen is not None:
        chosen = kept_columns(column_scores(X, screen), keep)
        X, features = features.restrict(X, chosen), features.keep(chosen)
    penalties = [alpha, alpha * choice]
    facts = {}
    if factorize is None:
        (coef, intercept), (choosing, _) = ridge_path(X, Y, penalties)
    else:
        _, s, Vt = truncated_svd(X, min(factorize, *X.shape))
        Vt = Vt[: max(1, np.count_nonzero(s > _ZERO * s[0]))]
        facts["rank"] = len(Vt)
        projected = ops.matmul(X, Vt.T) if sp.issparse(X) else X @ Vt.T
        (coef, intercept), (choosing, _) = ((W @ Vt, b) for W, b in ridge_path(projected, Y, penalties))
    dense = CondensedModel(features, coef, intercept, classes, facts)
    mask = prune_linear(choosing, sparsity, score=score, stats=input_stats(score, X))
    if not mask.any():
        raise ValueError(f"a sparsity of {sparsity} leaves none of the {coef.size} weights")
    return dense, solve_again(X, Y, mask, features, alpha * again, classes)


def solve_again(X, Y, mask, features, penalty, classes):
    """The model that uses only the weights in mask (outputs, features): every output solved on its own support."""
    chosen = np.flatnonzero(mask.any(axis=0))
    left, rows = mask[:, chosen], features.restrict(X, chosen)
    penalty *= mass(rows) / (mass(X[:, chosen]) or 1.0)
    weights, offset = np.zeros(left.shape), Y.mean(axis=0)
    for o in range(len(left)):
        own = np.flatnonzero(left[o])
        if own.size:
            solved, shift = ridge(rows[:, own], Y[:, o : o + 1], penalty)
            weights[o, own], offset[o] = solved[0], shift[0]
    return CondensedModel(features.keep(chosen), sp.csr_array(weights), offset, classes)


def folds(y, count, seed):
    """The fold of every row, stratified: each class is shuffled and dealt out in turn."""
    place, rng, start = np.empty(len(y), np.int64), np.random.default_rng(seed), 0
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        place[rows] = (start + np.arange(rows.size)) % count
        start += rows.size
    return place


def cross_validate(raw, y, spec, *, sparsity, folds_count=5, seed=0, progress=iter, **options):
    """Accuracy per fold: [{"dense": ..., "pruned": ...}]. Features, weights and mask are learned on the other folds."""
    fold, classes, found = folds(y, folds_count, seed), np.unique(y), []
    for f in progress(range(folds_count)):
        learn, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        features, chosen = spec.fitted(raw[learn])
        X, X_test = (features.weigh(raw[rows][:, chosen]) for rows in (learn, test))
        dense, pruned = train(X, y[learn], classes, features, sparsity=sparsity, **options)
        found.append({"dense": accuracy(dense, X_test, y[test], features),
                      "pruned": accuracy(pruned, X_test, y[test], features)})
    return found


def accuracy(model, X, y, features):
    """The share of rows X (of `features`, of which the model may use some) that the model gets right."""
    place = {name: i for i, name in enumerate(features.names)}
    rows = features.restrict(X, np.array([place[name] for name in model.features.names]))
    return float((pick_labels(model.decision(rows), model.classes) == y).mean())


def mass(X):
    """Mean squared length of the rows that are not empty."""
    squares = np.asarray((X.multiply(X) if sp.issparse(X) else X * X).sum(axis=1)).ravel()
    return float(squares[squares > 0].mean()) if (squares > 0).any() else 0.0
