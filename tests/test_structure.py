"""Structure against SciPy and NumPy: values, order, canonical form, memory, types and widths."""

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse as sp
from oracles import THREADS, random_sparse, sha

import sparsecore as sc
from sparsecore import _args

BF16 = np.dtype(ml_dtypes.bfloat16)
TYPES = [np.float32, np.float64, np.complex64, np.complex128, np.float16, BF16, np.int32, np.int64, np.int8, bool,
         np.uint16, np.longdouble, np.clongdouble]
SHAPES = [(0, 5), (5, 0), (0, 0), (1, 7), (7, 1), (37, 53), (300, 40)]


def dense(A):
    """toarray for every type: duplicates add up in their stored order."""
    if A.dtype.name in ("float16", "bfloat16"):
        D = np.zeros(A.shape, np.float32)
        major = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
        at = (major, A.indices) if A.format == "csr" else (A.indices, major)
        np.add.at(D, at, A.data.astype(np.float32))
        return D.astype(A.dtype)
    return A.toarray()


def assert_canonical(A, fmt, like=None):
    assert A.format == fmt
    assert isinstance(A, sp.spmatrix) == isinstance(like, sp.spmatrix)
    assert A.indptr[0] == 0 and A.indptr[-1] == len(A.indices) == len(A.data)
    assert A.indices.dtype == A.indptr.dtype == np.int32
    major = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
    key = major * max(1, A.shape[fmt == "csr"]) + A.indices
    assert np.all(np.diff(key) > 0)
    assert A.has_sorted_indices and A.has_canonical_format
    for part in (A.indptr, A.indices, A.data):
        if like is not None and sp.issparse(like) and hasattr(like, "indptr"):
            assert not any(np.shares_memory(part, other) for other in (like.indptr, like.indices, like.data))


def mess(rng, m, n, nnz, fmt="csr", dtype=np.float64, index=np.int32):
    """An unsorted matrix with duplicates, explicit zeros and empty rows."""
    rows, cols = rng.integers(0, m, nnz), rng.integers(0, n, nnz)
    rows[rows == m // 2] = 0
    A = sp.coo_array((rng.integers(-3, 4, nnz), (rows, cols)), shape=(m, n))
    shape = A.shape if fmt == "csr" else A.shape[::-1]
    major, minor = (rows, cols) if fmt == "csr" else (cols, rows)
    order = np.argsort(major, kind="stable")
    cls = sp.csr_array if fmt == "csr" else sp.csc_array
    B = cls((m, n))
    B.indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=shape[0]))]).astype(index)
    B.indices, B.data = minor[order].astype(index), A.data[order].astype(dtype)
    return B


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", TYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", SHAPES)
def test_transpose_and_conversions_of_every_type(rng, fmt, dtype, shape):
    A = random_sparse(rng, *shape, dtype=np.float64, fmt=fmt)
    A.data = (4 * A.data).astype(dtype)
    D = dense(A)
    for result, form, want in ((sc.transpose(A), fmt, D.T), (sc.tocsr(A), "csr", D), (sc.tocsc(A), "csc", D)):
        assert_canonical(result, form, A)
        assert result.dtype == dtype and result.shape == want.shape and result.nnz == A.nnz
        np.testing.assert_array_equal(dense(result), want)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("index", [(np.int32, np.int32), (np.int64, np.int64), (np.int64, np.int32)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.complex64])
def test_unsorted_and_duplicate_entries_mean_what_scipy_means(rng, fmt, index, dtype):
    A = mess(rng, 40, 30, 500, fmt, dtype)
    A.indptr, A.indices = A.indptr.astype(index[0]), A.indices.astype(index[1])
    before, D = sha(A), dense(A)
    for result, form, want in (
        (sc.transpose(A), fmt, D.T), (sc.tocsr(A), "csr", D), (sc.tocsc(A), "csc", D), (sc.sum_duplicates(A), fmt, D),
        (sc.take_rows(A, [3, -1, 3, 0]), fmt, D[[3, -1, 3, 0]]),
        (sc.take_cols(A, [29, 2, 2, -30]), fmt, D[:, [29, 2, 2, -30]]),
        (sc.vstack([A, A]), fmt, np.vstack([D, D])), (sc.hstack([A, A, A]), fmt, np.hstack([D, D, D])),
    ):
        assert_canonical(result, form, A)
        np.testing.assert_array_equal(dense(result), want)
    for order in "CF":
        got = sc.todense(A, order=order)
        np.testing.assert_array_equal(got, D)
        assert got.flags[f"{order}_CONTIGUOUS"]
    assert sha(A) == before


