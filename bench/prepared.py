"""Pruned weights, prepared, against the fastest dense product: torch, MKL, NumPy's OpenBLAS."""

import time

import numpy as np

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case

ZEROS = (30, 50, 60, 75, 90, 95)
COLUMNS = (1, 8, 32, 64, 256)


def plan_cost(A, columns, transpose):
    """Median seconds of prepare()."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        sc.prepare(A, columns=columns, transpose=transpose)
        took.append(time.perf_counter() - start)
    return sorted(took)[1]


def cases(smoke=False, threads=2):
    peers.set_threads(threads)
    rng = np.random.default_rng(8)
    for zeros in ZEROS[-2:] if smoke else ZEROS:
        A = matrices.matrix(f"pruned{zeros}", smoke)
        m, k = A.shape
        W = A.toarray()
        for n in COLUMNS[1:3] if smoke else COLUMNS:
            X = rng.standard_normal((k, n)).astype(np.float32)
            X = X[:, 0].copy() if n == 1 else X
            P = sc.prepare(A, columns=n, transpose=True)
            extra = {"layout": P.layout, "plan_seconds": plan_cost(A, n, False)}
            T, batch = P.T, np.asfortranarray(X)
            contenders = {"sparsecore": lambda P=P, X=X: sc.matmul(P, X),
                          "column-major X": lambda P=P, X=batch: sc.matmul(P, X), **peers.gemm(W, X)}
            yield Case("prepared", f"prepared @ X {n}", f"pruned{zeros}", contenders, flops=2.0 * A.nnz * n,
                       gemm="gemm_f32", baselines=("column-major X",), extra=extra)
            Wt = np.ascontiguousarray(W.T)
            yield Case("prepared", f"prepared.T @ X {n}", f"pruned{zeros}",
                       {"sparsecore": lambda T=T, X=X: sc.matmul(T, X), **peers.gemm(Wt, X)}, flops=2.0 * A.nnz * n,
                       gemm="gemm_f32", extra={"layout": T.layout, "plan_seconds": plan_cost(A, n, True)})
        matrices.matrix.cache_clear()
