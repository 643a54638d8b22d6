"""Pruned weights, prepared, against the fastest dense product: torch, MKL, NumPy's OpenBLAS."""

import time

import numpy as np

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case, everything

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


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    rng = np.random.default_rng(8)
    for zeros in ZEROS[-2:] if smoke else ZEROS:
        name = f"pruned{zeros}"
        for n in COLUMNS[1:3] if smoke else COLUMNS:
            ops = f"prepared @ X {n}", f"prepared.T @ X {n}"
            if not any(wanted(op, name) for op in ops):
                continue
            A = matrices.matrix(name, smoke)
            W, k = A.toarray(), A.shape[1]
            X = rng.standard_normal((k, n)).astype(np.float32)
            X = X[:, 0].copy() if n == 1 else X
            P = sc.prepare(A, columns=n, transpose=True)
            extra = {"layout": P.layout, "plan_seconds": plan_cost(A, n, False)}
            T, batch = P.T, np.asfortranarray(X)
            contenders = {"sparsecore": lambda P=P, X=X: sc.matmul(P, X),
                          "column-major X": lambda P=P, X=batch: sc.matmul(P, X), **peers.gemm(W, X)}
            yield Case("prepared", ops[0], name, contenders, flops=2.0 * A.nnz * n,
                       gemm="gemm_f32", baselines=("column-major X",), extra=extra)
            Wt = np.ascontiguousarray(W.T)
            yield Case("prepared", ops[1], name,
                       {"sparsecore": lambda T=T, X=X: sc.matmul(T, X), **peers.gemm(Wt, X)}, flops=2.0 * A.nnz * n,
                       gemm="gemm_f32", extra={"layout": T.layout, "plan_seconds": plan_cost(A, n, True)})
        matrices.matrix.cache_clear()
