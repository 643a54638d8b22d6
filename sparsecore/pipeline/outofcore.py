"""`fit` on tables larger than memory: passes over batches, of which sums stay, or rows in a temporary file.

    pass 1   what the features need (largest magnitudes, or terms and their frequencies) and the classes
    pass 2   moments of all rows, and of those that are not held out; of many terms the rows themselves, in a file
    pass 3   few terms only: moments of those that are left, whose rows are scaled up again (many: from the file)
    last     accuracy on the rows held out (every tenth), or on the test table

Reading, parsing and vectorising run ahead on `workers` threads while the moments are added up; text, which is split
into words under Python's lock, is vectorised by as many processes where the table is large. The final weights are those
of all rows: the same as in memory, where moments are gathered in the same blocks; with many terms to the tolerance of
conjugate gradients.
"""

from __future__ import annotations

import copy
import os
from functools import partial

import numpy as np
import scipy.sparse as sp

from .. import pruning as pr
from .._threads import get_num_threads
from .linear import AGAIN, CHOICE, CLOSED, USE_INPUTS, Moments, encode_labels, pick_labels, prune_linear
from .memory import free_memory
from .model import CondensedModel
from .readers import DataError, labelled, ordered_map, table_batches
from .spool import HELD, VECTORS, Spool

__all__ = ["ahead", "fit_batches"]

HELD_OUT = 10  # every tenth row measures accuracy
TEXT_ROWS = 4096  # rows of text at a time while terms are counted: what is forgotten must not depend on the batches
TEXT_BYTES = 32 << 20  # of a text table from which processes pay: one takes a second or two to start


def fit_batches(path, options, spec, *, test=None, progress=lambda items, **_: iter(items)):
    """(dense model, condensed model, accuracies [{"dense", "pruned"}], rows) of the table `path`."""
    run = _Run(path, options, progress)
    score = options.training()["score"]
    if spec.kind == "text" and spec.most is None and score is pr.obs:     # which wants all of X'X
        spec = copy.copy(spec)
        spec.most = CLOSED
    features, classes, rows = run.learn(spec)
    spooled = features.kind == "text" and features.size > CLOSED and score is not pr.obs
    _check_memory(features, _outputs(classes), spooled)
    gathered = (run.spool if spooled else run.moments)(features, classes, test is None)
    dense, masks = {}, {}
    for part, ((coef, intercept), (choosing, _)) in gathered.solve([options.alpha, CHOICE * options.alpha]).items():
        dense[part] = CondensedModel(features, coef, intercept, classes)
        masks[part] = prune_linear(choosing, options.sparsity, score=score,
                                  stats=gathered.calibration(part) if score in USE_INPUTS else None)
        if not masks[part].any():
            raise ValueError(f"a sparsity of {options.sparsity} leaves none of the {coef.size} weights")
    pruned = run.solve_again(features, classes, gathered, masks)
    measured = "rest" if test is None else "all"
    return dense["all"], pruned["all"], [run.accuracies(dense[measured], pruned[measured], test)], rows


def _check_memory(features, outputs, spooled):
    """Refuse before the system ends the process.

    Moments: those of all rows, of those held out, of the rest, and a block's. Spooled: weights of two penalties on two
    sets of rows, their right sides, masks and copies, and what conjugate gradients hold.
    """
    free = free_memory()
    if free is None:
        return
    terms = f"{features.size:,} {'terms' if features.kind == 'text' else 'columns'}"
    need = 32 * features.size**2
    if spooled:
        weights = 8 * features.size * 4 * outputs
        need = 3 * weights + min(VECTORS, HELD * weights)
        if need > free:
            raise MemoryError(f"weights of {terms} for {outputs} outputs need {need / 1e9:.1f} GB and {free / 1e9:.1f} "
                              "GB are free; --max-features limits terms")
    elif need > free:
        raise MemoryError(f"sums of products of {terms} need {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free, "
                          f"enough for {int((free / 32) ** 0.5):,} (--max-features limits terms)")


def ahead(path, features, options):
    """A map, in order, that runs ahead of what takes its results: by processes where text of a large table is split."""
    workers = options.workers or get_num_threads()
    size = os.path.getsize(path) * (3 if str(path).endswith(".gz") else 1)
    return partial(ordered_map, workers=workers, ahead=options.prefetch,
                   processes=features.kind == "text" and workers > 1 and size >= TEXT_BYTES)


