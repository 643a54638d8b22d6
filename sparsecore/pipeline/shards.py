"""Sub-models: one per shard of rows, trained and validated on their own, then merged into one and pruned.

Shards are read ahead by a thread and trained by a pool; a shard that fails is reported and the others go on.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .. import ops
from ..io import ModelFileError, read_model, save_model
from .linear import encode_labels, pick_labels, prune_linear, ridge
from .readers import fresh_processes, prefetched

__all__ = ["Linear", "SubModel", "Voting", "fit_shards", "merge"]


@dataclass
class SubModel:
    """What became of one shard: the model and its accuracy on the rows it did not see, or the error."""

    shard: int
    rows: int
    model: object = None
    accuracy: float | None = None
    error: str | None = None

    @property
    def ok(self):
        return self.error is None


class Linear:
    """A linear classifier: scores = X @ coef_.T + intercept_; coef_ (outputs, features), dense or CSR."""

    def __init__(self, coef=None, intercept=None, classes=None, *, alpha=1.0):
        self.coef_, self.intercept_, self.classes_, self.alpha = coef, intercept, classes, alpha

    def fit(self, X, y):
        """Ridge regression on +1 and -1, in closed form."""
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"the shard has one class only, {self.classes_[0]!r}")
        self.coef_, self.intercept_ = ridge(X, encode_labels(y, self.classes_), self.alpha)
        return self

    def decision_function(self, X):
        """Scores (rows, outputs)."""
        if sp.issparse(X):
            coef = self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_
            return ops.matmul(X, np.ascontiguousarray(coef.T)) + self.intercept_
        product = ops.matmul(self.coef_, X.T) if sp.issparse(self.coef_) else self.coef_ @ X.T
        return product.T + self.intercept_

    def predict(self, X):
        return pick_labels(self.decision_function(X), self.classes_)

    def score(self, X, y):
        return float((self.predict(X) == np.asarray(y)).mean())

    def prune(self, sparsity, *, score=None):
        """A copy with exactly round(sparsity * size) weights gone, as CSR."""
        coef = self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_
        mask = prune_linear(coef, sparsity, score=score)
        return Linear(sp.csr_array(np.where(mask, coef, 0)), self.intercept_.copy(), self.classes_, alpha=self.alpha)


class Voting:
    """Every model has one vote for each row; ties go to the class that comes first."""

    def __init__(self, models, classes):
        self.models, self.classes_ = models, classes

    def predict(self, X):
        votes = np.zeros((X.shape[0], len(self.classes_)), np.int64)
        for model in self.models:
            votes[np.arange(X.shape[0]), np.searchsorted(self.classes_, model.predict(X))] += 1
        return self.classes_[votes.argmax(axis=1)]

    def score(self, X, y):
        return float((self.predict(X) == np.asarray(y)).mean())


class Stacked:
    """A linear model on the scores of the models."""

    def __init__(self, models, top):
        self.models, self.top, self.classes_ = models, top, top.classes_

    def predict(self, X):
        return self.top.predict(_scores(self.models, X))

    def score(self, X, y):
        return float((self.predict(X) == np.asarray(y)).mean())


def fit_shards(batches, make_model=Linear, *, workers=None, prefetch=2, validation=0.2, seed=0, processes=False,
               checkpoint=None, progress=None):
    """Train make_model() on every shard; a list of SubModel in the order of the shards.

    batches: iterable of (X, y), X dense or CSR. make_model: called per shard; its result has fit(X, y) and predict(X).
    validation: the share of a shard's rows, drawn by `seed` and the shard's number, that only measure accuracy.
    workers: threads, or processes (make_model must then be importable). At most workers + prefetch shards are held.
    checkpoint: a folder where finished linear models are kept (unsealed) and found again by the shard's number and
    contents, make_model (its name, and the arguments of a functools.partial), validation and seed, so that a run that
    was cut short resumes. progress: called with each SubModel as it is finished.

    A shard whose training raises is reported in its `error`. RuntimeError if every shard fails; ValueError if there are
    none; errors from `batches` itself are raised.
    """
    from .._threads import get_num_threads

    if not 0 < validation < 1:
        raise ValueError(f"validation is {validation}; it must be between 0 and 1")
    workers = workers or get_num_threads()
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    done, pending = [], {}
    with _Pool(workers, processes) as pool:
        for number, (X, y) in enumerate(prefetched(batches, prefetch)):
            place = folder and _place(folder, number, X, y, (_named(make_model), validation, seed))
            found = _resumed(place, make_model)
            if found is not None:
                _finish(done, found, None, progress)
                continue
            task = (number, X, y, make_model, validation, seed)
            pending[number] = (pool.submit(*task), place, task)
            if len(pending) >= workers + prefetch:
                _collect(done, pending, min(pending), progress)
        for number in sorted(pending):
            _collect(done, pending, number, progress)
    return completed(done)


def completed(done):
    """SubModels in the order of their shards; RuntimeError if all failed, ValueError if there are none."""
    if not done:
        raise ValueError("there are no shards")
    if not any(found.ok for found in done):
        raise RuntimeError(f"every one of {len(done)} shards failed; the first: {done[0].error}")
    return sorted(done, key=lambda found: found.shard)


def merge(models, method="mean", *, X=None, y=None):
    """One model of several: SubModels (failed ones are left out) or fitted classifiers with classes_.

    'mean': the mean of linear weights, each counted by its rows (1 where unknown); a Linear, which can be pruned.
    'vote': a Voting. 'stack': a linear model on their scores, fitted on X, y, rows that none was trained on.
    ValueError for no model, another method, features that differ, 'stack' without X and y.
    """
    if method not in ("mean", "vote", "stack"):
        raise ValueError(f"method is {method!r}; it must be 'mean', 'vote' or 'stack'")
    found = [m for m in models if not isinstance(m, SubModel) or m.ok]
    if not found:
        raise ValueError("there is no model to merge")
    weight = np.array([m.rows if isinstance(m, SubModel) else 1 for m in found], np.float64)
    members = [m.model if isinstance(m, SubModel) else m for m in found]
    classes = np.unique(np.concatenate([m.classes_ for m in members]))
    if method == "vote":
        return Voting(members, classes)
    if method == "stack":
        if X is None or y is None:
            raise ValueError("'stack' needs X and y: rows that none of the models was trained on")
        return Stacked(members, Linear().fit(_scores(members, X), y))
    return _mean(members, weight / weight.sum(), classes)


def _mean(members, share, classes):
    widths = sorted({m.coef_.shape[1] for m in members})
    if len(widths) > 1:
        raise ValueError(f"a model has {widths[1]} features; another has {widths[0]}")
    outputs = 1 if len(classes) == 2 else len(classes)
    coef, intercept = np.zeros((outputs, widths[0])), np.zeros(outputs)
    for part, model in zip(share, members):
        W = model.coef_.toarray() if sp.issparse(model.coef_) else np.asarray(model.coef_)
        b = np.broadcast_to(model.intercept_, len(W))
        if outputs > 1:
            W, b = _widened(W, b, np.searchsorted(classes, model.classes_), outputs)
        coef += part * W
        intercept += part * b
    return Linear(coef, intercept, classes)


def _widened(W, b, place, outputs):
    """One row per class: a two-class model's single row counts for its second class and against its first."""
    if len(W) == 1:
        W, b = np.concatenate([-W, W]), np.concatenate([-b, b])
    full, shift = np.zeros((outputs, W.shape[1])), np.full(outputs, -1.0)  # a class it never saw: surely not
    full[place], shift[place] = W, b
    return full, shift


