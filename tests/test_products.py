"""sparse @ dense against NumPy, and the properties every product keeps."""

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse as sp
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


@pytest.mark.parametrize("spoil", ["index", "negative", "falls", "ends late", "begins late", "short data", "column"])
@pytest.mark.parametrize("columns", [None, 3])
def test_the_short_way_refuses_what_the_long_way_refuses(rng, spoil, columns):
    A = random_sparse(rng, 12, 9, 0.4)
    X = np.ones((9,) if columns is None else (9, columns))
    if spoil == "index":
        A.indices[3] = 9
    elif spoil == "negative":
        A.indices[3] = -1
    elif spoil == "falls":
        A.indptr[4] = A.indptr[-1] + 3
    elif spoil == "ends late":
        A.indptr[-1] += 1
    elif spoil == "begins late":
        A.indptr[0] = 1
    elif spoil == "short data":
        A.data = A.data[:-1]
    elif spoil == "column":
        A.indptr = A.indptr[:-1]
    said = []
    for threads in (None, 1):       # None may take the short way, a given number does not
        with pytest.raises(ValueError) as error:
            sc.matmul(A, X, threads=threads)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("widths", [(np.int32, np.int32), (np.int64, np.int64), (np.int64, np.int32)])
def test_the_short_way_gives_the_bits_of_the_long_way(rng, fmt, dtype, widths):
    A = random_sparse(rng, 20, 30, 0.3, dtype=dtype, fmt=fmt)
    A.indptr, A.indices = A.indptr.astype(widths[0]), A.indices.astype(widths[1])
    for shape in ((30,), (30, 1), (30, 5)):
        X = rng.standard_normal(shape).astype(dtype)
        short, general = sc.matmul(A, X), sc.matmul(A, X, threads=1)
        assert type(short) is np.ndarray and short.dtype == general.dtype == dtype
        assert sha(short) == sha(general)


