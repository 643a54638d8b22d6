"""Prepared layouts: the values of the plain product, whatever the layout, the shape and the orientation."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import THREADS, random_sparse, sha, tolerance

import sparsecore as sc
from sparsecore import prepared

# shape, density, columns asked for, layout that comes out
CASES = [
    ((300, 200), 0.6, None, "patterned"),
    ((300, 200), 0.1, None, "blocked"),
    ((300, 200), 0.005, None, "csr16"),
    ((300, 200), 0.6, 1, "bitmask"),
    ((300, 200), 0.1, 1, "csr16"),
    ((300, 200), 0.1, 1, "sliced"),
    ((1000, 7), 0.1, 1, "sliced"),
    ((300, 200), 0.6, 1, "listed"),
    ((41, 129), 1.0, 1, "listed"),
    ((10, 1024), 0.3, 64, "patterned"),
    ((1000, 7), 0.2, 8, None),
    ((257, 129), 1.0, 8, "patterned"),
    ((129, 257), 0.2, None, "blocked"),
    ((5, 70_000), 0.001, 1, "csr"),
]


@pytest.fixture(autouse=True)
def any_instruction_set(monkeypatch, request):
    """The layout for one column follows the instruction set; its kernels work everywhere."""
    wanted = getattr(getattr(request.node, "callspec", None), "params", {}).get("layout")
    level = "avx2" if wanted in ("sliced", "listed") else "avx512"
    monkeypatch.setattr(prepared._core, "isa_chosen", lambda: level)


def check(P, D, X, tol, **keys):
    np.testing.assert_allclose(sc.matmul(P, X, **keys), D @ X, rtol=tol, atol=tol * 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("shape, density, columns, layout", CASES)
def test_values_of_the_plain_product(rng, dtype, fmt, shape, density, columns, layout):
    A = random_sparse(rng, *shape, density, dtype=dtype, fmt=fmt)
    D, tol = A.toarray(), tolerance(dtype)
    P = sc.prepare(A, columns=columns, transpose=True)
    assert layout is None or P.layout == layout
    assert (P.shape, P.dtype, P.nnz) == (A.shape, dtype, A.nnz)
    for n in (None, 1, 2, 16, 31, 64, 100):
        X = rng.standard_normal((shape[1],) + (() if n is None else (n,))).astype(dtype)
        for x in (X, np.asfortranarray(X), X[::-1][::-1], np.repeat(X, 2, axis=-1)[..., ::2] if n else X):
            check(P, D, x, tol)
        Y = rng.standard_normal((shape[0],) + X.shape[1:]).astype(dtype)
        check(P.T, D.T, Y, tol)
        check(P.T, D.T, np.asfortranarray(Y), tol)
        np.testing.assert_allclose(Y.T @ P, Y.T @ D, rtol=tol, atol=tol * 8)


@pytest.mark.parametrize("shape, density, columns, layout", CASES)
def test_tocsr_gives_the_matrix_back(rng, shape, density, columns, layout):
    A = random_sparse(rng, *shape, density)
    P = sc.prepare(A, columns=columns)
    for got, want in ((P.tocsr(), A), (P.T.tocsr(), A.T.tocsr()), (P.T.T.tocsr(), A)):
        assert got.format == "csr" and got.has_canonical_format
        assert got.nnz == A.nnz      # explicit zeros are entries
        np.testing.assert_array_equal(got.indptr, want.indptr)
        np.testing.assert_array_equal(got.indices, want.indices)
        np.testing.assert_array_equal(got.data, want.data)


@pytest.mark.parametrize("shape, density, columns, layout", CASES)
def test_same_bits_on_any_thread_count(rng, shape, density, columns, layout):
    A = random_sparse(rng, *shape, density, dtype=np.float32)
    found = set()
    for t in THREADS:
        P = sc.prepare(A, columns=columns, transpose=True, threads=t)
        X, Y = np.ones((shape[1], 70), np.float32) / 3, np.ones((shape[0], 70), np.float32) / 3
        found.add(sha(*(sc.matmul(Q, Z[:, :n], threads=t) for Q, Z in ((P, X), (P.T, Y)) for n in (1, 20, 70))))
        X = rng.standard_normal
    assert len(found) == 1


@pytest.mark.parametrize("shape, density, columns, layout", CASES[:5])
def test_pickle_and_deepcopy(rng, shape, density, columns, layout):
    A = random_sparse(rng, *shape, density)
    P = sc.prepare(A, columns=columns, transpose=True)
    x, y = rng.standard_normal((shape[1], 5)), rng.standard_normal((shape[0], 5))
    for Q in (pickle.loads(pickle.dumps(P)), copy.deepcopy(P), pickle.loads(pickle.dumps(P.T)).T):
        assert Q.layout == P.layout and Q.nbytes == P.nbytes
        assert sha(Q @ x, Q.T @ y) == sha(P @ x, P.T @ y)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("columns", [1, None])
def test_out_is_filled_and_returned(rng, order, columns):
    A = random_sparse(rng, 300, 200, 0.5)
    P = sc.prepare(A, columns=columns)
    X = rng.standard_normal((200, 33))
    out = np.full((300, 33), np.nan, order=order)
    assert sc.matmul(P, X, out=out) is out
    np.testing.assert_allclose(out, A.toarray() @ X, atol=1e-12)
    wide = np.full((300, 66), np.nan)
    sc.matmul(P, X, out=wide[:, ::2])
    np.testing.assert_allclose(wide[:, ::2], A.toarray() @ X, atol=1e-12)
    assert np.isnan(wide[:, 1::2]).all()


def test_a_batch_of_rows_comes_back_as_one(rng):
    W = random_sparse(rng, 300, 200, 0.3, dtype=np.float32)
    batch = rng.standard_normal((64, 200)).astype(np.float32)
    got = batch @ sc.prepare(W).T
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, batch @ W.toarray().T, rtol=1e-3, atol=1e-3)


def test_unsorted_and_duplicate_entries_are_summed():
    A = sp.csr_array((np.array([1.0, 2.0, 4.0, 8.0]), np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3))
    P = sc.prepare(A)
    np.testing.assert_array_equal(P.tocsr().toarray(), [[2, 0, 5], [0, 8, 0]])
    assert A.nnz == 4       # untouched


def test_infinity_and_nan_meet_entries_only(rng):
    """A zero that is not stored does not turn infinity into NaN; a stored one does."""
    A = sp.csr_array(np.array([[1.0, 0, 2.0], [0, 3.0, 0]]))
    x = np.array([1.0, np.inf, 2.0])
    for columns in (1, None):
        P = sc.prepare(A, columns=columns)
        np.testing.assert_array_equal(P @ x, [5, np.inf])
        np.testing.assert_array_equal(P @ np.stack([x] * 9, axis=1), np.outer([5, np.inf], np.ones(9)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("density, layout", [(0.1, "csr16"), (0.6, "bitmask"), (0.1, "sliced"), (0.6, "listed")])
def test_infinity_and_nan_do_not_leave_their_lanes(rng, dtype, density, layout):
    """Vectors hold the values of neighbours and elements of x that no entry meets: none of them may count."""
    A = random_sparse(rng, 70, 203, density, dtype=dtype)
    A.data[::7] = np.inf
    A.data[3::31] = np.nan
    x = rng.standard_normal(203).astype(dtype)
    x[rng.random(203) < 0.02] = np.inf
    x[rng.random(203) < 0.02] = np.nan
    with np.errstate(invalid="ignore"):
        want = np.array([(A.data[a:b] * x[A.indices[a:b]]).sum()
                         for a, b in zip(A.indptr[:-1], A.indptr[1:], strict=True)])
    P = sc.prepare(A, columns=1)
    assert P.layout == layout
    np.testing.assert_allclose(P @ x, want, rtol=tolerance(dtype))
    x = np.where(np.isfinite(x), x, 0)
    A.data[:] = 1
    x[::2] = np.nan
    P = sc.prepare(A, columns=1)
    np.testing.assert_array_equal(np.isnan(P @ x), A[:, ::2].sum(axis=1) > 0)


@pytest.mark.parametrize("layout", ["sliced"])
def test_rows_that_ended_meet_no_infinity(rng, layout):
    """Rows of a slice end at different places; what fills them up must not meet an infinite x."""
    counts = rng.integers(0, 40, 300)
    A = sp.csr_array((300, 203), dtype=np.float32).tolil()
    for r, n in enumerate(counts):
        A[r, rng.choice(np.arange(1, 203), n, replace=False)] = 1
    A = A.tocsr()
    x = np.ones(203, np.float32)
    x[0] = np.inf
    P = sc.prepare(A, columns=1)
    assert P.layout == layout
    np.testing.assert_array_equal(P @ x, counts)
    np.testing.assert_array_equal(P @ np.stack([x, x, x], axis=1), np.repeat(counts[:, None], 3, axis=1))


@pytest.mark.parametrize("layout", ["listed"])
def test_lists_of_columns_that_end_meet_no_infinity(rng, layout):
    A = random_sparse(rng, 21, 203, 0.5, dtype=np.float32).tolil()
    A[:, 0] = 0
    A = sp.csr_array(A)
    A.data[:] = 1
    x = np.ones(203, np.float32)
    x[0] = np.inf
    P = sc.prepare(A, columns=1)
    assert P.layout == layout
    np.testing.assert_array_equal(P @ x, A.sum(axis=1))
    np.testing.assert_array_equal(P @ np.stack([x, x], axis=1), np.repeat(A.sum(axis=1)[:, None], 2, axis=1))


@pytest.mark.parametrize("m, n", [(1, 8), (2, 7), (3, 64), (4, 67), (10, 1024), (11, 1023)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["listed"])
def test_rows_without_zeros_are_read_as_x_lies(rng, m, n, dtype, layout):
    for gaps in ([], [(0, n - 1)], [(m - 1, 0)], [(r, n // 2) for r in range(m)]):      # all full, and nearly
        A = rng.integers(1, 9, (m, n)).astype(dtype)
        for gap in gaps:
            A[gap] = 0
        x = rng.integers(-9, 9, n).astype(dtype)
        P = sc.prepare(sp.csr_array(A), columns=1)
        assert P.layout == layout
        np.testing.assert_array_equal(P @ x, A @ x)
        np.testing.assert_array_equal(P.tocsr().toarray(), A)


@pytest.mark.parametrize("columns, layout", [(0, None), (1, None), (1, "listed"), (7, None), (100, None)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_chain_gives_the_bits_of_its_products(rng, dtype, columns, layout):
    shapes, steps, bias = [(300, 200), (70, 300), (129, 70)], [], []
    plans = [sc.prepare(random_sparse(rng, *s, d, dtype=dtype), columns=columns or None)
             for s, d in zip(shapes, (0.1, 0.6, 0.3), strict=True)]
    for i, P in enumerate(plans):
        L = P._layout()
        bias.append(rng.standard_normal(P.shape[0]).astype(dtype) if i != 1 else None)
        steps.append((L.shape, L.layout, L.block, L.arrays, L.nnz, bias[i], i < 2, True))
    X = rng.standard_normal((200, columns)).astype(dtype)
    want = X
    for i, P in enumerate(plans):
        want = P @ want + (0 if bias[i] is None else bias[i][:, None])
        want = np.maximum(want, 0) if i < 2 else want
    for x in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        for t in THREADS:
            got = prepared._core.PreparedChain(steps)(x, t)
            if columns == 0:
                assert got is None
                continue
            assert got.shape == (129, columns) and got.dtype == dtype and got.flags.c_contiguous
            np.testing.assert_array_equal(got, want)


def test_a_chain_refuses_what_does_not_fit(rng):
    L, M = (sc.prepare(random_sparse(rng, *s, 0.5, dtype=np.float32))._layout() for s in ((30, 20), (10, 31)))

    def step(L, bias=None):
        return (L.shape, L.layout, L.block, L.arrays, L.nnz, bias, False, False)

    X = np.ones((20, 3), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        prepared._core.PreparedChain([step(L), step(M)])(X, 1)
    chain = prepared._core.PreparedChain([step(L)])
    assert chain(X, 1).shape == (30, 3)
    unaligned = np.empty(X.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(X.shape)
    pairs = np.zeros((20, 3), [("a", np.uint16), ("b", np.float32)])["b"]       # strides of 6 bytes
    for x in (X[:19], X[0], X[:, :0], X.astype(np.float64), X.astype(X.dtype.newbyteorder()), unaligned, pairs):
        assert chain(x, 1) is None
    assert prepared._core.PreparedChain([])(X, 1) is None
    with pytest.raises(ValueError, match="the bias must be 30 contiguous values of type float32"):
        prepared._core.PreparedChain([step(L, np.ones(30))])


def test_the_driver_checks_the_shapes_too(rng):
    A = random_sparse(rng, 30, 20, 0.5)
    P = sc.prepare(A)._layout()
    for X, C in (((19, 4), (30, 4)), ((20, 4), (29, 4)), ((20, 4), (30, 3))):
        with pytest.raises(ValueError, match="the shapes do not fit together"):
            P.matmul(np.zeros(X), np.zeros(C), 1)
    with pytest.raises(TypeError):
        P.matmul(np.zeros((20, 4), np.float32), np.zeros((30, 4), np.float32), 1)


@pytest.mark.parametrize("level, columns, density, layout", [
    ("base", 1, 0.5, "blocked"), ("base", 1, 0.05, "csr16"), ("avx2", 1, 0.5, "listed"), ("avx2", 1, 0.1, "sliced"),
    ("avx512", 1, 0.35, "bitmask"), ("avx512", 1, 0.2, "blocked"), ("avx512", 1, 0.05, "csr16"),
    ("avx2", 64, 0.5, "patterned"), ("avx2", 64, 0.3, "blocked"), ("avx512", 64, 0.3, "patterned")])
def test_the_layout_follows_the_instruction_set(rng, monkeypatch, level, columns, density, layout):
    monkeypatch.setattr(prepared._core, "isa_chosen", lambda: level)
    A = random_sparse(rng, 200, 700, density, dtype=np.float32)
    P = sc.prepare(A, columns=columns, transpose=True)
    assert P.layout == layout
    X, Y = (rng.standard_normal((k, n)).astype(np.float32) for k, n in ((700, 100), (200, 41)))
    check(P, A.toarray(), X, tolerance(np.float32))
    check(P.T, A.toarray().T, Y, tolerance(np.float32))
    np.testing.assert_array_equal(P.tocsr().toarray(), A.toarray())


@pytest.mark.parametrize("layout", ["listed", "bitmask"])
def test_a_matrix_beyond_the_caches_is_laid_out_as_small_as_can_be(rng, monkeypatch, layout):
    monkeypatch.setattr(prepared._core, "isa_chosen", lambda: "avx2")
    A = random_sparse(rng, 300, 700, 0.5, dtype=np.float32)
    monkeypatch.setattr(prepared, "MEMORY_BYTES", A.data.nbytes - (layout == "bitmask"))
    P = sc.prepare(A, columns=1)
    assert P.layout == layout
    check(P, A.toarray(), rng.standard_normal((700, 1)).astype(np.float32), tolerance(np.float32))
    check(P, A.toarray(), rng.standard_normal((700, 5)).astype(np.float32), tolerance(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, np.complex128, np.int32, bool])
def test_other_types_are_kept_as_csr(rng, dtype):
    A = random_sparse(rng, 30, 20, 0.3, dtype=np.float64)
    A.data = (A.data * 4).astype(dtype)
    P = sc.prepare(A, transpose=True)
    assert P.layout == "csr" and P.dtype == dtype
    X = rng.integers(-3, 4, (20, 6)).astype(dtype)
    np.testing.assert_allclose(P @ X, sc.matmul(A, X), rtol=1e-6)
    np.testing.assert_allclose(P.T @ (A @ X), A.T @ (A @ X), rtol=1e-2 if dtype == np.float16 else 1e-5)


def test_wider_operands_keep_their_bits(rng):
    A = random_sparse(rng, 30, 20, 0.5, dtype=np.float32)
    X = rng.standard_normal((20, 3))
    got = sc.prepare(A) @ X
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, A.astype(np.float64) @ X, rtol=1e-12)
    assert (sc.prepare(A) @ X.astype(np.float16)).dtype == np.float32


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (4, 5)])
def test_nothing_to_multiply(shape):
    P = sc.prepare(sp.csr_array(shape), transpose=True)
    for n in (0, 3):
        np.testing.assert_array_equal(P @ np.ones((shape[1], n)), np.zeros((shape[0], n)))
        np.testing.assert_array_equal(P.T @ np.ones((shape[0], n)), np.zeros((shape[1], n)))


def test_wrong_arguments_name_both_sides(rng):
    A = random_sparse(rng, 30, 20, 0.5)
    P = sc.prepare(A)
    with pytest.raises(ValueError, match="x has length 21; A has 20 columns"):
        sc.matmul(P, np.zeros(21))
    with pytest.raises(ValueError, match=r"out has shape \(29,\); the result has \(30,\)"):
        sc.matmul(P, np.zeros(20), out=np.zeros(29))
    with pytest.raises(ValueError, match="columns is 0"):
        sc.prepare(A, columns=0)
    with pytest.raises(TypeError, match="must be a scipy.sparse"):
        sc.prepare(A.toarray())
    A.indices[7] = 20
    for columns in (1, 8):
        with pytest.raises(ValueError, match="index 20 at entry 7"):
            sc.prepare(A, columns=columns)
    A.indices[7] = 0
    A.indptr[3] = A.nnz + 5
    with pytest.raises(ValueError, match="indptr does not rise"):
        sc.prepare(A)


def test_a_product_of_two_prepared_matrices_is_refused_by_name():
    P = sc.prepare(sp.csr_array(np.eye(3)))
    with pytest.raises(TypeError, match="they are Prepared and Prepared"):
        sc.matmul(P, P)


@pytest.mark.parametrize("index", [("i8", "i8"), ("i8", "i4")])
def test_what_is_kept_as_csr_comes_back_in_indices_of_its_size(rng, index):
    A = sp.csr_array(rng.integers(0, 3, (6, 5)))
    A.indptr, A.indices = A.indptr.astype(index[0]), A.indices.astype(index[1])
    P = sc.prepare(A, transpose=True)
    for C in (P.tocsr(), P.T.tocsr()):
        assert C.indptr.dtype == C.indices.dtype == np.int32
    np.testing.assert_array_equal(P.tocsr().toarray(), A.toarray())