def _scores(members, X):
    return np.column_stack([np.reshape(m.decision_function(X), (X.shape[0], -1)) for m in members])


def train_shard(number, X, y, make_model, validation, seed):
    """In a worker. Returns a SubModel, whatever happens."""
    y = np.asarray(y)
    try:
        if X.shape[0] != y.shape[0]:
            raise ValueError(f"X has {X.shape[0]} rows; y has {y.shape[0]}")
        order = np.random.default_rng([seed, number]).permutation(len(y))
        held = max(1, round(validation * len(y)))
        learn, test = np.sort(order[held:]), np.sort(order[:held])
        model = make_model()
        model.fit(X[learn], y[learn])
        return SubModel(number, len(learn), model, float((model.predict(X[test]) == y[test]).mean()))
    except Exception as error:  # one shard's failure is a line in the report
        return SubModel(number, X.shape[0], error=f"{type(error).__name__}: {error}")


class _Pool:
    """Workers for train_shard. A process that dies takes its pool along: the next shard gets a new one."""

    def __init__(self, workers, processes):
        self.workers, self.processes, self.pool = workers, processes, None

    def __enter__(self):
        self.pool = self._made(self.workers)
        return self

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)

    def submit(self, *task):
        try:
            return self.pool.submit(train_shard, *task)
        except BrokenExecutor:
            self.pool.shutdown()
            self.pool = self._made(self.workers)
            return self.pool.submit(train_shard, *task)

    def _made(self, workers):
        if self.processes:
            return ProcessPoolExecutor(workers, mp_context=fresh_processes())
        return ThreadPoolExecutor(workers)


