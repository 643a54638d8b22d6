"""Transposition, COO to CSR, conversions."""

import numpy as np
import scipy.sparse as sp

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case, close, everything

MATRICES = ("uniform", "powerlaw", "stencil", "banded", "zipf", "pruned90")


def traffic(A):
    return 2 * (A.nnz * (A.data.itemsize + 4) + 4 * sum(A.shape))


def same(ours, theirs):
    return close(ours, peers.to_scipy(theirs))


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    torch, gb = peers.module("torch"), peers.module("graphblas")
    for name in [*MATRICES, *matrices.real_names()]:
        if not any(wanted(op, name) for op in ("transpose", "from_coo shuffled")):
            continue
        A = matrices.matrix(name, smoke)
        contenders = {"sparsecore": lambda A=A: sc.transpose(A), "scipy": lambda A=A: A.T.tocsr()}
        if peers.module("graphblas"):
            G = peers.graphblas_matrix(A)
            contenders["graphblas"] = lambda G=G: G.T.new()
        if peers.module("torch"):
            T = peers.torch_csr(A)
            contenders["torch"] = lambda T=T: T.t().to_sparse_csr()
        yield Case("structure", "transpose", name, contenders, agree=same, bytes=traffic(A))

        order = np.random.default_rng(7).permutation(A.nnz)
        coo = A.tocoo()
        row, col = (c[order].astype(np.int32) for c in coo.coords)
        data = coo.data[order]
        contenders = {"sparsecore": lambda d=data, r=row, c=col, s=A.shape: sc.from_coo((d, (r, c)), s),
                      "scipy": lambda d=data, r=row, c=col, s=A.shape: sp.csr_array((d, (r, c)), shape=s)}
        if torch:
            index, values = torch.from_numpy(np.stack([row, col]).astype(np.int64)), torch.from_numpy(data)
            contenders["torch"] = lambda i=index, v=values, s=A.shape: (
                torch.sparse_coo_tensor(i, v, size=s).coalesce().to_sparse_csr())
        if gb:
            contenders["graphblas"] = lambda d=data, r=row, c=col, s=A.shape: gb.Matrix.from_coo(
                r, c, d, nrows=s[0], ncols=s[1])
        yield Case("structure", "from_coo shuffled", name, contenders, agree=same, bytes=A.nnz * (16 + 12))
        matrices.matrix.cache_clear()
    if not any(wanted(op, "pruned90") for op in ("from_dense", "todense")):
        return
    W = np.ascontiguousarray(matrices.matrix("pruned90", smoke).toarray())
    yield Case("structure", "from_dense", "pruned90",
               {"sparsecore": lambda: sc.from_dense(W), "scipy": lambda: sp.csr_array(W)}, bytes=W.nbytes)
    S = matrices.matrix("pruned90", smoke)
    yield Case("structure", "todense", "pruned90",
               {"sparsecore": lambda: sc.todense(S), "scipy": lambda: S.toarray()}, bytes=W.nbytes)