class _Run:
    """One table, read again and again."""

    def __init__(self, path, options, progress):
        self.path, self.options, self.progress = path, options, progress

    def batches(self, spec, what, path=None, rows=None):
        texts = [c for c in spec.columns if c not in spec.numeric]
        options = self.options
        found = table_batches(path or self.path, numeric=spec.numeric, text=[*texts, options.label],
                              batch_size=rows or options.batch_size, prefetch=options.prefetch,
                              workers=options.workers)
        return self.progress(labelled(found, options.label, path or self.path), desc=what, unit="batch")

    def learn(self, spec):
        classes, rows = set(), 0

        def seen():
            nonlocal rows
            for batch in self.batches(spec, "features", rows=TEXT_ROWS if spec.kind == "text" else None):
                classes.update(batch[self.options.label].tolist())
                rows += len(batch[self.options.label])
                yield batch

        features = spec.learn(seen(), ahead(self.path, spec, self.options))
        if len(classes) < 2:
            raise DataError(f"{self.path}: the label {self.options.label!r} has one value only; a classifier needs two")
        return features, np.array(sorted(classes), dtype=object), rows

    def rows(self, features, what, path=None, only_held=False):
        """(X, labels, which of the rows are held out), vectorised ahead; only_held: no others."""
        yield from ahead(path or self.path, features, self.options)(partial(_vectorised, features, self.options.label),
                                              _numbered(self.batches(features, what, path), only_held))

    def moments(self, features, classes, hold_out):
        """Moments of all rows, and of those that are not held out (if any are)."""
        whole, held = (Moments(features.size, _outputs(classes)) for _ in range(2))
        for X, Y, out in self.encoded(features, classes, "moments"):
            whole.add(X, Y)
            if hold_out:
                held.add(X[out], Y[out])
        return _Parts({"all": whole, "rest": whole.without(held)} if hold_out else {"all": whole})

    def spool(self, features, classes, hold_out):
        """The rows themselves, in a file."""
        found = Spool(features.size, _outputs(classes), hold_out=hold_out)
        for X, Y, out in self.encoded(features, classes, "vectorising"):
            found.add(X, Y, out)
        return found

    def encoded(self, features, classes, what):
        return ((X, encode_labels(labels, classes), out) for X, labels, out in self.rows(features, what))

    def solve_again(self, features, classes, gathered, masks):
        """{part: the condensed model}, every output solved on its own support."""
        penalty = AGAIN * self.options.alpha
        chosen = {part: np.flatnonzero(mask.any(axis=0)) for part, mask in masks.items()}
        if features.kind == "text":
            again, growth = self._restricted(features, classes, gathered, chosen)
        found = {}
        for part, own in chosen.items():
            if features.kind == "table":  # the columns left are as they were: so are their moments
                coef, offset = _on_support(gathered.parts[part], penalty, masks[part])
                coef = coef[:, own]
            else:
                coef, offset = _on_support(again[part], penalty * growth[part], masks[part][:, own])
            found[part] = CondensedModel(features.keep(own), sp.csr_array(coef), offset, classes)
        return found

    def _restricted(self, features, classes, gathered, chosen):
        """Moments or rows of the chosen terms, and what scaling them up again did to the rows' squared lengths."""
        found = {part: (Moments if len(own) <= CLOSED else Spool)(len(own), _outputs(classes))
                 for part, own in chosen.items()}
        mass = {part: np.zeros(2) for part in chosen}
        again = gathered.blocks() if isinstance(gathered, Spool) else self.encoded(features, classes, "moments again")
        for X, Y, out in again:
            for part, own in chosen.items():
                learn = np.ones_like(out) if part == "all" else ~out
                rows = features.restrict(X[learn], own)
                found[part].add(rows, Y[learn])
                mass[part] += [(rows.data**2).sum(), (X[learn][:, own].data ** 2).sum()]
        return found, {part: m[0] / m[1] if m[1] else 1.0 for part, m in mass.items()}

    def accuracies(self, dense, pruned, test):
        features = dense.features
        place = {name: i for i, name in enumerate(features.names)}
        own = np.array([place[name] for name in pruned.features.names])
        right, rows = np.zeros(2), 0
        for X, labels, _ in self.rows(features, "accuracy", test, only_held=test is None):
            for i, (model, part) in enumerate(((dense, X), (pruned, features.restrict(X, own)))):
                right[i] += (pick_labels(model.decision(part), model.classes) == labels).sum()
            rows += len(labels)
        if not rows:
            raise DataError(f"{test or self.path} has no rows to measure accuracy on")
        return {"dense": float(right[0] / rows), "pruned": float(right[1] / rows)}


class _Parts:
    """Moments by part of the rows, to be asked as a Spool is."""

    def __init__(self, parts):
        self.parts = parts

    def solve(self, alphas):
        return {part: [moments.solve(alpha) for alpha in alphas] for part, moments in self.parts.items()}

    def calibration(self, part):
        return self.parts[part].calibration()


def _outputs(classes):
    return 1 if len(classes) == 2 else len(classes)


def _on_support(gathered, penalty, mask):
    """coef (outputs, features) and intercept, every output solved with the features that its row of mask allows."""
    if isinstance(gathered, Spool):
        return gathered.solve([penalty], mask)["all"][0]
    coef, offset = np.zeros(mask.shape), np.zeros(len(mask))
    for o, own in enumerate(mask):
        found, shift = gathered.solve(penalty, np.flatnonzero(own))
        coef[o], offset[o] = found[o], shift[o]
    return coef, offset


def _numbered(batches, only_held):
    """(batch, which of its rows are held out)."""
    start = 0
    for batch in batches:
        rows = len(next(iter(batch.values())))
        held = np.arange(start, start + rows) % HELD_OUT == 0
        start += rows
        if only_held:
            batch, held = {name: values[held] for name, values in batch.items()}, held[held]
        if held.size:
            yield batch, held


def _vectorised(features, label, numbered):
    """In a worker."""
    batch, held = numbered
    return features.transform(batch), batch[label], held
