"""SpMV, SpMM and their transposes over all matrices."""

import numpy as np

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case, everything

MATRICES = ("pruned50", "pruned80", "pruned90", "pruned95", "zipf", "powerlaw", "banded", "stencil", "uniform")
COLUMNS = (None, 8, 32, 64, 256)


def traffic(A, n):
    """Least bytes: the matrix once, X once, the result once."""
    s = A.data.itemsize
    return A.nnz * (s + 4) + 4 * A.shape[0] + s * n * (A.shape[0] + A.shape[1])


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    rng = np.random.default_rng(0)
    yield from overhead(rng)
    for name in [*matrices.real_names(), *MATRICES]:
        for n in COLUMNS:
            for transposed in (False, True):
                op = ("SpMM" if n else "SpMV") + ("T" if transposed else "") + (f" {n}" if n else "")
                if not wanted(op, name):
                    continue
                A = matrices.matrix(name, smoke)
                if n and n * (A.shape[0] + A.shape[1]) * A.data.itemsize > 3e8:
                    continue    # a panel of more than 300 MB says nothing new
                shape = (A.shape[0] if transposed else A.shape[1],) + ((n,) if n else ())
                X = rng.standard_normal(shape).astype(A.dtype)
                ours = (lambda T=A.T, X=X: sc.matmul(T, X)) if transposed else (lambda A=A, X=X: sc.matmul(A, X))
                yield Case("products", op, name, {"sparsecore": ours, **peers.sparse_dense(A, X, transposed)},
                           bytes=traffic(A, n or 1), flops=2 * A.nnz * (n or 1),
                           gemm="gemm_f32" if A.dtype == np.float32 else "gemm_f64")
        matrices.matrix.cache_clear()
    yield from scaling(rng, smoke, wanted)


def overhead(rng):
    """Calls so small that only their overhead counts: SciPy's time / ours."""
    for n in (10, 100, 1000):
        A = matrices.canonical(matrices.uniform(n, 3))
        for columns in (None, 8):
            X = rng.standard_normal((n,) + ((columns,) if columns else ()))
            yield Case("products", f"{'SpMM 8' if columns else 'SpMV'} small", f"n={n}",
                       {"sparsecore": lambda A=A, X=X: sc.matmul(A, X), "scipy": lambda A=A, X=X: A @ X})


def scaling(rng, smoke, wanted):
    """Matrices beyond the last cache: one thread's time / two threads' (1.7 asked), and the time of a product / the
    time of the full check of its matrix, an upper bound of what the check in passing costs (50 is 2 %)."""
    for name in ("uniform", "banded", "stencil"):
        for columns in (None, 8):
            op = f"{'SpMM 8' if columns else 'SpMV'}: 2 threads"
            if wanted(op, name):
                A = matrices.matrix(name, smoke)
                X = rng.standard_normal((A.shape[1],) + ((columns,) if columns else ()))
                yield Case("products", op, name, {"sparsecore": lambda A=A, X=X: sc.matmul(A, X, threads=2),
                                                  "one thread": lambda A=A, X=X: sc.matmul(A, X, threads=1)})
        if wanted("validate", name):
            A = matrices.matrix(name, smoke)
            X = rng.standard_normal((A.shape[1], 8))
            yield Case("products", "validate", name,
                       {"sparsecore": lambda A=A: sc.validate(A), "SpMM 8": lambda A=A, X=X: sc.matmul(A, X)},
                       agree=lambda a, b: True)
        matrices.matrix.cache_clear()