def test_large_matrices_of_every_kind_are_transposed_by_the_same_rule(rng):
    n = 60000
    banded = sp.diags_array([np.arange(1.0, n + 1)] * 5, offsets=[-40, -1, 0, 1, 40], shape=(n, n), format="csr")
    scattered = sp.random_array((n, n), density=300_000 / n**2, random_state=rng, format="csr")
    scattered.sort_indices()
    skewed = sp.coo_array((np.ones(200_000), (rng.integers(0, n, 200_000), rng.zipf(1.3, 200_000) % n))).tocsr()
    wide = sp.csr_array((scattered.data, scattered.indices, scattered.indptr[::30]), shape=(n // 30, n)).copy()
    wide.sum_duplicates()
    for A in (banded, scattered, skewed, wide):
        for dtype in (np.float16, np.float32, np.float64, np.complex128):
            B = sp.csr_array(A.shape)
            B.indptr, B.indices, B.data = A.indptr, A.indices, A.data.astype(dtype)
            want = A.tocsc()
            got = sc.tocsc(B)
            np.testing.assert_array_equal(got.indptr, want.indptr)
            np.testing.assert_array_equal(got.indices, want.indices)
            np.testing.assert_array_equal(got.data, want.data.astype(dtype))
        for index in ((np.int64, np.int64), (np.int64, np.int32)):
            B.indptr, B.indices = A.indptr.astype(index[0]), A.indices.astype(index[1])
            assert sha(sc.tocsc(B)) == sha(got)
        assert len({sha(sc.tocsc(A, threads=t)) for t in THREADS}) == 1


@pytest.mark.parametrize("index", [np.int32, np.int64, np.uint16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128, np.float16, BF16, np.int64,
                                   bool], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("nnz", [0, 1, 50, 3000, 200_000])
def test_from_coo_sums_duplicates_in_the_order_of_the_input(rng, index, dtype, nnz):
    m, n = 500, 700
    row, col = rng.integers(0, m, nnz), rng.integers(0, n, nnz)
    data = rng.integers(1, 4, nnz).astype(dtype)
    got = sc.from_coo((data, (row.astype(index), col.astype(index))), (m, n))
    assert_canonical(got, "csr")
    assert got.dtype == dtype
    if dtype is bool:
        want = sp.coo_array((data, (row, col)), shape=(m, n)).toarray()
    else:
        want = np.zeros((m, n), np.complex128)
        np.add.at(want, (row, col), data.astype(np.complex128))
    np.testing.assert_array_equal(got.toarray() if got.dtype.name not in ("float16", "bfloat16") else dense(got), want)


def test_from_coo_adds_left_to_right():
    data = np.array([1e16, 1.0, -1e16, 1.0])
    at = np.zeros(4, int)
    for t in THREADS:
        assert sc.from_coo((data, (at, at)), (1, 1), threads=t).data[0] == ((1e16 + 1.0) + -1e16) + 1.0


@pytest.mark.parametrize("shape", [(1, 1 << 45), (3, 1 << 62), (1 << 20, 5), (200_000, 1 << 33)])
def test_from_coo_of_extreme_shapes(shape):
    rng = np.random.default_rng(5)  # of its own: these draws repeat no place
    row, col = rng.integers(0, shape[0], 2000), rng.integers(0, shape[1], 2000)
    data = rng.standard_normal(2000)
    got = sc.from_coo((data, (row, col)), shape)
    order = np.lexsort((col, row))
    assert got.nnz == 2000 and got.shape == shape
    np.testing.assert_array_equal(got.indices, col[order])
    np.testing.assert_array_equal(got.data, data[order])
    again = sc.tocsr(got)
    np.testing.assert_array_equal(again.indices, got.indices)


def test_from_coo_same_bits_on_any_thread_count(rng):
    row, col = rng.integers(0, 3000, 400_000), rng.integers(0, 100, 400_000)
    data = rng.standard_normal(400_000).astype(np.float32)
    assert len({sha(sc.from_coo((data, (row, col)), (3000, 100), threads=t)) for t in THREADS}) == 1


def test_from_coo_refuses_what_is_no_matrix():
    ones = np.ones(3)
    with pytest.raises(ValueError, match="row holds 5 at entry 2; the shape has 5 rows"):
        sc.from_coo((ones, ([0, 1, 5], [0, 0, 0])), (5, 5))
    with pytest.raises(ValueError, match="col holds -1 at entry 0; the shape has 5 columns"):
        sc.from_coo((ones, ([0, 1, 2], [-1, 0, 0])), (5, 5))
    with pytest.raises(ValueError, match="data has 3 entries, row has 2 and col 3"):
        sc.from_coo((ones, ([0, 1], [0, 0, 0])), (5, 5))
    with pytest.raises(TypeError, match="row must hold integers"):
        sc.from_coo((ones, ([0.0, 1, 2], [0, 0, 0])), (5, 5))
    with pytest.raises(TypeError, match=r"entries must be \(data, \(row, col\)\)"):
        sc.from_coo(3)
    with pytest.raises(ValueError, match="number of rows is -1"):
        sc.from_coo((ones, ([0, 1, 2], [0, 0, 0])), (-1, 5))
    with pytest.raises(ValueError, match="an empty matrix needs a shape"):
        sc.from_coo(([], ([], [])))
    assert sc.from_coo((ones, ([0, 1, 2], [0, 4, 0]))).shape == (3, 5)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed"])
def test_from_dense_and_back(rng, dtype, order):
    W = rng.integers(-1, 2, (40, 60)).astype(dtype)
    W = {"C": W, "F": np.asfortranarray(W), "strided": np.repeat(np.repeat(W, 2, 0), 3, 1)[::2, ::3],
         "reversed": W[::-1, ::-1]}[order]
    A = sc.from_dense(W)
    assert A.dtype == dtype and A.nnz == np.count_nonzero(W)
    np.testing.assert_array_equal(dense(A), W)
    np.testing.assert_array_equal(sc.todense(A), W)


def test_from_dense_keeps_nan_and_drops_negative_zero():
    A = sc.from_dense(np.array([[np.nan, -0.0, np.inf], [0, 0, 1e-320]]))
    np.testing.assert_array_equal(A.indices, [0, 2, 2])
    for shape in ((0, 3), (3, 0)):
        assert sc.from_dense(np.zeros(shape)).shape == shape
    with pytest.raises(ValueError, match="W must have 2 dimensions; it has 1"):
        sc.from_dense(np.zeros(3))
    with pytest.raises(TypeError, match="W must hold numbers"):
        sc.from_dense(np.array([["a"]]))


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [np.float64, np.int8, np.clongdouble, BF16], ids=lambda d: np.dtype(d).name)
def test_take_rows_and_columns(rng, fmt, dtype):
    A = random_sparse(rng, 50, 40, 0.3, fmt=fmt)
    A.data = (4 * A.data).astype(dtype)
    D = dense(A)
    for which in ([], [0], [39, 0, 39, 5, -1], np.arange(40), np.arange(40)[::-1], rng.integers(0, 40, 200),
                  np.arange(40, dtype=np.uint8)):
        assert_canonical(sc.take_rows(A, which), fmt, A)
        np.testing.assert_array_equal(dense(sc.take_rows(A, which)), D[np.asarray(which, int)])
        np.testing.assert_array_equal(dense(sc.take_cols(A, which)), D[:, np.asarray(which, int)])
    mask = rng.random(50) < 0.5
    np.testing.assert_array_equal(dense(sc.take_rows(A, mask)), D[mask])
    with pytest.raises(ValueError, match="rows holds 50 at place 1; A has 50 rows"):
        sc.take_rows(A, [0, 50])
    with pytest.raises(ValueError, match="columns holds -41 at place 0; A has 40 columns"):
        sc.take_cols(A, [-41])
    with pytest.raises(ValueError, match="the mask has length 3; A has 40 columns"):
        sc.take_cols(A, [True, False, True])
    with pytest.raises(TypeError, match="rows must hold integers"):
        sc.take_rows(A, [0.5])


@pytest.mark.parametrize("formats", [("csr", "csr"), ("csc", "csc"), ("csr", "csc"), ("coo", "csr")])
@pytest.mark.parametrize("types", [(np.float32, np.float32), (np.float32, np.complex64), (np.int8, np.int64),
                                   (np.clongdouble, np.float64), (np.float16, np.float32)])
def test_stacking_promotes_and_keeps_the_format(rng, formats, types):
    blocks = []
    for shape, dtype, fmt in (((20, 30), types[0], formats[0]), ((7, 30), types[1], formats[1]),
                              ((20, 5), types[1], formats[1])):
        M = random_sparse(rng, *shape, 0.3, fmt=fmt if fmt != "coo" and dtype is np.float16 else "csr")
        M.data = np.round(4 * M.data)
        M = M if dtype is np.float16 else M.astype(dtype).asformat(fmt)
        M.data = M.data.astype(dtype)
        blocks.append(M)
    X, Y, Z = blocks
    form = "csc" if X.format == Y.format == "csc" else "csr"
    got = sc.vstack([X, Y])
    assert_canonical(got, form)
    assert got.dtype == np.result_type(*types)
    np.testing.assert_array_equal(dense(got), np.vstack([dense(X), dense(Y)]))
    got = sc.hstack([X, Z, X])
    assert_canonical(got, form)
    np.testing.assert_array_equal(dense(got), np.hstack([dense(X), dense(Z), dense(X)]))


def test_stacking_refuses_what_does_not_fit(rng):
    A, B = random_sparse(rng, 3, 4), random_sparse(rng, 3, 5)
    with pytest.raises(ValueError, match="vstack: block 1 has 5 columns; block 0 has 4"):
        sc.vstack([A, B])
    with pytest.raises(ValueError, match="hstack: block 1 has 4 rows; block 0 has 3"):
        sc.hstack([A, B.T[:4]])
    with pytest.raises(ValueError, match="nothing to stack"):
        sc.vstack([])
    with pytest.raises(TypeError, match="block 0 must be a scipy.sparse"):
        sc.vstack([np.zeros((2, 2))])
    huge = sp.csr_array((1, np.iinfo(np.int64).max // 2))
    with pytest.raises(OverflowError):
        sc.hstack([huge] * 4)


def test_index_widths_follow_the_size_of_the_result():
    """Columns beyond 2**31 widen; 64-bit indices that fit are narrowed, and one that only fits when cut is refused."""
    A = sp.csr_array((np.ones(2), np.array([0, 2**30]), np.array([0, 2])), shape=(1, 2**30 + 1))
    assert sc.hstack([A]).indices.dtype == np.int32
    wide = sc.hstack([A, A, A])
    assert wide.indices.dtype == wide.indptr.dtype == np.int64
    np.testing.assert_array_equal(wide.indices, [0, 2**30, 2**30 + 1, 2**31 + 1, 2**31 + 2, 3 * 2**30 + 2])
    assert sc.take_cols(wide, [0, 3 * 2**30 + 2]).indices.dtype == np.int32
    B = sp.csr_array((3, 4))
    B.indptr, B.indices, B.data = np.array([0, 1, 1, 1]), np.array([2**32 + 1]), np.ones(1)
    for call in (sc.transpose, sc.tocsr, sc.tocsc, sc.validate, lambda M: sc.take_rows(M, [0]), sc.todense,
                 lambda M: sc.vstack([M, M]), lambda M: sc.hstack([M, M])):
        with pytest.raises(ValueError, match="index 4294967297 at entry 0"):
            call(B)


def test_families_and_other_formats(rng):
    A = random_sparse(rng, 20, 30)
    for fmt in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia"):
        for cls in ("array", "matrix"):
            B = getattr(sp, f"{fmt}_{cls}")(A)
            for got in (sc.tocsr(B), sc.tocsc(B), sc.transpose(B)):
                assert isinstance(got, sp.spmatrix) == (cls == "matrix")
            np.testing.assert_array_equal(sc.tocsr(B).toarray(), A.toarray())
            np.testing.assert_array_equal(sc.transpose(B).toarray(), A.toarray().T)
    with pytest.raises(TypeError, match="A must be a scipy.sparse array or matrix, not ndarray"):
        sc.transpose(A.toarray())
    B = A.tocoo()
    B.coords[0][3] = 20
    with pytest.raises(ValueError, match="row holds 20 at entry 3; the shape has 20 rows"):
        sc.tocsr(B)


def test_long_rows_are_sorted_stably(rng):
    col = rng.integers(0, 1000, 50_000).astype(np.int32)
    A = sp.csr_array((1, 1000))
    A.indptr, A.indices, A.data = np.array([0, 50_000], np.int32), col, rng.standard_normal(50_000)
    got = sc.sum_duplicates(A)
    want = np.zeros(1000)
    np.add.at(want, col, A.data)
    np.testing.assert_array_equal(got.data, want[got.indices])
    assert len({sha(sc.sum_duplicates(A, threads=t)) for t in THREADS}) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_short_rows_are_sorted_stably(rng, dtype, index):
    """Rows of 0 to 69 entries, with columns that repeat: ranks are taken up to 32, runs are merged beyond."""
    lengths = np.tile(np.arange(70), 6)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    A = sp.csr_array((lengths.size, 20))
    A.indptr, A.indices = indptr.astype(index), rng.integers(0, 20, indptr[-1]).astype(index)
    A.data = rng.integers(-8, 9, indptr[-1]).astype(dtype)
    want = sp.csr_array((lengths.size, 20))
    order = np.lexsort((A.indices, np.repeat(np.arange(lengths.size), lengths)))
    want.indptr, want.indices, want.data = A.indptr, A.indices[order], A.data[order]
    got = sc.sum_duplicates(A)
    np.testing.assert_array_equal(sc.todense(got), sc.todense(want))
    row = np.repeat(np.arange(lengths.size), lengths)
    shuffled = rng.permutation(indptr[-1])
    B = sc.from_coo((np.arange(indptr[-1])[shuffled].astype(np.float64),
                     (row[shuffled].astype(index), np.arange(indptr[-1])[shuffled].astype(index))),
                    (lengths.size, int(indptr[-1])))
    np.testing.assert_array_equal(B.indices, np.arange(indptr[-1]))
    np.testing.assert_array_equal(B.data, np.arange(indptr[-1]))


def test_columns_at_the_ends_of_their_type_are_refused_before_rows_are_looked_at():
    """The samples that choose a way to transpose subtracted and scaled them: undefined in C."""
    n = 1 << 18
    A = sp.csr_array((np.ones(8 * n), np.tile(np.arange(8), n), np.arange(0, 8 * n + 1, 8)), shape=(n, 5000))
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    A.indices[0::8], A.indices[7::8] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    with pytest.raises(ValueError, match="column"):
        sc.transpose(A)


@pytest.mark.parametrize("cls", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix, sc.csr_array, sc.csc_array])
def test_results_hold_all_that_the_constructor_of_their_class_sets(cls):
    theirs = cls(np.array([[0, 1.0, 2], [3, 0, 0]]))
    ours = _args.wrap(cls, (np.int64(2), 3), theirs.indptr, theirs.indices, theirs.data)
    assert type(ours) is cls and ours.shape == (2, 3) and type(ours.shape[0]) is int
    assert set(vars(theirs)) <= set(vars(ours))
    assert (ours.toarray() == theirs.toarray()).all() and ours.has_canonical_format
    assert (ours.T.tocsr() + theirs.T.tocsr() != 2 * theirs.T).nnz == 0
    assert _args.wrap(cls, (0, 4), np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0)).shape == (0, 4)


def test_from_dense_of_whole_numbers_in_the_other_byte_order():
    W = np.array([[0, 3], [1, 0]], ">i4")
    C = sc.from_dense(W)
    assert C.dtype == np.int32
    np.testing.assert_array_equal(C.toarray(), W)


def test_validate_names_the_column_of_a_wrong_index_of_a_csc():
    A = sp.csc_array(np.ones((6, 4)))
    A.indices[8] = 99
    with pytest.raises(ValueError, match=r"index 99 at entry 8 \(column 1\) is not one of 0 <= index < 6"):
        sc.validate(A)
    with pytest.raises(ValueError, match=r"entry 8 \(row 1; of a CSC, column 1\) is not one of 0 <= index < 6"):
        sc.matmul(A, np.ones(4))
    A.indptr[2] = 99
    with pytest.raises(ValueError, match="first wrong at column 1, with 24 entries in all"):
        sc.validate(A)
