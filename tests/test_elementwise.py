"""Element-wise operations and reductions against SciPy and NumPy."""

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse as sp
from oracles import THREADS, random_sparse, sha, tolerance
from test_structure import BF16, assert_canonical, dense, mess

import sparsecore as sc

FLOATS = [np.float32, np.float64, np.complex64, np.complex128]
HALF = [np.float16, BF16]


def pair(rng, m, n, dtype, fmt="csr", density=0.3):
    A, B = random_sparse(rng, m, n, density, dtype, fmt), random_sparse(rng, m, n, density, dtype, fmt)
    if m > 4 and fmt == "csr":      # rows alike, rows apart, a row that cancels
        B = B.tolil() if np.dtype(dtype).kind != "V" and dtype not in HALF else B
        if not sp.issparse(B) or B.format == "lil":
            B[1] = A[[1]].toarray() * 2
            B[2] = -A[[2]].toarray()
            B = B.tocsr()
    return A, B


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 7), (37, 53), (300, 40)])
def test_add_and_multiply_have_the_bits_of_scipy(rng, fmt, dtype, shape):
    A, B = pair(rng, *shape, dtype, fmt)
    for got, want in ((sc.add(A, B), A + B), (sc.multiply(A, B), A.multiply(B)), (sc.add(A, B, beta=-1), A - B)):
        want = want.asformat(fmt)
        want.sum_duplicates()
        assert_canonical(got, fmt, A)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.indptr, want.indptr)
        np.testing.assert_array_equal(got.indices, want.indices)
        np.testing.assert_array_equal(got.data, want.data)
    got = sc.add(A, B, alpha=2, beta=-0.5)
    np.testing.assert_allclose(got.toarray(), 2 * A.toarray() - 0.5 * B.toarray(), rtol=tolerance(dtype))
    assert got.dtype == dtype


@pytest.mark.parametrize("dtype", HALF, ids=lambda d: np.dtype(d).name)
def test_half_precision_is_computed_in_single(rng, dtype):
    A, B = random_sparse(rng, 40, 50, 0.3, dtype), random_sparse(rng, 40, 50, 0.3, dtype)
    X, Y = (dense(M).astype(np.float32) for M in (A, B))
    np.testing.assert_array_equal(dense(sc.add(A, B)), (X + Y).astype(dtype))
    np.testing.assert_array_equal(dense(sc.multiply(A, B)), (X * Y).astype(dtype))
    np.testing.assert_array_equal(dense(sc.multiply(A, Y.astype(dtype))), (X * Y).astype(dtype))
    np.testing.assert_array_equal(dense(sc.diag_scale(A, X[:, 0].astype(dtype))),
                                  (X * X[:, :1].astype(dtype).astype(np.float32)).astype(dtype))
    np.testing.assert_allclose(sc.sum(A, 0).astype(np.float32), X.sum(0).astype(dtype).astype(np.float32), rtol=0.01,
                               atol=1e-3)
    assert sc.norm(A, 1).dtype == dtype


@pytest.mark.parametrize("types", [(np.int32, np.int32), (np.int8, np.float32), (bool, bool), (np.int64, np.uint8),
                                   (np.float32, np.float64), (np.float64, np.complex64), (np.longdouble, np.float64)])