def _collect(done, pending, number, progress):
    future, place, task = pending.pop(number)
    try:
        found = future.result()
    except BrokenExecutor:  # by this shard or by one beside it: alone it shows
        found = _alone(task)
    except Exception as error:  # such as a model that cannot be sent back
        found = SubModel(number, task[1].shape[0], error=f"{type(error).__name__}: {error}")
    _finish(done, found, place, progress)


def _alone(task):
    with ProcessPoolExecutor(1, mp_context=fresh_processes()) as pool:
        try:
            return pool.submit(train_shard, *task).result()
        except BrokenExecutor:
            return SubModel(task[0], task[1].shape[0], error="the worker process ended abruptly: was it out of memory?")


def _finish(done, found, place, progress):
    if place is not None and found.ok and hasattr(found.model, "coef_"):
        coef = found.model.coef_
        layers = {"coef": coef if sp.issparse(coef) else np.atleast_2d(coef),
                  "intercept": np.atleast_1d(found.model.intercept_)}
        classes = np.asarray(found.model.classes_)
        save_model(place, layers, metadata={
            "shard": found.shard, "rows": found.rows, "accuracy": found.accuracy, "classes": classes.tolist(),
            "type": classes.dtype.str})
    done.append(found)
    if progress is not None:
        progress(found)


def _resumed(place, make_model):
    if place is None:
        return None
    try:
        found = read_model(place)
    except (FileNotFoundError, ModelFileError):
        return None
    facts = found.metadata
    model = make_model()
    kind = object if facts["type"].startswith("|O") else facts["type"]
    model.coef_, model.intercept_ = found.layers["coef"], found.layers["intercept"]
    model.classes_ = np.array(facts["classes"], dtype=kind)
    return SubModel(facts["shard"], facts["rows"], model, facts["accuracy"])


def _named(make_model):
    """What tells one way to make a model from another in every process."""
    if isinstance(make_model, partial):
        return _named(make_model.func), make_model.args, sorted(make_model.keywords.items())
    return getattr(make_model, "__module__", ""), getattr(make_model, "__qualname__", type(make_model).__qualname__)


def _place(folder, number, X, y, settings):
    """A name that changes with the shard's contents and the settings, so that no stale model is taken up."""
    digest = hashlib.sha256(repr(settings).encode())
    for part in (X.data, X.indices, X.indptr) if sp.issparse(X) else (X,):
        digest.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
    digest.update("\0".join(map(str, np.asarray(y).tolist())).encode())
    return folder / f"shard-{number:05d}-{digest.hexdigest()[:16]}.safetensors"

