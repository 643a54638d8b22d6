"""The demo: a network on scikit-learn's digits, pruned at several sparsities; accuracy, bytes and time of each."""

from __future__ import annotations

import csv
import io
import time

import numpy as np

from .. import pruning as pr
from .. import report
from ..io import atomic_write
from ..pipeline import Network
from ..pipeline.features import TableFeatures

__all__ = ["run"]

SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
SAVED = 0.9
HIDDEN = (512, 256)


def run(folder, *, seed=0, progress=lambda items, **_: iter(items)):
    """Train, prune, time; write digits.png, digits_pruned.safetensors and digits_test.csv to `folder`.

    Returns (rows of the table, path of the model). The weights left by magnitude are solved again by least squares on
    the training rows, without retraining. The batch is the test set, dense by NumPy, sparse by sparsecore; times are
    medians of rounds that go over all networks in turn.
    """
    X, y, X_test, y_test = _digits(seed)
    weights = _trained(X, y, seed)
    features = TableFeatures([f"pixel_{i}" for i in range(64)], scale="maxabs", divisor=np.full(64, 16.0))
    classes = np.array([str(c) for c in range(10)], dtype=object)
    stats = _calibrations(weights, X)
    batch = np.ascontiguousarray(X_test)
    rows, networks = [], []
    for sparsity in progress(SPARSITIES, desc="pruning", unit="level"):
        model = pr.PrunedModel(dict(weights)) if sparsity == 0 else pr.prune(
            weights, sparsity, score=pr.magnitude, solver="backsolve", budget=pr.erk, stats=stats,
            exclude=("*.bias", f"fc{len(HIDDEN) + 1}.*"))
        network = Network(features, model, classes, {"label": "digit", "sparsity": sparsity})
        path = folder / f"digits_{round(100 * sparsity):02d}.safetensors"
        network.save(path)
        size = path.stat().st_size
        if sparsity == SAVED:
            path.replace(folder / "digits_pruned.safetensors")
        else:
            path.unlink()
        networks.append(network)
        right = network.decision(batch).argmax(axis=1) == y_test
        rows.append({"sparsity": sparsity, "test accuracy": round(float(right.mean()), 4), "bytes on disk": size})
    times = _seconds([lambda network=network: network.decision(batch) for network in networks])
    for row, seconds in zip(rows, times):
        row["dense ms"] = round(1e3 * times[0], 3)
        row["sparse ms"] = round(1e3 * seconds, 3) if row["sparsity"] else None
        row["speed-up"] = round(times[0] / seconds, 2) if row["sparsity"] else None
    _write(folder, rows, X_test, y_test, features)
    return rows, folder / "digits_pruned.safetensors"


def _digits(seed):
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError("the demo needs scikit-learn: pip install 'sparsecore[demo]'") from error
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    return X, y, X_test, y_test


def _trained(X, y, seed):
    """{fc1.weight: (out, in), fc1.bias: (out,), ...} of a ReLU network trained by Adam."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is chosen, not left to a tolerance
        net = MLPClassifier(HIDDEN, max_iter=20, alpha=1e-3, random_state=seed).fit(X, y)
    weights = {}
    for i, (W, b) in enumerate(zip(net.coefs_, net.intercepts_), 1):
        weights[f"fc{i}.weight"] = np.ascontiguousarray(W.T, dtype=np.float32)
        weights[f"fc{i}.bias"] = b.astype(np.float32)
    return weights


def _calibrations(weights, X):
    """What every layer sees on the training rows."""
    stats, h = {}, X
    for i in range(1, len(HIDDEN) + 2):
        stats[f"fc{i}.weight"] = pr.calibrate(h)
        h = np.maximum(h @ weights[f"fc{i}.weight"].T + weights[f"fc{i}.bias"], 0)
    return stats


def _seconds(calls, rounds=15):
    """Median seconds of each call; every round makes all of them, so all meet the same machine.

    BLAS threads go on spinning for about 20 ms after a product and take a core from whoever comes next: each turn
    begins with a pause and an untimed call.
    """
    times = np.empty((rounds, len(calls)))
    for r in range(rounds):
        for i, call in enumerate(calls):
            time.sleep(0.03)
            call()
            started = time.perf_counter()
            call()
            times[r, i] = time.perf_counter() - started
    return [float(t) for t in np.median(times, axis=0)]


def _write(folder, rows, X_test, y_test, features):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*features.columns, "digit"])
    writer.writerows([*(round(16 * float(v)) for v in x), label] for x, label in zip(X_test, y_test))
    atomic_write(folder / "digits_test.csv", [text.getvalue().encode()])
    size = rows[0]["bytes on disk"]
    figure = report.curve("A network on digits, pruned, no retraining", [row["sparsity"] for row in rows],
                          {"test accuracy": [row["test accuracy"] for row in rows],
                           "bytes on disk, share of dense": [row["bytes on disk"] / size for row in rows]},
                          xlabel="share of weights that are zero", ylabel="share")
    report.write_picture(folder / "digits.png", figure)