def test_types_promote_as_in_scipy(rng, types):
    A, B = (sp.csr_array(rng.integers(-1 if np.dtype(t).kind not in "bu" else 0, 2, (30, 20)).astype(t)) for t in types)
    for got, want in ((sc.add(A, B), A + B), (sc.multiply(A, B), A.multiply(B)),
                      (sc.multiply(A, B.toarray()), A.multiply(B.toarray()))):
        np.testing.assert_array_equal(got.toarray(), want.toarray())
        assert got.dtype == want.dtype
    assert sc.add(A, B, alpha=0.5).dtype == np.result_type(*types, 0.5)
    for axis in (0, 1, None):
        np.testing.assert_array_equal(sc.sum(A, axis), A.sum(axis=axis))
        np.testing.assert_array_equal(sc.absmax(A, axis), abs(A.toarray()).max(axis=axis))
        np.testing.assert_allclose(sc.mean_var(A, axis)[1].astype(float), A.toarray().astype(float).var(axis=axis))
        np.testing.assert_allclose(sc.norm(A, axis, 1).astype(float), abs(A.toarray().astype(float)).sum(axis=axis))


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_rows_of_every_relation(rng, fmt):
    """Alike, apart, nested, much longer, interleaved, empty: every path of a row, with values that cancel."""
    n = 2000
    rows = []
    for la in (0, 1, 3, 17, 64, 500):
        for lb in (0, 1, 3, 17, 64, 500):
            for kind in range(4):
                a = np.sort(rng.choice(n, la, replace=False))
                b = np.sort(rng.choice(n, lb, replace=False))
                if kind == 1:
                    b = a.copy()
                elif kind == 2:
                    a, b = a // 2, n // 2 + b // 2
                elif kind == 3:
                    a, b = n // 2 + a // 2, b // 2
                rows.append((np.unique(a), np.unique(b)))
    for dtype in FLOATS:
        parts = []
        for side in (0, 1):
            ptr = np.cumsum([0, *(len(r[side]) for r in rows)])
            col = np.concatenate([r[side] for r in rows])
            parts.append(sp.csr_array((rng.integers(-1, 2, len(col)).astype(dtype), col, ptr),
                                      shape=(len(rows), n)).asformat(fmt))
        A, B = parts
        for got, want in ((sc.add(A, B), A + B), (sc.multiply(A, B), A.multiply(B).asformat(fmt))):
            want.sum_duplicates()
            want.eliminate_zeros()
            assert_canonical(got, fmt, A)
            np.testing.assert_array_equal(got.indices, want.indices)
            np.testing.assert_array_equal(got.data, want.data)


