"""A short comparison with SciPy and NumPy on one matrix; the benchmarks proper are in the source tree's bench/."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .. import ops
from ..threshold import topk

__all__ = ["run"]


def run(path=None, *, columns=64, seed=0):
    """[{operation, sparsecore ms, peer, peer ms, speed-up}] on the matrix in `path` or a pruned layer."""
    rng = np.random.default_rng(seed)
    A = _matrix(path) if path else _pruned_layer(rng)
    x, X = (rng.standard_normal(shape).astype(A.dtype) for shape in (A.shape[1], (A.shape[1], columns)))
    y = rng.standard_normal(A.shape[0]).astype(A.dtype)
    W = rng.standard_normal((2048, 2048)).astype(np.float32)
    k = W.size // 20
    cases = [
        ("A @ x", "scipy", lambda: ops.matmul(A, x), lambda: A @ x),
        (f"A @ X, {columns} columns", "scipy", lambda: ops.matmul(A, X), lambda: A @ X),
        ("A.T @ y", "scipy", lambda: ops.matmul(A.T, y), lambda: A.T @ y),
        ("5 % largest of 2048 x 2048", "numpy", lambda: topk(W, k), lambda: _topk(W, k)),
    ]
    rows = []
    for name, peer, ours, theirs in cases:
        seconds = _medians(ours, theirs)
        rows.append({"operation": name, "sparsecore ms": round(1e3 * seconds[0], 3), "peer": peer,
                     "peer ms": round(1e3 * seconds[1], 3), "speed-up": round(seconds[1] / seconds[0], 2)})
    return rows


def _matrix(path):
    suffix = "".join(Path(path).suffixes[-2:])
    if suffix.endswith(".npz"):
        A = sp.load_npz(path)
    elif suffix.endswith((".mtx", ".mtx.gz")):
        import scipy.io

        A = scipy.io.mmread(path)
    else:
        raise ValueError(f"{path}: a matrix is a .npz (scipy.sparse.save_npz) or .mtx file")
    A = sp.csr_array(A)
    if A.dtype.kind != "f":
        A = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    A.sum_duplicates()
    return A


def _pruned_layer(rng):
    W = rng.standard_normal((2048, 2048)).astype(np.float32)
    return topk(W, W.size // 10)


def _topk(W, k):
    flat = np.abs(W).reshape(-1)
    place = np.argpartition(flat, flat.size - k)[flat.size - k :]
    kept = np.zeros(flat.size, W.dtype)
    kept[place] = W.reshape(-1)[place]
    return sp.csr_array(kept.reshape(W.shape))


def _medians(*calls, repeats=9):
    """Median seconds of each call, interleaved so that all see the same machine."""
    for call in calls:
        call()
    times = np.zeros((repeats, len(calls)))
    for row in times:
        for i, call in enumerate(calls):
            started = time.perf_counter()
            call()
            row[i] = time.perf_counter() - started
    return np.median(times, axis=0).tolist()
