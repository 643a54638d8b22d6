"""A + B, A * B, and reductions."""

import numpy as np

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case, close, everything

MATRICES = ("uniform", "powerlaw", "stencil", "banded", "zipf", "pruned90")
OPS = ("add", "multiply", "reductions")
KINDS = ("sum", "absmax", "norm", "mean_var")


def same(ours, theirs):
    return close(ours, peers.to_scipy(theirs))


def flat(ours, theirs):
    return close(np.asarray(ours).ravel(), np.asarray(theirs).ravel())


def partner(A):
    """A matrix of the same shape that shares three rows of four with A; the others come from a neighbour."""
    rows = np.arange(A.shape[0])
    return matrices.canonical(A[np.minimum(rows + (rows % 4 == 0), A.shape[0] - 1)])


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    for name in MATRICES:
        if not any(wanted(op, name, f"{kind} axis={axis}") for op in OPS for kind in KINDS for axis in (0, 1)):
            continue
        A = matrices.matrix(name, smoke)
        B = partner(A)
        bytes_in = 2 * A.nnz * (A.data.itemsize + 4)
        add = {"sparsecore": lambda A=A, B=B: sc.add(A, B), "scipy": lambda A=A, B=B: A + B}
        mul = {"sparsecore": lambda A=A, B=B: sc.multiply(A, B), "scipy": lambda A=A, B=B: A.multiply(B)}
        if peers.module("graphblas"):
            gb = peers.module("graphblas")
            G, H = peers.graphblas_matrix(A), peers.graphblas_matrix(B)
            add["graphblas"] = lambda G=G, H=H, gb=gb: G.ewise_add(H, gb.binary.plus).new()
            mul["graphblas"] = lambda G=G, H=H, gb=gb: G.ewise_mult(H, gb.binary.times).new()
        if peers.module("torch"):
            S, T = peers.torch_csr(A), peers.torch_csr(B)
            add["torch"] = lambda S=S, T=T: S + T
        yield Case("elementwise", "add", name, add, agree=same, bytes=2 * bytes_in)
        yield Case("elementwise", "multiply", name, mul, agree=same, bytes=bytes_in)
        for axis in (0, 1):
            sums = {"sparsecore": lambda A=A, a=axis: sc.sum(A, a), "scipy": lambda A=A, a=axis: A.sum(axis=a)}
            if peers.module("graphblas"):
                G = peers.graphblas_matrix(A)
                sums["graphblas"] = (lambda G=G, gb=gb: G.reduce_columnwise(gb.monoid.plus).new().to_dense(0)) \
                    if axis == 0 else (lambda G=G, gb=gb: G.reduce_rowwise(gb.monoid.plus).new().to_dense(0))
            yield Case("elementwise", "reductions", f"{name} sum axis={axis}", sums, agree=flat, bytes=bytes_in / 2)
            yield Case("elementwise", "reductions", f"{name} absmax axis={axis}",
                       {"sparsecore": lambda A=A, a=axis: sc.absmax(A, a),
                        "scipy": lambda A=A, a=axis: abs(A).max(axis=a).toarray()}, agree=flat, bytes=bytes_in / 2)
            yield Case("elementwise", "reductions", f"{name} norm axis={axis}",
                       {"sparsecore": lambda A=A, a=axis: sc.norm(A, a),
                        "scipy": lambda A=A, a=axis: np.sqrt(A.power(2).sum(axis=a))}, agree=flat, bytes=bytes_in / 2)
            if peers.module("sklearn.utils.sparsefuncs"):
                mean_var = peers.module("sklearn.utils.sparsefuncs").mean_variance_axis
                yield Case("elementwise", "reductions", f"{name} mean_var axis={axis}",
                           {"sparsecore": lambda A=A, a=axis: sc.mean_var(A, a),
                            "sklearn": lambda A=A, a=axis, f=mean_var: f(A, axis=a)},
                           agree=lambda x, y: flat(x[0], y[0]) and flat(x[1], y[1]), bytes=bytes_in / 2)
        matrices.matrix.cache_clear()