def test_nan_and_infinity_go_their_way():
    A = sp.csr_array(np.array([[np.nan, np.inf, 1.0, 0.0]]))
    B = sp.csr_array(np.array([[1.0, -np.inf, 0.0, np.nan]]))
    np.testing.assert_array_equal(sc.add(A, B).toarray(), (A + B).toarray())
    np.testing.assert_array_equal(sc.multiply(A, B).toarray(), A.multiply(B).toarray())
    Z = sp.csr_array(np.array([[complex(np.inf, 0), 1j]]))
    np.testing.assert_array_equal(sc.add(Z, Z).toarray(), (Z + Z).toarray())
    assert np.isnan(sc.absmax(A, None)) and np.isnan(sc.norm(A, 1, np.inf)[0]) and np.isnan(sc.sum(A, 1)[0])
    long = sp.csr_array(np.r_[1.0, np.nan, np.full(60, 2.0)][None])
    assert np.isnan(sc.absmax(long, 1)[0])


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("index", [(np.int32, np.int32), (np.int64, np.int64), (np.int64, np.int32)])
@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int32])
def test_unsorted_and_duplicate_entries_mean_what_scipy_means(rng, fmt, index, dtype):
    A, B = mess(rng, 40, 30, 500, fmt, dtype), mess(rng, 40, 30, 300, "csr", dtype)
    A.indptr, A.indices = A.indptr.astype(index[0]), A.indices.astype(index[1])
    before, X, Y = sha(A, B), A.toarray(), B.toarray()
    v, w = np.arange(1, 41, dtype=dtype), np.arange(1, 31, dtype=dtype)
    for got, want in ((sc.add(A, B), X + Y), (sc.add(B, A, alpha=2), 2 * Y + X), (sc.multiply(A, B), X * Y),
                      (sc.multiply(A, Y), X * Y), (sc.multiply(A, w), X * w),
                      (sc.multiply(A, v[:, None]), X * v[:, None]), (sc.multiply(A, 3), X * 3),
                      (sc.diag_scale(A, v, w), v[:, None] * X * w)):
        assert_canonical(got, got.format, A)
        np.testing.assert_array_equal(got.toarray(), want)
    for axis in (0, 1, None):
        np.testing.assert_allclose(sc.sum(A, axis), X.sum(axis))
        np.testing.assert_allclose(sc.absmax(A, axis), abs(X).max(axis))
        mean, var = sc.mean_var(A, axis)
        np.testing.assert_allclose(mean, X.mean(axis), atol=1e-6)
        np.testing.assert_allclose(var, X.var(axis), rtol=1e-5)
        for ord in (1, 2, np.inf):
            want = np.linalg.norm(X.ravel() if axis is None else X, ord, axis)
            np.testing.assert_allclose(sc.norm(A, axis, ord), want, rtol=1e-5)
    assert sha(A, B) == before


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (37, 53), (300, 40), (1, 1)])
def test_dense_operands_broadcast_as_in_scipy(rng, fmt, dtype, shape):
    A = random_sparse(rng, *shape, 0.3, dtype, fmt)
    m, n = shape
    for other in (3.0, np.float64(2), 1j, np.ones((1, 1)), rng.standard_normal(n), rng.standard_normal((1, n)),
                  rng.standard_normal((m, 1)), rng.standard_normal((m, n)),
                  np.asfortranarray(rng.standard_normal((m, n))), rng.standard_normal((2 * m, n))[::2],
                  rng.integers(-2, 3, (m, n))):
        want = A.toarray() * other
        got = sc.multiply(A, other)
        assert_canonical(got, fmt, A)
        np.testing.assert_allclose(got.toarray(), want, rtol=tolerance(dtype))
        assert got.dtype == want.dtype
    for other in (sp.csr_array(rng.standard_normal((1, n))), sp.csc_array(rng.standard_normal((m, 1)))):
        np.testing.assert_allclose(sc.multiply(A, other).toarray(), A.toarray() * other.toarray(),
                                   rtol=tolerance(dtype))
    if m == 1:
        np.testing.assert_allclose(sc.multiply(A, np.ones((4, n))).toarray(), A.toarray() * np.ones((4, n)))


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (37, 53), (300, 400), (3, 0), (0, 3)])
def test_reductions(rng, fmt, dtype, shape):
    A = random_sparse(rng, *shape, 0.3, dtype, fmt)
    D, tol = A.toarray().astype(np.complex128 if np.dtype(dtype).kind == "c" else np.float64), tolerance(dtype)
    for axis in (0, 1, -1, -2, None):
        got = sc.sum(A, axis)
        np.testing.assert_allclose(got, D.sum(axis), rtol=tol, atol=tol)
        assert got.dtype == dtype
        for ord in (1, 2, np.inf):
            got = sc.norm(A, axis, ord)
            size = D.size if axis is None else D.shape[axis]
            want = {1: abs(D).sum(axis), 2: np.sqrt((abs(D) ** 2).sum(axis)),
                    np.inf: abs(D).max(axis) if size else 0}[ord]
            np.testing.assert_allclose(got, want, rtol=tol, atol=tol)
            assert got.dtype == D.real.astype(np.zeros(0, dtype).real.dtype).dtype
        np.testing.assert_array_equal(sc.absmax(A, axis), sc.norm(A, axis, np.inf))
        if size:
            mean, var = sc.mean_var(A, axis)
            np.testing.assert_allclose(mean, D.mean(axis), rtol=tol, atol=tol)
            np.testing.assert_allclose(var, D.var(axis), rtol=tol, atol=tol)


def test_reductions_of_families_are_arrays(rng):
    A = sp.csr_matrix(random_sparse(rng, 20, 30))
    for axis in (0, 1):
        assert type(sc.sum(A, axis)) is np.ndarray and sc.sum(A, axis).shape == (A.shape[1 - axis],)
    with pytest.raises(ValueError, match="axis must be 0, 1 or None, not 2"):
        sc.sum(A, 2)
    with pytest.raises(TypeError, match="axis must be 0, 1 or None, not str"):
        sc.absmax(A, "rows")
    with pytest.raises(ValueError, match="ord must be 1, 2 or inf, not 3"):
        sc.norm(A, 0, 3)


def test_variance_does_not_cancel():
    """One pass over x and x**2 would lose all digits of a variance beside a mean of 1e8."""
    D = 1e8 + np.arange(10.0)[:, None] * [1, 2]
    np.testing.assert_allclose(sc.mean_var(sp.csr_array(D), 0)[1], D.var(0), rtol=1e-12)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_same_bits_on_any_thread_count(rng, fmt):
    A, B = (random_sparse(rng, 3000, 800, 0.05, np.float32, fmt) for _ in range(2))
    D, v, w = rng.standard_normal(A.shape), rng.standard_normal(3000), rng.standard_normal(800)
    for call in (lambda t: sc.add(A, B, alpha=2, threads=t), lambda t: sc.multiply(A, B, threads=t),
                 lambda t: sc.multiply(A, D, threads=t), lambda t: sc.diag_scale(A, v, w, threads=t),
                 *(lambda t, f=f, a=a: f(A, a, threads=t) for f in (sc.sum, sc.norm, sc.absmax) for a in (0, 1, None)),
                 lambda t: np.stack(sc.mean_var(A, 0, threads=t))):
        assert len({sha(call(t)) for t in THREADS}) == 1


