"""sparse @ dense against NumPy, and the properties every product keeps."""

import numpy as np
import pytest
from oracles import THREADS, random_sparse, sha, tolerance

import sparsecore as sc

TYPES = [np.float32, np.float64, np.complex64, np.complex128, np.float16]


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 7), (37, 53), (300, 40)])
def test_product_with_vector_and_panels(rng, fmt, dtype, index, shape):
    A = random_sparse(rng, *shape, dtype=dtype, fmt=fmt, index=index)
    D = A.toarray() if dtype != np.float16 else A.astype(np.float32).toarray()
    tol = tolerance(dtype)
    for n in (None, 0, 1, 3, 16, 33):
        X = rng.standard_normal((shape[1],) + (() if n is None else (n,))).astype(dtype)
        for x in (X, np.asfortranarray(X), X[::-1][::-1]):
            got = sc.matmul(A, x)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, D @ X.astype(D.dtype), rtol=tol, atol=tol)
    X = rng.standard_normal((4, shape[0])).astype(dtype)
    np.testing.assert_allclose(sc.matmul(X, A), X.astype(D.dtype) @ D, rtol=tol, atol=tol)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_same_bits_on_any_thread_count(rng, fmt):
    A = random_sparse(rng, 3000, 2000, 0.02, fmt=fmt)
    x, X = rng.standard_normal(2000), rng.standard_normal((2000, 24))
    assert len({sha(sc.matmul(A, x, threads=t), sc.matmul(A, X, threads=t)) for t in THREADS}) == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_is_filled_and_returned(rng, order):
    A = random_sparse(rng, 30, 20)
    X = rng.standard_normal((20, 6))
    out = np.full((30, 6), np.nan, order=order)
    assert sc.matmul(A, X, out=out) is out
    np.testing.assert_allclose(out, A.toarray() @ X, atol=1e-12)


def test_wrong_arguments_name_both_sides(rng):
    A = random_sparse(rng, 30, 20)
    with pytest.raises(ValueError, match="x has length 21; A has 20 columns"):
        sc.matmul(A, np.zeros(21))
    with pytest.raises(ValueError, match=r"out has shape \(29,\); the result has \(30,\)"):
        sc.matmul(A, np.zeros(20), out=np.zeros(29))
    with pytest.raises(TypeError, match="out has type float32; the result has float64"):
        sc.matmul(A, np.zeros(20), out=np.zeros(30, np.float32))
    x = np.zeros(30)
    with pytest.raises(ValueError, match="out overlaps an input"):
        sc.matmul(A, x[:20], out=x)
    with pytest.raises(TypeError, match="one operand must be sparse"):
        sc.matmul(x, x)


def test_a_wrong_index_is_an_error_that_names_its_place(rng):
    A = random_sparse(rng, 30, 20)
    A.indices[7] = 20
    for call in (lambda: sc.matmul(A, np.zeros(20)), lambda: sc.validate(A), lambda: sc.matmul(A.T, np.zeros(30))):
        with pytest.raises(ValueError, match="index 20 at entry 7"):
            call()
    A.indices[7] = 0
    A.indptr[3] = A.nnz + 5
    with pytest.raises(ValueError, match="indptr does not rise"):
        sc.matmul(A, np.zeros(20))
