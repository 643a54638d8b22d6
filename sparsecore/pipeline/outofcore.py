"""`fit` on tables larger than memory: passes over batches, of which only sums stay.

    pass 1   what the features need (largest magnitudes, or terms and their frequencies) and the classes
    pass 2   moments of all rows, and of those that are not held out
    pass 3   text only: moments of the terms that are left, whose rows are scaled up again
    last     accuracy on the rows held out (every tenth), or on the test table

Reading, parsing and vectorising run ahead on `workers` threads while the moments are added up. The final weights are
those of all rows: the same as in memory, where moments are gathered in the same blocks.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .linear import Moments, encode_labels, pick_labels, prune_linear
from .model import CondensedModel
from .readers import DataError, ordered_map, table_batches

__all__ = ["fit_batches"]

HELD_OUT = 10  # every tenth row measures accuracy


def fit_batches(path, options, spec, *, test=None, progress=lambda items, **_: iter(items)):
    """(dense model, condensed model, accuracies [{"dense", "pruned"}], rows) of the table `path`."""
    run = _Run(path, options, progress)
    features, classes, rows = run.learn(spec)
    parts = ("all",) if test is not None else ("all", "rest")
    moments = run.moments(features, classes, parts)
    dense, masks = {}, {}
    for part in parts:
        coef, intercept = moments[part].solve(options.alpha)
        dense[part] = CondensedModel(features, coef, intercept, classes)
        masks[part] = prune_linear(coef, options.sparsity, score=options.training()["score"])
        if not masks[part].any():
            raise ValueError(f"a sparsity of {options.sparsity} leaves none of the {coef.size} weights")
    pruned = run.solve_again(features, classes, moments, masks)
    measured = parts[-1]
    return dense["all"], pruned["all"], [run.accuracies(dense[measured], pruned[measured], test)], rows


class _Run:
    """One table, read again and again."""

    def __init__(self, path, options, progress):
        self.path, self.options, self.progress = path, options, progress

    def batches(self, spec, what, path=None):
        texts = [c for c in spec.columns if c not in spec.numeric]
        options = self.options
        found = table_batches(path or self.path, numeric=spec.numeric, text=[*texts, options.label],
                              batch_size=options.batch_size, prefetch=options.prefetch, workers=options.workers)
        return self.progress(found, desc=what, unit="batch")

    def learn(self, spec):
        classes, rows = set(), 0

        def seen():
            nonlocal rows
            for batch in self.batches(spec, "features"):
                classes.update(batch[self.options.label].tolist())
                rows += len(batch[self.options.label])
                yield batch

        features = spec.learn(seen())
        if len(classes) < 2:
            raise DataError(f"{self.path}: the label {self.options.label!r} has one value only")
        return features, np.array(sorted(classes), dtype=object), rows

    def rows(self, features, what, path=None):
        """(X, labels, numbers of the rows), vectorised ahead of the reader."""
        from .._threads import get_num_threads

        start = 0
        workers = self.options.workers or get_num_threads()
        made = ordered_map(lambda b: (features.transform(b), b[self.options.label]),
                           self.batches(features, what, path), workers, self.options.prefetch)
        for X, labels in made:
            yield X, labels, np.arange(start, start + len(labels))
            start += len(labels)

    def moments(self, features, classes, parts):
        outputs = 1 if len(classes) == 2 else len(classes)
        found = {part: Moments(features.size, outputs) for part in parts}
        for X, labels, number in self.rows(features, "moments"):
            _add(found, X, encode_labels(labels, classes), number)
        return found

    def solve_again(self, features, classes, moments, masks):
        options = self.options
        chosen = {part: np.flatnonzero(mask.any(axis=0)) for part, mask in masks.items()}
        penalty = dict.fromkeys(masks, options.alpha)
        if features.kind == "table":  # the columns left are as they were: so are their moments
            solve = {part: lambda own, part=part: moments[part].solve(options.alpha, chosen[part][own])
                     for part in masks}
            take = chosen
        else:
            again, penalty = self._restricted(features, classes, chosen)
            solve = {part: lambda own, part=part: again[part].solve(penalty[part], own) for part in masks}
            take = {part: slice(None) for part in masks}
        found = {}
        for part, mask in masks.items():
            left = mask[:, chosen[part]]
            weights, offset = np.zeros(left.shape), moments[part].y / moments[part].total
            for o in range(len(left)):
                own = np.flatnonzero(left[o])
                if own.size:
                    coef, shift = solve[part](own)
                    weights[o], offset[o] = coef[o, take[part]], shift[o]
            found[part] = CondensedModel(features.keep(chosen[part]), sp.csr_array(weights), offset, classes)
        return found

    def _restricted(self, features, classes, chosen):
        outputs = 1 if len(classes) == 2 else len(classes)
        found = {part: Moments(len(own), outputs) for part, own in chosen.items()}
        mass = {part: np.zeros(2) for part in chosen}
        for X, labels, number in self.rows(features, "moments again"):
            Y = encode_labels(labels, classes)
            for part, own in chosen.items():
                learn = number >= 0 if part == "all" else number % HELD_OUT != 0
                rows = features.restrict(X[learn], own)
                found[part].add(rows, Y[learn])
                mass[part] += [(rows.data**2).sum(), (X[learn][:, own].data ** 2).sum()]
        return found, {part: self.options.alpha * (m[0] / m[1] if m[1] else 1.0) for part, m in mass.items()}

    def accuracies(self, dense, pruned, test):
        features = dense.features
        place = {name: i for i, name in enumerate(features.names)}
        own = np.array([place[name] for name in pruned.features.names])
        right, rows = np.zeros(2), 0
        for X, labels, number in self.rows(features, "accuracy", test):
            held = number >= 0 if test is not None else number % HELD_OUT == 0
            X, labels = X[held], labels[held]
            for i, (model, part) in enumerate(((dense, X), (pruned, features.restrict(X, own)))):
                right[i] += (pick_labels(model.decision(part), model.classes) == labels).sum()
            rows += len(labels)
        if not rows:
            raise DataError(f"{test or self.path} has no rows to measure accuracy on")
        return {"dense": float(right[0] / rows), "pruned": float(right[1] / rows)}


def _add(moments, X, Y, number):
    moments["all"].add(X, Y)
    if "rest" in moments:
        learn = number % HELD_OUT != 0
        moments["rest"].add(X[learn], Y[learn])
