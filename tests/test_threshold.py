"""Magnitude thresholding against a stable sort."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import THREADS, random_sparse
from test_structure import dense, mess

import sparsecore as sc

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None
TYPES = [np.float16, np.float32, np.float64, np.complex64, np.complex128, np.int32]
TYPES += [bfloat16] if bfloat16 else []
PATTERNS = ["normal", "equal", "two", "sorted", "few", "one exponent", "denormal", "zeros", "huge"]


def magnitude(a):
    a = np.abs(a)
    return a.astype(np.float64) if a.dtype.kind in "iu" or a.dtype.name == "bfloat16" else a


def make(rng, shape, dtype, pattern="normal"):
    a = rng.standard_normal(shape)
    if pattern == "equal":
        a = np.where(a > 0, 1.5, -1.5)
    elif pattern == "two":
        a = np.where(a > 0.5, 2.0, -1.0)
    elif pattern == "sorted":
        a = np.sort(a, axis=None).reshape(shape)
    elif pattern == "few":
        a = np.round(a * 2)
    elif pattern == "one exponent":
        a = 1 + rng.random(shape)
    elif pattern == "denormal":
        a = a * (1e-41 if np.dtype(dtype).itemsize == 4 else 1e-310 if np.dtype(dtype) == np.float64 else 1e-7)
    elif pattern == "zeros":
        a = np.where(rng.random(shape) < 0.9, -0.0, a)
    elif pattern == "huge":
        a = np.where(rng.random(shape) < 0.1, np.inf, a)
    if np.dtype(dtype).kind == "c":
        a = a + 1j * np.round(rng.standard_normal(shape))
    if np.dtype(dtype).kind == "i":
        a = np.where(np.isfinite(a), np.round(a * 100), 0)
    with np.errstate(over="ignore"):
        return a.astype(dtype)


def stable(a, k):
    """The k largest by a stable sort: ties to the lowest index."""
    order = np.argsort(-magnitude(a).ravel(), kind="stable")[:k]
    mask = np.zeros(a.size, bool)
    mask[order] = True
    return mask.reshape(a.shape)


def layouts(a):
    yield a
    yield np.asfortranarray(a)
    if a.ndim == 2:
        wide = np.zeros((a.shape[0] * 2, a.shape[1] * 3), a.dtype)
        view = wide[::2, ::3]
        view[...] = a
        yield view
        yield a[::-1, ::-1].copy()[::-1, ::-1]


def same_csr(A, W, mask):
    """A is, byte for byte, the CSR of W where mask."""
    rows, columns = np.nonzero(mask)
    assert sp.issparse(A) and A.format == "csr" and A.shape == W.shape and A.dtype == W.dtype
    np.testing.assert_array_equal(A.indptr, np.concatenate([[0], np.cumsum(mask.sum(axis=1))]))
    np.testing.assert_array_equal(A.indices, columns)
    assert A.data.tobytes() == W[rows, columns].tobytes()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_k_largest_are_those_of_a_stable_sort(rng, dtype, pattern):
    for shape in ((7, 13), (64, 100), (3, 3000)):
        W = make(rng, shape, dtype, pattern)
        for k in (0, 1, 2, W.size // 10, W.size // 2, W.size - 1, W.size):
            want = stable(W, k)
            for w in layouts(W):
                np.testing.assert_array_equal(sc.topk_mask(w, k), want)
                same_csr(sc.topk(w, k), W, want)
                if k:
                    assert sc.kth_magnitude(w, k) == np.sort(magnitude(W), axis=None)[-k]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_k_largest_of_every_slice(rng, dtype, pattern):
    for shape in ((6, 9), (5, 900), (70, 65)):
        W = make(rng, shape, dtype, pattern)
        for axis in (0, 1):
            for k in (0, 1, W.shape[axis] // 2, W.shape[axis]):
                want = np.apply_along_axis(lambda x: stable(x, k), axis, magnitude(W))  # noqa: B023
                for w in layouts(W):
                    np.testing.assert_array_equal(sc.topk_mask(w, k, axis=axis), want)
                    same_csr(sc.topk(w, k, axis=axis - 2), W, want)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_threshold_is_numpys_comparison(rng, dtype, pattern):
    W = make(rng, (40, 130), dtype, pattern)
    for tau in (0, 0.1, 0.5, 1.0, 1.5, 2, 1e-3, np.inf):
        with np.errstate(over="ignore"):
            same_csr(sc.threshold(W, tau), W, np.abs(W) >= tau)
            A = sp.csr_array(W) if W.dtype not in (np.float16, bfloat16) else None
            if A is not None:
                got = sc.threshold(A, tau)
                np.testing.assert_array_equal(got.toarray(), np.where(np.abs(W) >= tau, W, 0))


def test_a_wider_threshold_is_compared_exactly():
    W = np.array([[0.7, -0.1]], np.float32)
    assert sc.threshold(W, 0.7).nnz == 1
    assert sc.threshold(W, np.float64(0.7)).nnz == 0      # float32(0.7) < 0.7
    assert sc.threshold(W, np.float64(0.1)).nnz == 2      # float32(0.1) > 0.1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_shape_type_k_and_ties(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=4).map(tuple))
    W = make(rng, shape, data.draw(st.sampled_from(TYPES)), data.draw(st.sampled_from(PATTERNS)))
    k = data.draw(st.integers(0, W.size))
    threads = data.draw(st.integers(1, 8))
    np.testing.assert_array_equal(sc.topk_mask(W, k, threads=threads), stable(W, k))
    cut = sorted(data.draw(st.lists(st.integers(0, W.size), max_size=3)))
    layers = np.split(W.ravel(), cut)
    got = sc.topk_mask(layers, k, threads=threads)
    np.testing.assert_array_equal(np.concatenate(got), stable(W.ravel(), k))
    if k:
        want = np.sort(magnitude(W), axis=None)[-k]
        assert sc.kth_magnitude(W, k, threads=threads) == sc.kth_magnitude(layers, k) == want


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_groups(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=3).map(tuple))
    W = make(rng, shape, data.draw(st.sampled_from(TYPES)), data.draw(st.sampled_from(PATTERNS)))
    group = data.draw(st.sampled_from([1, 2, 4, 8, 16, 3, 5, 40, 100]))
    keep = data.draw(st.integers(0, group))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    got = sc.nm_mask(W, keep=keep, group=group, axis=axis, threads=data.draw(st.integers(1, 4)))

    def one(x):
        parts = [x[i : i + group] for i in range(0, len(x), group)]
        return np.concatenate([stable(p, -(-keep * len(p) // group)) for p in parts])

    np.testing.assert_array_equal(got, np.apply_along_axis(one, axis, magnitude(W)))


def test_blocks(rng):
    S = np.round(rng.standard_normal((10, 13)) * 4)
    sums = np.zeros((4, 4))
    for i in range(10):
        for j in range(13):
            sums[i // 3, j // 4] += abs(S[i, j])
    for k in range(17):
        chosen = stable(sums, k)
        want = np.repeat(np.repeat(chosen, 3, axis=0)[:10], 4, axis=1)[:, :13]
        np.testing.assert_array_equal(sc.block_mask(S, (3, 4), k), want)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_sparse_input(rng, fmt, dtype):
    A = random_sparse(rng, 30, 41, 0.2, dtype=dtype, fmt="csr")
    A.data = np.round(A.data * 2) / 2
    D, A = A.toarray(), A.asformat(fmt)
    before = A.copy()
    for k in (0, 1, 50, A.nnz, 600, D.size):
        mask = sc.topk_mask(A, k)
        np.testing.assert_array_equal(mask.toarray(), stable(D, k))
        assert mask.dtype == bool and mask.nnz == k
        if k:
            assert sc.kth_magnitude(A, k) == np.sort(np.abs(D), axis=None)[-k]
        if k <= np.count_nonzero(D):
            got = sc.topk(A, k)
            assert got.nnz == k
            np.testing.assert_array_equal(got.toarray(), np.where(stable(D, k), D, 0))
    for axis in (0, 1):
        want = np.apply_along_axis(lambda x: stable(x, 3), axis, np.abs(D))
        np.testing.assert_array_equal(sc.topk_mask(A, 3, axis=axis).toarray(), want)
        np.testing.assert_array_equal(sc.topk(A, 3, axis=axis).toarray(), np.where(want, D, 0))
    assert (abs(A - before)).nnz == 0


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int8, bool, np.float16, bfloat16])
@pytest.mark.parametrize("m, n", [(70, 40), (4, 900), (1, 1), (5, 0), (0, 5)])
def test_the_k_largest_of_sparse_rows_and_columns_with_stored_zeros(rng, m, n, dtype):
    """Rows of every length, in one pass each time: a loop over the rows took 10 s for 100,000 of them."""
    stored = rng.random((m, n)) < rng.random((m, 1)) ** 2
    D = np.where(stored, np.abs(rng.integers(-2, 3, (m, n))), 0).astype(dtype)
    A = sp.csr_array((m, n))
    A.indptr, A.indices = np.r_[0, np.cumsum(stored.sum(axis=1))], np.nonzero(stored)[1]
    A.data = D[stored]
    for axis in (0, 1):
        for k in {0, min(1, D.shape[axis]), D.shape[axis] // 3, D.shape[axis]}:
            want = np.zeros((m, n), bool)
            if D.size:
                want = np.apply_along_axis(lambda x: stable(x, k), axis, magnitude(D) + 0.0)  # noqa: B023
            mask = sc.topk_mask(A, k, axis=axis)
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask.toarray(), want)
            same_csr(sc.topk(A, k, axis=axis), D, want & stored)


def test_a_nan_in_a_sparse_matrix_is_named_where_it_is_whatever_the_axis():
    A = sp.csr_array(np.array([[0, 1.0, 0], [0, 0, np.nan]]))
    for axis in (0, 1):
        for call, name in ((sc.topk, "W"), (sc.topk_mask, "S")):
            with pytest.raises(ValueError, match=rf"{name} is NaN at \(1, 2\)"):
                call(A, 1, axis=axis)


def test_apply_mask(rng):
    for dtype in (np.float32, np.complex128, np.int8, np.float16):
        W = make(rng, (30, 77), dtype) if dtype != np.int8 else rng.integers(-9, 9, (30, 77)).astype(dtype)
        mask = rng.random((30, 77)) < 0.3
        for w in layouts(W):
            same_csr(sc.apply_mask(w, mask), W, mask)
        same_csr(sc.apply_mask(W, sp.csr_array(mask)), W, mask)
    A = random_sparse(rng, 30, 41, 0.2)
    mask = rng.random((30, 41)) < 0.5
    for m in (mask, sp.csr_array(mask)):
        np.testing.assert_array_equal(sc.apply_mask(A, m).toarray(), A.toarray() * mask)
    with pytest.raises(ValueError, match=r"mask has shape \(3, 4\); W has shape \(30, 41\)"):
        sc.apply_mask(A, np.ones((3, 4), bool))


@pytest.mark.parametrize("dtype", [t for t in TYPES if np.dtype(t).kind != "i"])
def test_nan_is_an_error_that_names_its_place(rng, dtype):
    W = make(rng, (20, 30), dtype)
    W[7, 11] = W[9, 2] = np.nan
    for w in layouts(W):
        for call in (lambda: sc.kth_magnitude(w, 5), lambda: sc.topk_mask(w, 5), lambda: sc.topk_mask(w, 0),  # noqa: B023
                     lambda: sc.topk(w, 600), lambda: sc.topk_mask(w, 3, axis=1), lambda: sc.topk(w, 0),  # noqa: B023
                     lambda: sc.threshold(w, 0.5), lambda: sc.nm_mask(w, keep=2, group=4),  # noqa: B023
                     lambda: sc.block_mask(w, (2, 2), 3)):  # noqa: B023
            with pytest.raises(ValueError, match=r"is NaN at \(7, 11\)"):
                call()
    with pytest.raises(ValueError, match=r"W\[1\] is NaN at \(7, 11\)"):
        sc.kth_magnitude([W[:3], W], 5)


def test_wrong_arguments_name_both_sides(rng):
    W = rng.standard_normal((4, 6))
    with pytest.raises(ValueError, match="k is 25; it must be within 0..24"):
        sc.topk_mask(W, 25)
    with pytest.raises(ValueError, match="k is 0; it must be within 1..24"):
        sc.kth_magnitude(W, 0)
    with pytest.raises(ValueError, match="k is 7; it must be within 0..6"):
        sc.topk(W, 7, axis=1)
    with pytest.raises(ValueError, match="axis is 2; the array has 2 dimensions"):
        sc.topk_mask(W, 1, axis=2)
    with pytest.raises(ValueError, match="keep is 5; it must be within 0..4"):
        sc.nm_mask(W, keep=5, group=4)
    with pytest.raises(ValueError, match="tau is NaN"):
        sc.threshold(W, np.nan)
    with pytest.raises(TypeError, match="W must hold real, complex or integer numbers"):
        sc.kth_magnitude(W.astype(object), 1)


def large():
    """Arrays on the path of samples and brackets, with every pattern."""
    rng = np.random.default_rng(5)
    for dtype in (np.float16, np.float32, np.float64):
        for pattern in PATTERNS:
            yield make(rng, (151, 1003), dtype, pattern)
        # Long runs of one value: a sample of neighbours knows less than it thinks, and its bracket misses.
        yield np.roll(np.repeat(make(rng, 151, dtype), 1003), 500).reshape(151, 1003)


@pytest.mark.parametrize("isa", ["base", "avx2", "avx512"])
def test_every_instruction_set_and_thread_count(isa, tmp_path):
    code = "import test_threshold as t; t.check_large()"
    env = dict(os.environ, SPARSECORE_ISA=isa, PYTHONPATH=os.pathsep.join([os.path.dirname(__file__), *sys.path]))
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path)
    if "not available" in run.stderr:
        pytest.skip(f"this processor does not run {isa}")
    assert run.returncode == 0, run.stderr


def check_large():
    for W in large():
        order = np.argsort(-np.abs(W), axis=None, kind="stable")
        rows = np.argsort(-np.abs(W), axis=1, kind="stable")
        for i, k in enumerate((1, 17, W.size // 10, W.size // 2, W.size - 5)):
            want = np.zeros(W.size, bool)
            want[order[:k]] = True
            want = want.reshape(W.shape)
            for threads in (THREADS if i == 2 else (2,)):
                assert sc.kth_magnitude(W, k, threads=threads) == np.abs(W).flat[order[k - 1]]
                assert (sc.topk_mask(W, k, threads=threads) == want).all()
                same_csr(sc.topk(W, k, threads=threads), W, want)
            assert (sc.topk_mask(np.asfortranarray(W), k) == want).all()
            layers = sc.topk_mask([W[:60], W[60:61, :7], W[60:61, 7:], W[61:].ravel()], k, threads=1 + i)
            assert (np.concatenate([m.ravel() for m in layers]) == want.ravel()).all()
        want = np.zeros(W.shape, bool)
        np.put_along_axis(want, rows[:, :100], True, axis=1)
        same_csr(sc.topk(W, 100, axis=1, threads=3), W, want)
        assert (sc.topk_mask(W.T, 100, axis=0, threads=2).T == want).all()
        same_csr(sc.threshold(W, 0.5, threads=2), W, np.abs(W) >= 0.5)
        groups = W[:, :1000].reshape(151, 250, 4)
        want = np.zeros(groups.shape, bool)
        np.put_along_axis(want, np.argsort(-np.abs(groups), axis=2, kind="stable")[..., :2], True, axis=2)
        assert (sc.nm_mask(W[:, :1000], keep=2, group=4) == want.reshape(151, 1000)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.2])
def test_one_frequent_magnitude_among_many(rng, dtype, share):
    """More elements of one magnitude than a mask in one read has room for, near the k-th, at it, and below."""
    W = rng.random((1000, 2003)).astype(dtype)
    W[rng.random(W.shape) < share] = -np.sort(W, axis=None)[W.size // 2]
    order = np.argsort(-np.abs(W), axis=None, kind="stable")
    for k in (W.size // 2 - int(W.size * share / 2), W.size // 2, W.size // 10):
        want = np.zeros(W.size, bool)
        want[order[:k]] = True
        for threads in (1, 3):
            np.testing.assert_array_equal(sc.topk_mask(W, k, threads=threads).ravel(), want)
        masks = sc.topk_mask([W[:1, :7], np.empty((0, 4), dtype), W[:1, 7:], W[1:500, :], W[500:]], k)
        np.testing.assert_array_equal(np.concatenate([m.ravel() for m in masks]), want)


def test_a_mask_reads_rows_with_gaps_in_place(rng):
    wide = rng.standard_normal((700, 300)).astype(np.float32)
    W = wide[:, 5:252]
    for k in (1, 1000, W.size // 2, W.size):
        np.testing.assert_array_equal(sc.topk_mask(W, k), stable(W, k))
        np.testing.assert_array_equal(sc.topk_mask(W[::-1], k), stable(W[::-1], k))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_nan_in_a_large_array_is_named(rng, dtype):
    W = make(rng, (300, 1003), dtype)
    W[211, 17] = W[299, 3] = np.nan
    for call in (lambda: sc.topk_mask(W, 5), lambda: sc.topk_mask(W, W.size // 2), lambda: sc.kth_magnitude(W, W.size),
                 lambda: sc.topk(W, 10), lambda: sc.topk_mask(W, 10, axis=1), lambda: sc.threshold(W, 1)):
        with pytest.raises(ValueError, match=r"is NaN at \(211, 17\)"):
            call()
    with pytest.raises(ValueError, match=r"S\[1\] is NaN at \(200, 17\)"):
        sc.topk_mask([W[:11], W[11:]], 7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_long_slices_are_searched_in_parts(rng, dtype):
    W = make(rng, (3, (1 << 20) + 77), dtype, "few")
    for k in (0, 1000, W.shape[1] // 3):
        want = np.stack([stable(row, k) for row in W])
        for threads in (1, 3):
            assert (sc.topk_mask(W, k, axis=1, threads=threads) == want).all()
        assert (sc.topk_mask(np.ascontiguousarray(W.T), k, axis=0) == want.T).all()
        for w in (W, np.asfortranarray(W)):
            same_csr(sc.topk(w, k, axis=1), W, want)
    W[1, 1 << 20] = np.nan
    for call in (lambda: sc.topk_mask(W, 5, axis=1), lambda: sc.topk(W, 0, axis=1)):
        with pytest.raises(ValueError, match=r"is NaN at \(1, 1048576\)"):
            call()


def test_a_mapped_file_is_read_in_place(rng, tmp_path):
    W = np.memmap(tmp_path / "weights", np.float32, "w+", shape=(1000, 5003))
    W[:] = rng.standard_normal(W.shape, np.float32)
    W.flush()
    W = np.memmap(tmp_path / "weights", np.float32, "r", shape=(1000, 5003))
    k, order = 50_000, np.sort(np.abs(W), axis=None)
    tracemalloc.start()
    try:
        kth = sc.kth_magnitude([W, W.T[::-1]], 2 * k)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        mask = sc.topk_mask(W, k)
        assert tracemalloc.get_traced_memory()[1] < W.size + 100_000
    finally:
        tracemalloc.stop()
    assert kth == order[-k] and mask.sum() == k and np.abs(W[mask]).min() == order[-k]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_moduli_are_not_a_copy_of_the_input(rng, dtype):
    """The moduli of all of W were an array of half its size; now they are made where they are compared."""
    W = make(rng, (1000, 2003), dtype)
    A, k = sp.csr_array(W), W.size // 10
    tracemalloc.start()
    try:
        kth = sc.kth_magnitude([W, W.T, W[::-1, ::2]], k)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        mask = sc.topk_mask(W, k)
        assert tracemalloc.get_traced_memory()[1] < W.size + 100_000
    finally:
        tracemalloc.stop()
    every = np.concatenate([np.abs(w).ravel() for w in (W, W, W[::-1, ::2])])
    assert kth == np.sort(every)[-k] and kth.dtype == every.dtype
    np.testing.assert_array_equal(mask, stable(W, k))
    same_csr(sc.topk(W, k), W, mask)
    assert sc.kth_magnitude(A, k) == np.sort(np.abs(W), axis=None)[-k]


def test_infinity_with_a_part_that_is_nan_is_infinite():
    """|inf + nan i| is infinite, for NumPy and here: no NaN to name."""
    W = np.array([[1, complex(np.inf, np.nan), 2]], np.complex64)
    assert sc.kth_magnitude(W, 1) == np.inf and sc.topk_mask(W, 1).tolist() == [[False, True, False]]


def test_blocks_of_complex_values_are_compared_by_modulus():
    S = np.array([[1, 0, 3j, 0], [0, 0, 0, 0]])
    assert sc.block_mask(S, (2, 2), 1).tolist() == [[False, False, True, True]] * 2


@pytest.mark.parametrize("group,keep", [(513, 100), (2000, 1999), (5000, 1), (150_000, 40_000)])
def test_wide_groups_and_long_slices(rng, group, keep):
    """Groups of which 64 would not fit the scratch of a thread, and slices that do not fit themselves."""
    W = np.round(rng.standard_normal((2, 200_003)) * 50).astype(np.float32)
    for w in (W, np.asfortranarray(W), W[:, ::-1], np.repeat(W, 3, axis=1)[:, ::3]):
        want = np.concatenate([np.stack([stable(row[c : c + group], -(-keep * min(group, row.size - c) // group))
                                         for row in w]) for c in range(0, w.shape[1], group)], axis=1)
        np.testing.assert_array_equal(sc.nm_mask(w, keep=keep, group=group), want)
        np.testing.assert_array_equal(sc.nm_mask(w.T, keep=keep, group=group, axis=0, threads=3), want.T)
    want = np.stack([stable(row, 70_000) for row in W])
    np.testing.assert_array_equal(sc.topk_mask(np.asfortranarray(W), 70_000, axis=1), want)
    same_csr(sc.topk(W, 70_000, axis=1), W, want)
    W[1, 150_001] = np.nan
    for call in (lambda: sc.nm_mask(W, keep=keep, group=group), lambda: sc.topk_mask(W, 70_000, axis=1)):
        with pytest.raises(ValueError, match=r"is NaN at \(1, 150001\)"):
            call()


# ---- storage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 3), (37, 53), (20, 64), (40, 1000)])
def test_bitmask_goes_to_and_from_and_multiplies(rng, dtype, shape):
    W = make(rng, shape, dtype, "few" if dtype == np.float16 else "normal")
    W[rng.random(shape) < 0.6] = 0
    B = sc.Bitmask.from_dense(W)
    same_csr(B.tocsr(), W, W != 0)
    np.testing.assert_array_equal(B.todense(), W)
    if dtype != np.float16:
        A = sp.csr_array(W)
        C = sc.Bitmask.from_csr(A)
        assert (C.words == B.words).all() and (C.data == B.data).all() and (C.indptr == B.indptr).all()
    for n in (None, 1, 5, 40):
        X = rng.standard_normal((shape[1],) + (() if n is None else (n,))).astype(np.float32).astype(dtype)
        want = sc.matmul(B.tocsr(), X)
        for threads in (1, 2, 3):
            got = sc.matmul(B, X, threads=threads)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-2 if dtype == np.float16 else 1e-5, atol=1e-4)
        np.testing.assert_array_equal(sc.matmul(B, np.asfortranarray(X)), sc.matmul(B, X))
    Y = np.ones((2, shape[0]), dtype)
    np.testing.assert_allclose(Y @ B, sc.matmul(Y, B.tocsr()))


@pytest.mark.parametrize("keep,group", [(2, 4), (1, 4), (4, 8), (1, 2), (3, 5), (5, 16), (7, 40)])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 3), (30, 64), (37, 53), (20, 1003)])
def test_nm_goes_to_and_from_and_multiplies(rng, keep, group, shape):
    for dtype in (np.float32, np.float64):
        W = make(rng, shape, dtype)
        mask = sc.nm_mask(W, keep=keep, group=group)
        S = sc.NM.from_dense(W, keep=keep, group=group)
        same_csr(S.tocsr(), W, mask)
        X = rng.standard_normal((shape[1], 6)).astype(dtype)
        np.testing.assert_allclose(sc.matmul(S, X), np.where(mask, W, 0) @ X, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(S @ X[:, 0], np.where(mask, W, 0) @ X[:, 0], rtol=1e-4, atol=1e-4)
        again = sc.NM.from_csr(sp.csr_array(np.where(mask, W, 0)), keep=keep, group=group)
        assert (again.positions == S.positions).all() and (again.data == S.data).all()
        if mask.size > 100 and keep < group:
            with pytest.raises(ValueError, match="more than"):
                sc.NM.from_csr(sp.csr_array(W), keep=keep, group=group)


def test_nm_in_float32_takes_2_125_bytes():
    assert sc.NM.from_dense(np.ones((8, 64), np.float32), keep=2, group=4).nbytes == 2.125 * 8 * 64


def test_wrong_storage_is_an_error():
    B = sc.Bitmask.from_dense(np.eye(5))
    with pytest.raises(ValueError, match="x has length 4; A has 5 columns"):
        B @ np.zeros(4)
    with pytest.raises(ValueError, match=r"words has shape \(5, 1\); 6 x 5 elements need \(6, 1\)"):
        sc.Bitmask((6, 5), B.words, B.indptr, B.data)
    for indptr in ([0, 2, 2, 3, 4, 5], [0, 1, 2, 3, 4, 9], [0, -1, 2, 3, 4, 5], [0, 7, 2, 3, 4, 5]):
        with pytest.raises(ValueError, match="indptr does not rise"):
            sc.Bitmask((5, 5), B.words, indptr, B.data) @ np.zeros(5)
    S = sc.NM.from_dense(np.ones((2, 6)), keep=2, group=4)
    with pytest.raises(ValueError, match="data has 5 values; 2 rows of 6 columns keep 6"):
        sc.NM((2, 6), 2, 4, S.positions, S.data[:5])
    with pytest.raises(ValueError, match="outside the matrix"):
        sc.NM((2, 6), 2, 4, np.full_like(S.positions, 255), S.data) @ np.zeros(6)


def test_half_precision_columns_are_taken_as_rows(rng):
    W = make(rng, (9, 14), np.float16)
    columns = sc.transpose(sc.from_dense(np.ascontiguousarray(W.T)))
    for A in (columns, sc.from_dense(np.ascontiguousarray(W.T)).T):
        assert sc.kth_magnitude(A, 20) == np.sort(np.abs(W), axis=None)[-20]
        assert (sc.topk_mask(A, 20).toarray() == stable(W, 20)).all()


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [d for d in TYPES if np.dtype(d).itemsize == 2])
def test_half_precision_stays_where_rows_are_sorted_summed_or_turned(rng, fmt, dtype):
    A = mess(rng, 23, 17, 120, fmt, dtype, np.int64)
    D = dense(A)
    for got in (sc.threshold(A, 2), sc.topk(A, 40), sc.topk(A, 3, axis=0), sc.apply_mask(A, D != 0)):
        assert got.dtype == dtype and got.indices.dtype == got.indptr.dtype == np.int32
    np.testing.assert_array_equal(dense(sc.threshold(A, 2)), np.where(magnitude(D) >= 2, D, 0))
    np.testing.assert_array_equal(sc.nm_mask(A, keep=2, group=4), sc.nm_mask(D, keep=2, group=4))
    np.testing.assert_array_equal(sc.block_mask(A, (2, 3), 5), sc.block_mask(D, (2, 3), 5))
    np.testing.assert_array_equal(sc.Bitmask.from_csr(A).todense(), D)
    np.testing.assert_array_equal(sc.NM.from_csr(A, keep=4, group=4).todense(), D)