def test_wrong_arguments_name_both_sides(rng):
    A, B = random_sparse(rng, 30, 20), random_sparse(rng, 30, 21)
    for call in (sc.add, lambda X, Y: sc.add(X, Y, alpha=2)):
        with pytest.raises(ValueError, match=r"A has shape \(30, 20\); B has \(30, 21\)"):
            call(A, B)
    with pytest.raises(TypeError, match="B must be a scipy.sparse array or matrix, not ndarray"):
        sc.add(A, A.toarray())
    with pytest.raises(TypeError, match="alpha must be a number, not list"):
        sc.add(A, A, alpha=[1])
    with pytest.raises(ValueError, match=r"left has shape \(20,\); A has 30 rows"):
        sc.diag_scale(A, np.ones(20))
    with pytest.raises(TypeError, match="right must hold numbers"):
        sc.diag_scale(A, None, np.array(["a"] * 20))
    with pytest.raises(ValueError, match=r"B has shape \(4, 20\); A has \(30, 20\)"):
        sc.multiply(A, np.ones((4, 20)))
    with pytest.raises(TypeError, match="one operand must be sparse"):
        sc.multiply(A.toarray(), 3)
    for fmt in ("csr", "csc"):
        C = A.asformat(fmt, copy=True)
        C.indices[5] = -1
        for call in (lambda M: sc.add(M, A), lambda M: sc.add(A, M), lambda M: sc.multiply(M, A),
                     lambda M: sc.sum(M, 0), lambda M: sc.sum(M, 1), lambda M: sc.norm(M, None),
                     lambda M: sc.mean_var(M, 1), lambda M: sc.absmax(M, 0),
                     lambda M: sc.diag_scale(M, np.ones(30)), lambda M: sc.multiply(M, 2),
                     lambda M: sc.multiply(M, M.shape[1] * [1])):
            with pytest.raises(ValueError, match="index -1 at entry 5"):
                call(C)


def test_bfloat16_meets_other_types(rng):
    A = random_sparse(rng, 20, 30, 0.3, BF16)
    B = random_sparse(rng, 20, 30, 0.3, np.float32)
    assert sc.add(A, B).dtype == np.float32
    assert sc.multiply(A, 2).dtype == ml_dtypes.bfloat16


def test_results_of_many_parts_are_packed_in_order(rng):
    """Parts are computed by whoever is free and packed in order: rows of very different lengths, some that vanish,
    and one longer than a part."""
    n = 60_000
    lengths = rng.integers(0, 12, 9000)
    lengths[[5, 4000]] = 20_000
    lengths[100:2000] = 0
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    columns = np.concatenate([np.sort(rng.choice(n, z, replace=False)) for z in lengths])
    A = sp.csr_array((rng.standard_normal(columns.size), columns, indptr), shape=(lengths.size, n))
    B = A.copy()
    B.data = np.where(rng.random(B.nnz) < 0.3, -B.data, B.data)       # a third cancels
    B = sp.csr_array(sp.vstack([B[:3000], B[3001:], B[:1]]))          # later rows are other rows
    for call, want in ((sc.add, A + B), (sc.multiply, A.multiply(B).tocsr())):
        for t in THREADS:
            got = call(A, B, threads=t)
            for part in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(got, part), getattr(want, part))


