"""`fit` on tables larger than memory: passes over batches, of which only sums stay.

    pass 1   what the features need (largest magnitudes, or terms and their frequencies) and the classes
    pass 2   moments of all rows, and of those that are not held out
    pass 3   text only: moments of the terms that are left, whose rows are scaled up again
    last     accuracy on the rows held out (every tenth), or on the test table

Reading, parsing and vectorising run ahead on `workers` threads while the moments are added up; text, which is split
into words under Python's lock, is vectorised by as many processes where the table is large. The final weights are those
of all rows: the same as in memory, where moments are gathered in the same blocks.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .._threads import get_num_threads
from .linear import AGAIN, CHOICE, Moments, encode_labels, input_stats, pick_labels, prune_linear
from .model import CondensedModel
from .readers import DataError, labelled, ordered_map, table_batches

__all__ = ["ahead", "fit_batches"]

HELD_OUT = 10  # every tenth row measures accuracy
TEXT_ROWS = 4096  # rows of text at a time while terms are counted: what is forgotten must not depend on the batches
TEXT_BYTES = 32 << 20  # of a text table from which processes pay: one takes a second or two to start


def fit_batches(path, options, spec, *, test=None, progress=lambda items, **_: iter(items)):
    """(dense model, condensed model, accuracies [{"dense", "pruned"}], rows) of the table `path`."""
    run = _Run(path, options, progress)
    features, classes, rows = run.learn(spec)
    _check_memory(features)
    moments = run.moments(features, classes, test is None)
    parts = tuple(moments)
    dense, masks = {}, {}
    for part in parts:
        coef, intercept = moments[part].solve(options.alpha)
        choosing = moments[part].solve(CHOICE * options.alpha)[0]
        dense[part] = CondensedModel(features, coef, intercept, classes)
        score = options.training()["score"]
        masks[part] = prune_linear(choosing, options.sparsity, score=score, stats=input_stats(score, moments[part]))
        if not masks[part].any():
            raise ValueError(f"a sparsity of {options.sparsity} leaves none of the {coef.size} weights")
    pruned = run.solve_again(features, classes, moments, masks)
    measured = parts[-1]
    return dense["all"], pruned["all"], [run.accuracies(dense[measured], pruned[measured], test)], rows


def _check_memory(features):
    """Refuse before the system ends the process: moments of all rows, of those held out, of the rest, and a block's."""
    free = _free_memory()
    need = 4 * 8 * features.size**2
    if free is not None and need > free:
        most, what = int((free / 32) ** 0.5), "terms" if features.kind == "text" else "columns"
        raise MemoryError(f"sums of products of {features.size:,} {what} need {need / 1e9:.1f} GB and {free / 1e9:.1f} "
                          f"GB are free, enough for {most:,} (--max-features limits terms); without --batch-size no "
                          "such sums are made")


def _free_memory():
    """Bytes that the system, or this control group, can still give; None where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, int((group / "memory.max").read_text()) - int(stat["anon"]))  # the rest is mostly cache
    except (OSError, ValueError, KeyError):  # no such group, or "max"
        return free


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
        """{"all": moments of all rows, "rest": of those that are not held out (if any are)}."""
        outputs = 1 if len(classes) == 2 else len(classes)
        whole, held = Moments(features.size, outputs), Moments(features.size, outputs)
        for X, labels, out in self.rows(features, "moments"):
            Y = encode_labels(labels, classes)
            whole.add(X, Y)
            if hold_out:
                held.add(X[out], Y[out])
        return {"all": whole, "rest": whole.without(held)} if hold_out else {"all": whole}

    def solve_again(self, features, classes, moments, masks):
        options = self.options
        chosen = {part: np.flatnonzero(mask.any(axis=0)) for part, mask in masks.items()}
        penalty = dict.fromkeys(masks, AGAIN * options.alpha)
        if features.kind == "table":  # the columns left are as they were: so are their moments
            solve = {part: lambda own, part=part: moments[part].solve(penalty[part], chosen[part][own])
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
        for X, labels, out in self.rows(features, "moments again"):
            Y = encode_labels(labels, classes)
            for part, own in chosen.items():
                learn = np.ones_like(out) if part == "all" else ~out
                rows = features.restrict(X[learn], own)
                found[part].add(rows, Y[learn])
                mass[part] += [(rows.data**2).sum(), (X[learn][:, own].data ** 2).sum()]
        return found, {part: AGAIN * self.options.alpha * (m[0] / m[1] if m[1] else 1.0) for part, m in mass.items()}

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