@pytest.mark.parametrize("stored", [np.int8, np.int16, np.uint16, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("dense", [np.float32, np.float64, np.int16, np.complex64])
def test_integer_values_are_promoted_as_numpy_does(rng, stored, dense):
    A = random_sparse(rng, 30, 20)
    A.data = rng.integers(0, 2, A.nnz).astype(stored)
    X = rng.integers(-3, 3, (20, 4)).astype(dense)
    got = sc.matmul(A, X)
    assert got.dtype == (A @ X).dtype
    np.testing.assert_allclose(got, A.toarray() @ X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_wide_panels_of_a_matrix_with_long_rows(rng, fmt, dtype):
    A = random_sparse(rng, 700, 600, 0.3, dtype=dtype, fmt=fmt)
    X = rng.standard_normal((600, 523)).astype(dtype)
    results = [sc.matmul(A, X, threads=t) for t in (1, 2, 5)] + [sc.matmul(A, np.asfortranarray(X), threads=2)]
    for got in results:
        np.testing.assert_allclose(got, A.toarray() @ X, rtol=tolerance(dtype, 600), atol=tolerance(dtype, 600))
    assert len({sha(got) for got in results[:3]}) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_transposed_products_of_many_long_rows_are_read_in_blocks_and_checked(rng, dtype):
    """More than 4 MB in rows of more than 32 entries, of lengths that are no multiples of a block."""
    A = random_sparse(rng, 9000, 1000, 0.08, dtype=dtype)
    X = rng.standard_normal((9000, 60)).astype(np.float32 if dtype == np.float16 else dtype)
    want = sp.csr_array((A.data.astype(np.float64), A.indices, A.indptr), shape=A.shape).T @ X
    for columns in (2, 3, 8, 16, 29, 60):
        results = [sc.matmul(A.T, X[:, :columns], threads=t) for t in (1, 2, 5)]
        np.testing.assert_allclose(results[0], want[:, :columns], rtol=1e-3, atol=tolerance(X.dtype, 9000))
        assert len({sha(got) for got in results}) == 1
    for entry in (A.nnz // 2, A.nnz - 1):
        for wrong in (1000, -1):
            right, A.indices[entry] = A.indices[entry], wrong
            with pytest.raises(ValueError, match="is not one of 0 <= index < 1000"):
                sc.matmul(A.T, X[:, :8])
            A.indices[entry] = right


@pytest.mark.parametrize("columns", [64, 75, 96])
def test_results_beyond_the_caches_are_written_whole(rng, columns):
    """C of more than 32 MB goes past the caches where its rows are whole lines, also as a part of a wider array."""
    A = sp.random_array((60_000, 40), density=0.05, format="csr", dtype=np.float64, random_state=rng)
    X = rng.standard_normal((40, columns))
    want = A @ X
    once = sc.matmul(A, X, threads=1)
    np.testing.assert_allclose(once, want, atol=1e-12)
    assert np.array_equal(sc.matmul(A, X, threads=3), once)
    wide = np.full((60_000, 104), 7.0)
    sc.matmul(A, X, out=wide[:, 4:4 + columns])
    np.testing.assert_allclose(wide[:, 4:4 + columns], want, atol=1e-12)
    assert (wide[:, :4] == 7).all() and (wide[:, 4 + columns:] == 7).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("columns", [None, 1, 8, 100])
def test_transposed_products_with_many_private_outputs_fill_any_out(rng, dtype, columns):
    A = random_sparse(rng, 3000, 60, 0.3, dtype=dtype).T        # 54,000 entries, 60 rows of the result
    shape = () if columns is None else (columns,)
    X = rng.standard_normal((3000, *shape)).astype(dtype)
    results = [sc.matmul(A, X, threads=t) for t in (1, 2, 5)]
    if columns:
        for layout in (np.zeros((60, 2 * columns), dtype)[:, :columns], np.zeros((columns, 60), dtype).T):
            assert sc.matmul(A, X, out=layout, threads=2) is layout
            results.append(np.ascontiguousarray(layout))
    np.testing.assert_allclose(results[0], A.toarray() @ X, rtol=1e-3, atol=tolerance(dtype, 3000))
    assert len({sha(got) for got in results}) == 1


@pytest.mark.parametrize("shape, strides", [((40,), (0,)), ((40, 5), (8, 8)), ((40, 5), (0, 8)), ((40, 5), (8, 0))])
@pytest.mark.parametrize("prepared", [False, True])
def test_out_that_overlaps_itself_is_refused(rng, shape, strides, prepared):
    A = random_sparse(rng, 40, 30)
    out = np.lib.stride_tricks.as_strided(np.zeros(200), shape, strides)
    with pytest.raises(ValueError, match="out overlaps itself"):
        sc.matmul(sc.prepare(A) if prepared else A, np.ones((30, *shape[1:])), out=out)


def test_out_of_any_ordinary_slice_is_taken(rng):
    A, X = random_sparse(rng, 40, 30), rng.standard_normal((30, 5))
    for out in (np.empty((80, 15))[::2, ::3], np.empty((15, 80)).T[::-2, ::-3], np.empty((40, 2, 5))[:, 1],
                np.empty((5, 40, 2))[..., 0].T):
        np.testing.assert_array_equal(sc.matmul(A, X, out=out), sc.matmul(A, X))


def band(rows, cols, reach, dtype, rng):
    """Five entries a row within `reach` of the diagonal, unsorted."""
    diagonal = np.arange(rows) * cols // rows
    columns = (diagonal[:, None] + rng.integers(-reach, reach + 1, (rows, 5))).clip(0, cols - 1)
    data = rng.standard_normal(columns.size).astype(dtype)
    return sp.csr_array((data, columns.ravel().astype(np.int32), np.arange(0, columns.size + 1, 5)), shape=(rows, cols))


@pytest.mark.parametrize("shape, dtype, columns, reach", [
    ((550_000, 530_000), np.float64, None, 10), ((530_000, 550_000), np.complex64, None, 5000),
    ((1_100_000, 1_060_000), np.float32, None, 30), ((70_000, 75_000), np.float64, 7, 40),
    ((40_000, 35_000), np.float32, 33, 1000), ((30_000, 33_000), np.complex128, 8, 3)])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_transposed_products_of_bands_of_any_reach(rng, shape, dtype, columns, reach, index):
    A = band(*shape, reach, dtype, rng)
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    X = rng.standard_normal(shape[:1] + ((columns,) if columns else ())).astype(dtype)
    got = sc.matmul(A.T, X, threads=2)
    assert np.linalg.norm(got - A.T @ X) <= 1e-5 * np.linalg.norm(got)
    for threads in (1, 3):
        np.testing.assert_array_equal(sc.matmul(A.T, X, threads=threads), got)


@pytest.mark.parametrize("columns", [None, 8])
@pytest.mark.parametrize("row", [1, 77_777, 599_999])
def test_a_band_with_one_entry_far_away_is_multiplied_like_any_matrix(rng, columns, row):
    """The sample that tells bands from others does not see it."""
    A = band(600_000, 600_000, 20, np.float64, rng)
    A.indices[5 * row + 2] = 300_000 if row != 300_000 else 0
    X = rng.standard_normal(A.shape[:1] + ((columns,) if columns else ()))
    got = sc.matmul(A.T, X, threads=2)
    assert np.linalg.norm(got - A.T @ X) <= 1e-12 * np.linalg.norm(got)
    np.testing.assert_array_equal(sc.matmul(A.T, X, threads=3), got)


@pytest.mark.parametrize("columns", [None, 8])
@pytest.mark.parametrize("wrong", [-1, 600_000])
def test_a_band_with_a_wrong_index_is_refused(rng, columns, wrong):
    A = band(600_000, 600_000, 20, np.float64, rng)
    A.indices[1_234_567] = wrong
    with pytest.raises(ValueError, match=f"index {wrong} at entry 1234567"):
        sc.matmul(A.T, np.ones(A.shape[:1] + ((columns,) if columns else ())), threads=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns, order", [(130, "C"), (256, "C"), (200, "F")])
def test_transposed_products_in_strips_fill_any_out(rng, dtype, columns, order):
    A = band(4000, 3000, 30, dtype, rng)
    X = np.asarray(rng.standard_normal((4000, columns)), dtype, order=order)
    out = np.full((3000, columns + 3), np.nan, dtype)[:, :columns]
    sc.matmul(A.T, X, out=out, threads=2)
    assert np.linalg.norm(out - A.T @ X) <= 1e-5 * np.linalg.norm(out)
    np.testing.assert_array_equal(sc.matmul(A.T, X, threads=3), out)


def test_transposed_products_through_a_copy_of_the_matrix(rng):
    A = sp.random_array((90_000, 70_000), density=3e-5, format="csr", random_state=rng)
    X = rng.standard_normal((90_000, 130))
    got = sc.matmul(A.T, X, threads=2)
    assert np.linalg.norm(got - A.T @ X) <= 1e-12 * np.linalg.norm(got)
    np.testing.assert_array_equal(sc.matmul(A.T, X, threads=3), got)
    A.indices[1000] = 70_000
    with pytest.raises(ValueError, match="index 70000 at entry 1000"):
        sc.matmul(A.T, X, threads=2)


@pytest.mark.parametrize("index", [(np.int32, np.int32), (np.int64, np.int64), (np.int64, np.int32)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "f2"])
def test_more_threads_than_private_outputs_share_columns(dtype, index):
    """From four threads on an output's columns are shared out; every entry is added once, in the order of the rows."""
    rng = np.random.default_rng(5)
    m, n, z = 40_000, 50_000, 7
    lengths = rng.integers(0, 2 * z, m)
    lengths[100] = 20_000                       # more than a thread takes at once
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    columns = rng.integers(0, n, indptr[-1])    # not sorted, with duplicates
    values = rng.standard_normal(indptr[-1]).astype("f4" if dtype == "f2" else dtype)
    A = sp.csr_array((values, columns, indptr), shape=(m, n))
    A.indptr, A.indices = A.indptr.astype(index[0]), A.indices.astype(index[1])
    A.data = A.data.astype(dtype)
    acc = "f4" if dtype == "f2" else dtype
    operands = [rng.standard_normal((m, *more)).astype(acc) for more in ((), (3,), (8,))]
    calls = [lambda t, X=X: sc.matmul(A.T, X, threads=t) for X in operands]
    if dtype != "f2":
        calls += [lambda t: sc.sum(A, 0, threads=t)]
    if dtype in ("f4", "f8"):
        calls += [lambda t: np.stack(sc.mean_var(A, 0, threads=t)), lambda t: sc.absmax(A, 0, threads=t)]
    for call in calls:
        one = call(1)
        for t in (2, 4, 5, 16):
            assert call(t).tobytes() == one.tobytes()
    dense = sp.csr_array((values, columns, indptr), shape=(m, n)).T @ np.ones(m)
    assert np.allclose(sc.matmul(A.T, np.ones(m, acc), threads=16), dense, atol=1e-2 if dtype == "f2" else 1e-3)
    for wrong in (-1, n):
        A.indices[123_456] = wrong
        for t in (1, 16):
            for call in calls:
                with pytest.raises(ValueError, match="column"):
                    call(t)
    A.indices[123_456] = 0
    A.indptr[20_000] = 0
    for t in (1, 16):
        for call in calls:
            with pytest.raises(ValueError, match="indptr"):
                call(t)


def test_entries_of_a_matrix_without_columns_are_refused_though_pointers_rise_and_fall():
    """The first part of the rows begins and ends at no entry, so what is between must be looked at by itself."""
    indptr = np.zeros(140_001, np.int32)
    indptr[1], indptr[-1] = 5, 10
    A = sp.csr_array((140_000, 0))
    A.indptr, A.indices, A.data = indptr, np.arange(10, dtype=np.int32) * 10**8, np.ones(10)
    for X in (np.ones(0), np.ones((0, 3))):
        with pytest.raises(ValueError):
            sc.matmul(A, X)


def test_errors_of_dense_times_sparse_name_the_sides_as_they_were_given(rng):
    A, X = random_sparse(rng, 6, 4, 0.5), np.ones((2, 6))
    for B in (A, sc.prepare(A), sc.Bitmask.from_csr(A), A.astype(int)):
        with pytest.raises(ValueError, match=r"out has shape \(4, 2\); the result has \(2, 4\)"):
            sc.matmul(X, B, out=np.ones((4, 2)))
        with pytest.raises(TypeError, match="out must be a numpy.ndarray, not list"):
            sc.matmul(X, B, out=[[1.0]])
        with pytest.raises(ValueError, match="A has 5 columns; B has 6 rows"):
            sc.matmul(np.ones((2, 5)), B)
        with pytest.raises(ValueError, match="A has 5 columns; B has 6 rows"):
            sc.matmul(np.ones(5), B)


def test_an_out_beside_the_input_in_one_array_is_taken(rng):
    A = random_sparse(rng, 12, 12, 0.4)
    both = np.zeros((12, 10))
    both[:, :5] = rng.standard_normal((12, 5))
    want = sc.matmul(A, both[:, :5].copy())
    sc.matmul(A, both[:, :5], out=both[:, 5:])
    np.testing.assert_array_equal(both[:, 5:], want)
    with pytest.raises(ValueError, match="out overlaps an input"):
        sc.matmul(A, both[:, :5], out=both[:, 4:9])


def test_dense_times_bitmask_and_groups(rng):
    W = rng.standard_normal((6, 8))
    for S in (sc.Bitmask.from_dense(W), sc.NM.from_dense(W, keep=2, group=4)):
        for X in (rng.standard_normal((3, 6)), rng.standard_normal(6), random_sparse(rng, 3, 6, 0.5)):
            got = sc.matmul(X, S)
            np.testing.assert_allclose(got.toarray() if sp.issparse(got) else got, X @ S.todense(), atol=1e-12)
        with pytest.raises(TypeError, match=f"they are {type(S).__name__} and {type(S).__name__}"):
            sc.matmul(S, S)


@pytest.mark.parametrize("other, want", [("float16", "float32"), ("int64", "float64"), ("int8", "bfloat16")])
def test_bfloat16_meets_types_with_which_numpy_has_none_in_common(rng, other, want):
    A = random_sparse(rng, 20, 30, 0.3, np.dtype(ml_dtypes.bfloat16))
    D = A.data.astype(np.float64)
    D = sp.csr_array((D, A.indices, A.indptr), shape=A.shape).toarray()
    X = np.ones((30, 3), other)
    for got in (sc.matmul(A, X), sc.matmul(X.T, A.T).T, sc.matmul(sc.prepare(A), X), sc.matmul(A, sc.from_dense(X))):
        assert got.dtype == want
        if sp.issparse(got):
            got = got.astype(np.float64).toarray() if want != "bfloat16" else sc.todense(got)
        np.testing.assert_allclose(got.astype(np.float64), D @ X, atol=0.06)
    assert sc.add(A, sc.from_dense(np.ones((20, 30), other))).dtype == want
