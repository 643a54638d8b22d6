"""The drop-in arrays behave as SciPy's, on kernels where there is one."""

import copy
import operator
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import random_sparse

import sparsecore as sc

DROP_IN = {"csr": sc.csr_array, "csc": sc.csc_array}
TYPES = [np.float32, np.float64, np.complex128, np.int32, np.int64, bool]
PAIRS = {"@": operator.matmul, "+": operator.add, "-": operator.sub, "*": operator.mul}


def pair(rng, fmt, dtype):
    plain = random_sparse(rng, 30, 30, 0.2, np.float64, fmt)
    plain.data = (plain.data * 4).astype(dtype)
    return plain, DROP_IN[fmt](plain)


def same(ours, theirs):
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    if sp.issparse(theirs):
        assert ours.format == theirs.format
        ours, theirs = ours.toarray(), theirs.toarray()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", DROP_IN)
def test_operators_give_scipys_values_types_and_formats(rng, fmt, dtype):
    plain, ours = pair(rng, fmt, dtype)
    other, x, X = random_sparse(rng, 30, 30, 0.2), rng.standard_normal(30), rng.standard_normal((30, 3))
    for name, op in PAIRS.items():
        if name == "-" and dtype is bool:
            continue
        result = op(ours, other)
        same(result, op(plain, other))
        assert type(result) in DROP_IN.values(), name
    for dense in (x, X):
        same(ours @ dense, plain @ dense)
        same(dense.T @ ours, dense.T @ plain)
        same(ours.T @ dense, plain.T @ dense)
    same(ours.dot(X), plain.dot(X))
    same(2 * ours, 2 * plain)
    same(ours * x, plain * x)
    same(ours.tocsr(), plain.tocsr())
    same(ours.tocsc(), plain.tocsc())
    same(ours[3:7], plain[3:7])
    np.testing.assert_array_equal(ours.toarray(order="F"), plain.toarray())
    for axis in (None, 0, 1, -1):
        np.testing.assert_allclose(ours.sum(axis=axis), plain.sum(axis=axis), rtol=1e-5, atol=1e-5)


def test_operators_run_on_the_kernels_where_there_is_one(rng, monkeypatch):
    called = []

    def counted(name, real):
        return lambda *a, **k: called.append(name) or real(*a, **k)

    for name in ("matmul", "add", "multiply", "tocsr", "tocsc", "todense", "sum"):
        monkeypatch.setattr(sc.arrays.ops, name, counted(name, getattr(sc.arrays.ops, name)))
    A, B = (sc.csr_array(random_sparse(rng, 9, 9)) for _ in range(2))
    A @ np.ones(9), np.ones(9) @ A, A @ B, A + B, A - B, A * B, A.tocsc(), A.T.tocsr(), A.toarray(), A.sum(axis=0)
    assert called == ["matmul"] * 3 + ["add"] * 2 + ["multiply", "tocsc", "tocsr", "todense", "sum"]
    called.clear()
    whole = A.astype(np.int64)      # no kernel for integers: SciPy's, once
    whole @ whole, whole + whole, whole.tocsc(), whole.sum(axis=1)
    assert called == []


def test_derived_arrays_stay_drop_ins(rng):
    A = sc.csr_array(random_sparse(rng, 20, 10))
    kinds = [A.T, A.tocsc(), A.T.tocsr(), A[2:5], A.copy(), A.astype(np.float32), abs(A), A + A, A @ A.T, -A,
             copy.deepcopy(A), pickle.loads(pickle.dumps(A)), A.tocoo().tocsr()]
    for B in kinds[:-1]:
        assert isinstance(B, (sc.csr_array, sc.csc_array)), type(B)
    assert A.T.data is A.data or np.shares_memory(A.T.data, A.data)


def test_accelerate_keeps_the_buffers(rng):
    for plain in (random_sparse(rng, 9, 7), random_sparse(rng, 9, 7, fmt="csc"), sp.csr_matrix(np.eye(3))):
        A = sc.accelerate(plain)
        assert isinstance(A, DROP_IN[plain.format]) and A.data is plain.data and A.indices is plain.indices
        assert sc.accelerate(A) is A
    assert isinstance(sc.accelerate(sp.coo_array(np.eye(3))), sc.csr_array)
    with pytest.raises(TypeError, match="A must be a scipy.sparse array or matrix, not ndarray"):
        sc.accelerate(np.eye(3))


def test_unsorted_and_duplicate_entries_are_kept_in_mind(rng):
    plain = sp.csr_array((np.arange(1.0, 5.0), np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3))
    A = sc.accelerate(plain)
    assert not A.has_canonical_format
    np.testing.assert_array_equal((A + A).toarray(), 2 * plain.toarray())
    np.testing.assert_array_equal(A @ np.ones(3), plain @ np.ones(3))


def test_shapes_that_do_not_fit_are_refused_as_by_scipy(rng):
    A = sc.csr_array(random_sparse(rng, 5, 4))
    for call in (lambda: A @ np.ones(5), lambda: A @ A, lambda: np.ones(4) @ A):
        with pytest.raises(ValueError, match="4|5"):
            call()
    with pytest.raises(ValueError):
        A + A.T
    with pytest.raises(ValueError):
        A @ 2.0


def test_scikit_learn_takes_them(rng):
    linear_model = pytest.importorskip("sklearn.linear_model")
    A, y = random_sparse(rng, 60, 12, 0.4), rng.standard_normal(60)
    fit = [linear_model.Ridge(solver="sparse_cg", tol=1e-10).fit(X, y).coef_ for X in (A, sc.csr_array(A))]
    np.testing.assert_allclose(fit[1], fit[0], rtol=1e-6)


def test_a_malformed_integer_matrix_is_refused_before_scipy_follows_its_indices():
    """SciPy's C wrote wherever the indices pointed: the process ended."""
    plain = sp.csr_array(np.eye(4, dtype=int))
    A = sc.accelerate(plain)
    plain.indices[2] = 10**8       # the same buffer
    for call in (lambda: A @ np.ones(4, int), lambda: np.ones(4, int) @ A, lambda: A @ A, lambda: A + A, lambda: A * A,
                 A.tocsc, A.toarray, lambda: A.sum(axis=0), lambda: sc.accelerate(plain), lambda: sc.csr_array(plain),
                 lambda: sc.csr_array((plain.data, plain.indices, plain.indptr), (4, 4))):
        with pytest.raises(ValueError, match="index 100000000 at entry 2"):
            call()


def test_accelerate_leaves_behind_what_lies_after_the_last_entry():
    """SciPy picks columns by all the indices there are: one behind the end was followed out of the matrix."""
    plain = sp.csr_array(np.eye(4, dtype=int))
    plain.indices, plain.data = np.append(plain.indices, 10**8), np.append(plain.data, 1)
    A = sc.accelerate(plain)
    assert A.indices.size == A.data.size == 4 and np.shares_memory(A.data, plain.data)
    np.testing.assert_array_equal(A[:, [3, 0, 0]].toarray(), np.eye(4, dtype=int)[:, [3, 0, 0]])


def test_the_order_of_dense_copies_is_scipys(rng):
    A = sp.csr_array(np.eye(3, 4))
    for own, other in ((sc.csr_array(A), A), (sc.csc_array(A), A.tocsc())):
        for order in (None, "C", "F"):
            assert own.toarray(order=order).flags.f_contiguous == other.toarray(order=order).flags.f_contiguous
        with pytest.raises(ValueError, match="order"):
            own.toarray(order="K")
