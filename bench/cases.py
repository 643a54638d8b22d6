"""Matrices by name and construction.  Every one is a canonical float64 CSR with int32 indices, made from a fixed seed.

    uniform     rows draw columns uniformly: scattered access, beyond the last cache
    powerlaw    row lengths and columns by a power law, shuffled: a social graph's shape
    stencil     3-D 27-point stencil: banded blocks
    banded      21 adjacent diagonals
    zipf        term-document counts, terms by Zipf's law
    pruned50..  random weights with that share of zeros, float32
    real/NAME   ../shared/data/matrices, when present
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp

DATA = Path(os.environ.get("SPARSECORE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REAL = ("soc-Slashdot0902", "email-Enron", "wing_adj", "bcsstk16", "netlib_stocfor3", "reuters395_counts")


def canonical(A):
    A = sp.csr_array(A)
    A.sum_duplicates()
    A.indices, A.indptr = A.indices.astype(np.int32), A.indptr.astype(np.int32)
    return A


def from_rows(lengths, cols, columns, rng):
    rows = np.repeat(np.arange(lengths.size), lengths)
    values = rng.standard_normal(rows.size)
    return canonical(sp.coo_array((values, (rows, columns)), shape=(lengths.size, cols)))


def uniform(n, z=10):
    rng = np.random.default_rng(1)
    return from_rows(np.full(n, z), n, rng.integers(0, n, n * z), rng)


def powerlaw(n, z=10, exponent=1.3):
    rng = np.random.default_rng(2)
    weight = 1.0 / np.arange(1, n + 1) ** (exponent - 0.6)
    lengths = np.minimum(rng.permutation(np.maximum(1, (weight / weight.sum() * n * z)).astype(np.int64)), n // 4)
    columns = rng.permutation(n)[np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(int(lengths.sum())))
                                 .clip(0, n - 1)]
    return from_rows(lengths, n, columns, rng)


def stencil(side):
    one = sp.diags_array([np.ones(side - 1), np.ones(side), np.ones(side - 1)], offsets=[-1, 0, 1])
    A = canonical(sp.kron(one, sp.kron(one, one)))
    A.data[:] = np.random.default_rng(3).standard_normal(A.nnz)
    return A


def banded(n, width=21):
    rng = np.random.default_rng(4)
    h = width // 2
    return canonical(sp.diags_array([rng.standard_normal(n - abs(k)) for k in range(-h, h + 1)],
                                    offsets=list(range(-h, h + 1))))


def zipf(docs, terms, words=80):
    rng = np.random.default_rng(5)
    lengths = rng.poisson(words, docs).clip(1)
    columns = ((rng.pareto(0.9, int(lengths.sum())) * 3).astype(np.int64) % terms)
    A = from_rows(lengths, terms, columns, rng)
    A.data = np.abs(A.data)
    return A


def pruned(n, zeros):
    rng = np.random.default_rng(6)
    W = rng.standard_normal((n, n)).astype(np.float32)
    W[rng.random((n, n)) < zeros] = 0
    return canonical(W)


@cache
def matrix(name, smoke=False):
    """The matrix of that name; smoke: a small one of the same construction."""
    if name.startswith("real/"):
        return canonical(sp.load_npz(DATA / "matrices" / f"{name[5:]}.npz").astype(np.float64))
    if name.startswith("pruned"):
        return pruned(256 if smoke else 4096, int(name[6:]) / 100)
    return {
        "uniform": lambda: uniform(2000 if smoke else 1_000_000),
        "uniform_small": lambda: uniform(1000 if smoke else 100_000, 8),
        "powerlaw": lambda: powerlaw(2000 if smoke else 500_000),
        "powerlaw_small": lambda: powerlaw(1000 if smoke else 60_000, 6),
        "stencil": lambda: stencil(10 if smoke else 100),
        "stencil_small": lambda: stencil(6 if smoke else 40),
        "banded": lambda: banded(2000 if smoke else 1_000_000),
        "zipf": lambda: zipf(1000 if smoke else 100_000, 500 if smoke else 50_000),
        "zipf_small": lambda: zipf(300 if smoke else 20_000, 500 if smoke else 30_000, 60),
    }[name]()


def real_names():
    return [f"real/{name}" for name in REAL if (DATA / "matrices" / f"{name}.npz").exists()]