@pytest.mark.parametrize("dtype", [*FLOATS, np.float16])
@pytest.mark.parametrize("fault", [None, "unsorted", "duplicate"])
@pytest.mark.parametrize("shape", [(200, 40), (40, 300), (10, 9000), (60, 100_000)], ids=str)
def test_short_and_dense_rows_are_merged_as_any_others(rng, shape, dtype, fault):
    """Up to 16 entries a row go by rank, dense rows column by column: with shared columns, zeros of either sign, values
    that cancel, factors, one row out of order, and rows at the very end of both matrices."""
    m, n = shape
    lengths = rng.integers(0, 18, m) if m != 10 else rng.integers(n // 8, n, m)
    if m == 40:
        lengths = rng.integers(20, n, m)
    span = n if m != 60 else 30         # columns of short rows often shared
    parts = []
    for _ in range(2):
        columns = [np.sort(rng.choice(span, min(z, span), replace=False)) * (n // span) for z in lengths]
        indptr = np.cumsum([0, *map(len, columns)])
        rare = 2.5 if np.dtype(dtype).kind == "c" else np.inf
        data = rng.choice([-1.5, -0.0, 0.0, 1.0, 1.5, rare], int(indptr[-1]), p=[0.3, 0.1, 0.1, 0.15, 0.3, 0.05])
        X = sp.csr_array((data.astype(dtype), np.concatenate(columns).astype(np.int32), indptr.astype(np.int32)),
                         shape=shape)
        if fault:
            r = int(np.flatnonzero(np.diff(X.indptr) > 2)[-1])
            p = X.indptr[r]
            X.indices[p:p + 2] = X.indices[p:p + 2][::-1] if fault == "unsorted" else X.indices[p]
        parts.append(X)
    A, B = parts
    with np.errstate(invalid="ignore"):
        X, Y = (dense(M).astype(np.promote_types(dtype, np.float32)) for M in (A, B))
        for alpha, beta in ((1, 1), (1, -1), (2.5, 0.5)):
            want = (alpha * X + beta * Y).astype(dtype)
            for t in (1, 2, 3):
                got = sc.add(A, B, alpha=alpha, beta=beta, threads=t)
                assert_canonical(got, "csr", A)
                np.testing.assert_array_equal(dense(got), want)
                assert np.all(np.asarray(got.data) != 0)
        got = sc.multiply(A, B)
        assert_canonical(got, "csr", A)
        np.testing.assert_array_equal(dense(got), (X * Y).astype(dtype))


@pytest.mark.parametrize("fault", ["unsorted", "duplicate", "beyond", "negative"])
@pytest.mark.parametrize("where", ["A", "B", "both"])
def test_a_sum_finds_by_its_result_what_is_wrong_with_its_terms(rng, fault, where):
    good = sc.from_dense(rng.standard_normal((300, 40)) * (rng.random((300, 40)) < 0.5))
    bad = good.copy()
    p = int(bad.indptr[150])
    assert bad.indptr[151] - p > 2
    if fault == "unsorted":
        bad.indices[p:p + 2] = bad.indices[p:p + 2][::-1]
    else:
        bad.indices[p + 1] = {"duplicate": bad.indices[p], "beyond": 40, "negative": -1}[fault]
    bad = sp.csr_array((bad.data, bad.indices, bad.indptr), shape=bad.shape)
    A, B = (bad if where in (name, "both") else good for name in "AB")
    if fault in ("beyond", "negative"):
        with pytest.raises(ValueError, match="index"):
            sc.add(A, B)
    else:
        got = sc.add(A, B)
        np.testing.assert_allclose(got.toarray(), A.toarray() + B.toarray(), rtol=1e-12)
        assert_canonical(got, "csr", A)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_multiply_by_a_dense_matrix_without_elements(shape):
    got = sc.multiply(sp.csr_array(shape), np.ones(shape))
    assert got.shape == shape and got.nnz == 0


@pytest.mark.parametrize("factor", [np.array([[300]]), np.array([2]), np.int64(2), np.array(2), 2, 2.5])
def test_multiply_of_whole_numbers_by_one_element_keeps_the_type_of_the_element(factor):
    A = sp.csr_array(np.array([[1, 2], [0, 3]], np.int8))
    got, want = sc.multiply(A, factor), A.multiply(factor)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.toarray(), want.toarray())


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.float16, np.int32])
@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_dense_results_go_where_they_are_told(rng, fmt, dtype):
    A = random_sparse(rng, 30, 20, 0.3, dtype, fmt)
    given = np.full((30, 40), 7, dtype)[:, ::2]
    unaligned = np.zeros(1 + given.nbytes, np.uint8)[1:].view(dtype).reshape(30, 20)
    for out in (given, np.full((20, 30), 7, dtype).T, unaligned):
        assert sc.todense(A, out=out) is out
        np.testing.assert_array_equal(out, sc.todense(A))
    for axis, shape in ((0, 20), (1, 30), (None, ())):
        for call in (sc.sum, sc.norm, sc.absmax):
            want = call(A, axis)
            out = np.zeros(shape, want.dtype)
            assert call(A, axis, out=out) is out
            np.testing.assert_array_equal(out, want)
        want = sc.mean_var(A, axis)
        out = [np.zeros(shape, w.dtype) for w in want]
        for got, o, w in zip(sc.mean_var(A, axis, out=out), out, want, strict=True):
            assert got is o
            np.testing.assert_array_equal(o, w)
    for call in (lambda out: sc.todense(A, out=out), lambda out: sc.sum(A, 0, out=out)):
        with pytest.raises(ValueError, match=r"out has shape \(3,\); the result has"):
            call(np.zeros(3))
        with pytest.raises(TypeError, match="out must be a numpy.ndarray, not list"):
            call([])
    with pytest.raises(TypeError, match="out must be a pair"):
        sc.mean_var(A, 0, out=np.zeros(3))


