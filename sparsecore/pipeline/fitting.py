"""`fit`: a table in, a condensed model and an honest account of its accuracy out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from .. import pruning as pr
from .features import TableFeatures, TextFeatures
from .linear import AGAIN, CHOICE, input_stats, prune_linear
from .memory import free_memory
from .model import CondensedModel, accuracy, cross_validate, mass, train
from .outofcore import HELD_OUT, ahead, fit_batches
from .readers import DataError, labelled, read_columns, table_batches
from .shards import Linear, fit_shards, merge

# Bytes at the peak of a fit in memory. Text: per character and word of the longest terms (100,000 reviews of 70 MB took
# 1.6 GB above the start, 200,000 of 150 MB 3.3 GB, with pairs of words; few long ones take twice that). Per number:
# 400,000 rows of 50 columns took 0.9 GB.
TEXT_NEEDS, NUMBER_NEEDS = 11, 44

__all__ = ["Options", "fit", "sections", "summary"]


@dataclass(frozen=True)
class Options:
    """What the command line offers; the same names and defaults as `sparsecore fit`."""

    label: str
    text: str | None = None
    features: list | None = None
    scale: str = "maxabs"
    sparsity: float = 0.95
    alpha: float = 0.3
    score: str = "magnitude"
    screen: str | None = None
    keep: float = 0.5
    factorize: int | None = None
    ngrams: tuple = (1, 2)
    min_df: int = 2
    most: int | None = None
    folds: int = 5
    seed: int = 0
    batch_size: int | None = None
    prefetch: int = 2
    workers: int | None = None
    shards: int | None = None
    checkpoint: str | None = None

    def spec(self, path):
        """Features that know their columns but have seen no data."""
        if self.text == self.label:
            raise DataError(f"{self.label!r} is the label; it cannot be the text too")
        if self.text:
            return TextFeatures(self.text, ngrams=self.ngrams, min_df=self.min_df, most=self.most)
        columns = self.features or [c for c in read_columns(path) if c != self.label]
        if self.label in columns:
            raise DataError(f"{self.label!r} is the label; it cannot be a feature too")
        return TableFeatures(columns, scale=self.scale)

    def training(self):
        """The arguments of `train`."""
        return {"sparsity": self.sparsity, "alpha": self.alpha, "score": _score(self.score, self.seed),
                "screen": self.screen, "keep": self.keep, "factorize": self.factorize}


def fit(path, options, *, test=None, progress=lambda items, **_: iter(items)):
    """(CondensedModel, facts): fitted on the table `path`, evaluated on the table `test` or by cross-validation.

    DataError for a table that cannot be used as asked, OSError for one that cannot be opened.
    """
    spec = options.spec(path)
    if options.shards and (options.batch_size or options.screen):
        raise ValueError("--shards does not go with --batch-size or --sparsify")
    if options.checkpoint and not options.shards:
        raise ValueError("--checkpoint keeps sub-models: it goes with --shards")
    if options.factorize and (options.batch_size or options.shards):
        raise ValueError("--factorize needs all rows at once: it does not go with --batch-size or --shards")
    if options.batch_size:
        if options.screen:
            raise ValueError("--sparsify needs all rows at once; with batches, --max-features limits the terms")
        dense, model, found, rows = fit_batches(path, options, spec, test=test, progress=progress)
        return model, _facts(path, test, options, rows, model.classes, dense, model, found)
    if options.shards:
        return _fit_shards(path, options, spec, test, progress)
    data = read(path, spec, options, progress, check=True)
    y = np.array(data[options.label], dtype=object)
    classes = _classes(path, y, options, test)
    raw = _counted(path, spec, options, data, progress)
    if test is None:
        found = cross_validate(raw, y, spec, folds_count=options.folds, seed=options.seed,
                               progress=lambda items: progress(items, desc="cross-validation", unit="fold"),
                               **options.training())
    features, chosen = spec.fitted(raw)
    X = features.weigh(raw[:, chosen])
    dense, model = train(X, y, classes, features, **options.training())
    if test is not None:
        data = read(test, spec, options)
        X, y = features.transform(data, ahead(test, spec, options)), np.array(data[options.label], dtype=object)
        found = [{"dense": accuracy(dense, X, y, features), "pruned": accuracy(model, X, y, features)}]
    return model, _facts(path, test, options, raw.shape[0], classes, dense, model, found)


def _fit_shards(path, options, spec, test, progress):
    """One sub-model per part of the rows, merged by their mean, pruned, solved again part by part, merged again."""
    data = read(path, spec, options, progress, check=True)
    y = np.array(data[options.label], dtype=object)
    raw = _counted(path, spec, options, data, progress)
    held = np.zeros(len(y), bool)
    held[::HELD_OUT] = test is None
    classes = _classes(path, y, replace(options, folds=1), path)
    parts = np.array_split(np.random.default_rng(options.seed).permutation(np.flatnonzero(~held)), options.shards)
    features, chosen = spec.fitted(raw[~held])
    X = features.weigh(raw[:, chosen])

    def merged(rows, alpha):
        shards = ((rows[part], y[part]) for part in progress(parts, desc="shards", unit="shard"))
        found = fit_shards(shards, partial(Linear, alpha=alpha), workers=options.workers, prefetch=options.prefetch,
                           seed=options.seed, checkpoint=options.checkpoint)
        return found, merge(found)

    found, whole = merged(X, options.alpha)
    dense = CondensedModel(features, whole.coef_, whole.intercept_, whole.classes_)
    score = options.training()["score"]
    choosing = merged(X, CHOICE * options.alpha)[1].coef_
    mask = prune_linear(choosing, options.sparsity, score=score, stats=input_stats(score, X))
    own = np.flatnonzero(mask.any(axis=0))
    rows = features.restrict(X, own)
    again = merged(rows, AGAIN * options.alpha * mass(rows) / (mass(X[:, own]) or 1.0))[1]
    coef = sp.csr_array(np.where(mask[:, own], again.coef_, 0))
    model = CondensedModel(features.keep(own), coef, again.intercept_, again.classes_)
    if test is not None:
        data = read(test, spec, options)
        X_test = features.transform(data, ahead(test, spec, options))
        y_test = np.array(data[options.label], dtype=object)
    else:
        X_test, y_test = X[held], y[held]
    scores = [{"dense": accuracy(dense, X_test, y_test, features), "pruned": accuracy(model, X_test, y_test, features)}]
    facts = _facts(path, test, options, len(y), classes, dense, model, scores)
    facts["shards"] = [{"shard": s.shard, "rows": s.rows, "accuracy": s.accuracy, "error": s.error} for s in found]
    return model, facts


def _counted(path, spec, options, data, progress):
    """The raw rows of a table that was read."""
    apply = ahead(path, spec, options)
    return spec.count(data, lambda function, parts: progress(apply(function, parts), desc="features", unit="part"))


def read(path, spec, options, progress=lambda items, **_: iter(items), check=False):
    """The columns of a whole table. check: MemoryError if it is too large to be fitted in memory."""
    texts = [c for c in spec.columns if c not in spec.numeric]
    found = table_batches(path, numeric=spec.numeric, text=[*texts, options.label], batch_size=50_000,
                          workers=options.workers)
    if check:
        found = _fits(found, spec, options, path)
    parts = list(progress(labelled(found, options.label, path), desc="reading", unit="batch"))
    if not parts:
        raise DataError(f"{path} has no rows")
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def _fits(batches, spec, options, path):
    """The same batches; MemoryError at the first with which it is too much, long before the system begins to swap."""
    free, need, rows = free_memory(), 0, 0
    for batch in batches:
        rows += len(batch[options.label])
        need += sum(NUMBER_NEEDS * len(values) if column in spec.numeric else
                    TEXT_NEEDS * max(options.ngrams) * sum(map(len, values))
                    for column, values in batch.items() if column in spec.columns)
        if free is not None and need > free:
            others = [name for name, value in (("--shards", options.shards), ("--sparsify", options.screen),
                                               ("--factorize", options.factorize)) if value]
            without = f", without {' and '.join(others)}," if others else ""
            raise MemoryError(f"{path}: to fit its first {rows:,} rows in memory takes some {need / 1e9:.1f} GB and "
                              f"{free / 1e9:.1f} GB are free; --batch-size 20000{without} learns from all rows in "
                              "batches")
        yield batch


def summary(facts):
    """The facts in five lines for a terminal."""
    how = f"on {facts['test']}" if facts["test"] else f"{len(facts['folds'])}-fold cross-validation"
    if facts["held_out"]:
        how = f"on every {HELD_OUT}th row, held out"
    return "\n".join([
        f"{facts['rows']:,} rows, {facts['features']:,} features, {len(facts['classes'])} classes; accuracy {how}",
        f"  dense                {100 * facts['accuracy_dense']:6.2f} %   {facts['weights']:,} weights, "
        f"{facts['bytes_dense']:,} bytes",
        f"  {100 * facts['sparsity']:.4g} % sparse".ljust(23) + f"{100 * facts['accuracy_pruned']:6.2f} %   "
        f"{facts['kept']:,} weights, {facts['bytes_pruned']:,} bytes",
        f"  difference           {100 * (facts['accuracy_pruned'] - facts['accuracy_dense']):+6.2f} points",
        *([f"  --factorize {facts['factorize']}: the rows have rank {facts['rank']}; no more vectors were used"]
          if "rank" in facts and facts["rank"] < facts["factorize"] else []),
        *(f"  shard {s['shard']}: {s['error'] or format(100 * s['accuracy'], '.2f') + ' % on its own held-out rows'}"
          for s in facts.get("shards", ())),
        f"{facts['model']}: {facts['file_bytes']:,} bytes; {facts['seconds']} s",
    ])


def sections(facts):
    """The facts as sections of a report."""
    from ..report import curve

    rows = [{"fold": i + 1, "dense": f["dense"], "pruned": f["pruned"]} for i, f in enumerate(facts["folds"])]
    plot = curve("Accuracy per fold", [r["fold"] for r in rows],
                 {name: [r[name] for r in rows] for name in ("dense", "pruned")}, xlabel="fold", ylabel="accuracy")
    shown = [{"what": k.replace("_", " "), "value": v if not isinstance(v, list) else ", ".join(map(str, v))}
             for k, v in facts.items() if k != "folds"]
    return [("Result", summary(facts)), ("Accuracy", plot), ("Folds", rows), ("All facts", shown)]


def _facts(path, test, options, rows, classes, dense, model, found):
    coef = dense.coef
    rank = {"factorize": options.factorize, "rank": dense.facts["rank"]} if "rank" in dense.facts else {}
    return {
        "data": str(path), "test": None if test is None else str(test), "label": options.label, "rows": rows,
        "features": coef.shape[1], "classes": classes.tolist(), "sparsity": options.sparsity,
        "accuracy_dense": float(np.mean([f["dense"] for f in found])),
        "accuracy_pruned": float(np.mean([f["pruned"] for f in found])),
        "folds": found, "weights": coef.size, "kept": int(model.coef.nnz),
        "bytes_dense": coef.nbytes, "bytes_pruned": pr.smallest_format(model.coef)[1],
        "held_out": bool(options.batch_size or options.shards) and test is None, "seed": options.seed,
        "alpha": options.alpha, **rank,
    }


def _classes(path, y, options, test):
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise DataError(f"{path}: the label {options.label!r} has one value only, {classes[0]!r}; a classifier needs "
                        "two")
    if test is None and counts.min() < options.folds:
        rare = classes[counts.argmin()]
        if len(classes) > len(y) // 2:
            raise DataError(f"{path}: the label {options.label!r} has {len(classes)} values in {len(y)} rows; it is to "
                            "name the class of a row")
        raise DataError(f"{path}: the class {rare!r} has {counts.min()} rows; {options.folds} folds need as many: join "
                        "or drop rare classes, take fewer --folds, or measure on a table of its own (--test)")
    if test is None and options.folds < 2:
        raise DataError(f"{options.folds} fold; cross-validation needs 2 or more")
    return classes


def _score(name, seed):
    if name == "random":
        return lambda W, stats=None: pr.random(W, seed=seed)
    return getattr(pr, name)
