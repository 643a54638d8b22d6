"""Products of two sparse matrices, and the sampled products."""

import numpy as np
import scipy.sparse as sp

import sparsecore as sc

from . import cases as matrices
from . import peers
from .harness import Case, close, everything


def pairs(smoke):
    """Names of A @ B, and calls that make the operands."""
    def square(make):
        def operands():
            A = make()
            return A, A
        return operands

    def zipf():
        Z = matrices.matrix("zipf_small", smoke)
        return matrices.canonical(Z.T), Z

    for name in ("uniform_small", "powerlaw_small", "stencil_small"):
        yield f"{name}^2", square(lambda name=name: matrices.matrix(name, smoke))
    yield "zipf_small.T @ self", zipf
    for zeros in (90, 95):
        yield (f"pruned{zeros} 2048^2",
               square(lambda z=zeros: matrices.pruned(128 if smoke else 2048, z / 100).astype(np.float64)))
    for name in matrices.real_names():
        if name in ("real/email-Enron", "real/wing_adj", "real/bcsstk16"):
            yield f"{name}^2", square(lambda name=name: matrices.matrix(name))


def topn_peers(A, B, n):
    """The n largest of every row of A @ B: sparse_dot_topn and sp-matmul-rs."""
    out = {}
    if peers.module("sparse_dot_topn"):
        topn = peers.module("sparse_dot_topn").sp_matmul_topn
        a, b = sp.csr_matrix(A), sp.csr_matrix(B)
        out["sparse_dot_topn"] = lambda: topn(a, b, top_n=n, n_threads=2, sort=True)
    if peers.module("sp_matmul_rs"):
        rs = peers.module("sp_matmul_rs").sp_matmul_topn
        ra, rb = sp.csr_matrix(A), sp.csr_matrix(B)
        out["sp_matmul_rs"] = lambda: rs(ra, rb, top_n=n, n_threads=2)
    return out


def same_product(ours, theirs):
    """Equal as matrices, and ours sorted."""
    return bool(ours.has_sorted_indices) and close(ours, peers.to_scipy(theirs))


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    for name, operands in pairs(smoke):
        if not any(wanted(op, name) for op in ("SpGEMM", "SpGEMM numbers again")):
            continue
        A, B = operands()
        plan = sc.MatmulPlan(A, B)
        yield Case("spgemm", "SpGEMM", name,
                   {"sparsecore": lambda A=A, B=B: sc.matmul(A, B), **peers.sparse_sparse(A, B)}, agree=same_product)
        yield Case("spgemm", "SpGEMM numbers again", name,
                   {"sparsecore": lambda plan=plan, A=A, B=B: plan(A.data, B.data),
                    "first product": lambda A=A, B=B: sc.matmul(A, B)})
    if wanted("top-n 10", "zipf_small @ self.T"):
        Z = unit_rows(matrices.matrix("zipf_small", smoke))
        ZT = matrices.canonical(Z.T)
        yield Case("spgemm", "top-n 10", "zipf_small @ self.T",
                   {"sparsecore": lambda: sc.matmul_topn(Z, ZT, 10), **topn_peers(Z, ZT, 10)}, agree=same_sums)
    if wanted("top-n 10", "uniform_small^2"):
        U = matrices.matrix("uniform_small", smoke)
        yield Case("spgemm", "top-n 10", "uniform_small^2",
                   {"sparsecore": lambda: sc.matmul_topn(U, U, 10), **topn_peers(U, U, 10)}, agree=same_sums)
    for name in ("zipf_small", "stencil_small", "uniform_small"):
        if not wanted("gram", name):
            continue
        A = matrices.matrix(name, smoke)
        AT = matrices.canonical(A.T)
        yield Case("spgemm", "gram", name,
                   {"sparsecore": lambda A=A: sc.gram(A), **peers.sparse_sparse(AT, A)}, agree=same_product)


def unit_rows(Z):
    """Z with rows of norm 1: its products with itself are cosines."""
    return matrices.canonical(sp.diags_array(1 / np.maximum(1e-30, np.sqrt((Z.multiply(Z)).sum(axis=1)))) @ Z)


def same_sums(ours, theirs):
    """Ties may fall on other columns: the sums of the kept values must agree."""
    a, b = ours.sum(axis=1), peers.to_scipy(theirs).sum(axis=1)
    return bool(np.allclose(np.asarray(a).ravel(), np.asarray(b).ravel(), rtol=1e-3, atol=1e-9))