def test_a_factor_that_whole_numbers_cannot_hold_is_refused_not_wrapped(rng):
    A = random_sparse(rng, 8, 9, 0.5, np.int8)
    with pytest.raises(OverflowError, match="300"):
        sc.add(A, A, alpha=300)
    assert sc.add(A, A, alpha=np.int64(300)).dtype == np.int64


def test_duplicates_of_small_whole_numbers_are_summed_in_the_type_of_the_result():
    def small():        # SciPy sums duplicates of its operands in place
        return sp.csr_array((np.full(3, 100, np.int8), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 3))

    ones = np.ones((2, 3), np.int16)
    for B in (sp.csr_array(ones), sp.csc_array(ones)):
        np.testing.assert_array_equal(sc.add(small(), B).toarray(), [[1, 201, 1], [101, 1, 1]])
        np.testing.assert_array_equal(sc.multiply(small(), B).toarray(), [[0, 200, 0], [100, 0, 0]])
        for got in (sc.vstack([small(), B]).toarray()[:2], sc.hstack([small(), B]).toarray()[:, :3]):
            np.testing.assert_array_equal(got, [[0, 200, 0], [100, 0, 0]])
    np.testing.assert_array_equal(sc.multiply(small(), ones).toarray(), [[0, 200, 0], [100, 0, 0]])
    np.testing.assert_array_equal(sc.diag_scale(small(), ones[:, 0]).toarray(), [[0, 200, 0], [100, 0, 0]])
    assert sc.sum(small()) == 300 and sc.sum(small(), 1).tolist() == [200, 100]


@pytest.mark.parametrize("half", [np.dtype(np.float16), BF16])
def test_half_precision_meets_long_double_and_broadcasts(rng, half):
    A = random_sparse(rng, 6, 4, 0.6, half)
    D = sp.csr_array((A.data.astype(np.float64), A.indices, A.indptr), shape=A.shape).toarray()
    long = np.full((6, 4), 2, np.longdouble)
    right, mask = sp.csr_array(D.T.astype(np.longdouble)), sp.csr_array(np.ones((6, 6)))
    for got, want in ((sc.multiply(A, long), 2 * D), (sc.diag_scale(A, long[:, 0]), 2 * D),
                      (sc.add(A, sp.csr_array(long)), D + 2), (sc.masked_matmul(A, right, mask), D @ D.T)):
        assert got.dtype == np.longdouble
        np.testing.assert_allclose(got.toarray().astype(np.float64), want, rtol=1e-12)
    np.testing.assert_allclose(sc.matmul(A, long[:4, :3]).astype(np.float64), D @ np.full((4, 3), 2.0), rtol=1e-12)
    row = sc.take_rows(A, [0])
    got = sc.multiply(A, row)
    assert got.dtype == half
    np.testing.assert_allclose(sc.todense(got).astype(np.float32), D * D[:1], rtol=2e-2, atol=1e-4)


def test_complex_infinity_of_a_type_without_a_kernel_stays_what_it_is():
    A = sp.csr_array(np.array([[np.inf + 0j, 1]], np.clongdouble))
    assert sc.add(A, A).toarray()[0, 0] == np.inf + 0j
