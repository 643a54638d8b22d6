"""Every scratch allocation made to fail, once and for ever: MemoryError, nothing left behind, the next call works.

Needs a build with fault injection: SPARSECORE_FAULT=1 python setup.py build_ext --inplace in a copy of the sources.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import random_sparse, sha

import sparsecore as sc
from sparsecore import _core

pytestmark = pytest.mark.skipif(_core.live_blocks() < 0, reason="not a build with SPARSECORE_FAULT=1")


def mixed(rng, m, n, nnz):
    """Unsorted rows with duplicates."""
    A = sp.csr_array((m, n))
    cuts = np.sort(rng.integers(0, nnz + 1, m - 1))
    A.indptr = np.concatenate([[0], cuts, [nnz]]).astype(np.int32)
    A.indices, A.data = rng.integers(0, n, nnz).astype(np.int32), rng.standard_normal(nnz)
    return A


def operations():
    """name: (call of the inputs, the inputs): large enough for buckets, parts and private outputs."""
    rng = np.random.default_rng(8)
    A, B = random_sparse(rng, 300, 500, 0.4), random_sparse(rng, 300, 500, 0.4)
    M = mixed(rng, 400, 600, 50_000)
    row, col = rng.integers(0, 9000, 100_000), rng.integers(0, 9000, 100_000)
    W = sc.from_coo((rng.standard_normal(100_000), (row, col)), (9000, 9000))
    H = random_sparse(rng, 500, 60, 0.3)
    X = rng.standard_normal((500, 24))
    table = {
        "matmul vector": (lambda t: sc.matmul(A, X[:, 0].copy(), threads=t), (A, X)),
        "matmul transposed": (lambda t: sc.matmul(A.T, X[:300, 0].copy(), threads=t), (A, X)),
        "matmul F": (lambda t: sc.matmul(A, np.asfortranarray(X), threads=t), (A, X)),
        "matmul sparse": (lambda t: sc.matmul(A, H, threads=t), (A, H)),
        "transpose": (lambda t: sc.transpose(A, threads=t), (A,)),
        "transpose scattered": (lambda t: sc.transpose(W, threads=t), (W,)),
        "transpose mixed": (lambda t: sc.transpose(M, threads=t), (M,)),
        "sum_duplicates": (lambda t: sc.sum_duplicates(M, threads=t), (M,)),
        "from_coo": (lambda t: sc.from_coo((W.data[:5000], (row[:5000], col[:5000])), (9000, 9000), threads=t), (W,)),
        "take_cols": (lambda t: sc.take_cols(A, [3, 1, 1], threads=t), (A,)),
        "hstack": (lambda t: sc.hstack([A, B], threads=t), (A, B)),
        "add": (lambda t: sc.add(A, B, threads=t), (A, B)),
        "add mixed": (lambda t: sc.add(M, M, threads=t), (M,)),
        "multiply": (lambda t: sc.multiply(A, B, threads=t), (A, B)),
        "sum 0": (lambda t: sc.sum(A, 0, threads=t), (A,)),
        "norm": (lambda t: sc.norm(A, None, threads=t), (A,)),
        "mean_var": (lambda t: np.stack(sc.mean_var(M, 0, threads=t)), (M,)),
        "gram": (lambda t: sc.gram(A, threads=t), (A,)),
        "matmul_topn": (lambda t: sc.matmul_topn(A, H, 5, threads=t), (A, H)),
        "masked_matmul": (lambda t: sc.masked_matmul(A, A.T.tocsr(), random_sparse(np.random.default_rng(1), 300, 300),
                                                     threads=t), (A,)),
        "prepare": (lambda t: sc.matmul(sc.prepare(A), X, threads=t), (A, X)),
        "topk": (lambda t: sc.topk(A, 1000, threads=t), (A,)),
        "threshold": (lambda t: sc.threshold(A, 0.5, threads=t), (A,)),
    }
    return {name: entry for name, entry in table.items() if hasattr(sc, name.split()[0])}


NAMES = list(operations()) if _core.live_blocks() >= 0 else ["any operation"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("forever", [False, True])
def test_every_allocation_may_fail(name, threads, forever):
    call, inputs = operations()[name]
    want, before, live = sha(call(threads)), sha(*inputs), _core.live_blocks()
    for number in range(200):
        _core.fault_after(number, forever)
        try:
            done = sha(call(threads)) == want
        except MemoryError:
            done = False
        finally:
            _core.fault_after(-1, False)
        assert _core.live_blocks() == live, f"allocation {number} failed and left scratch behind"
        assert sha(*inputs) == before
        if done:
            break
    assert done, "the allocations of an operation should be few"
    assert sha(call(threads)) == want
