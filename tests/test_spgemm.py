"""Products of two sparse matrices against SciPy and NumPy, and the properties they keep."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import THREADS, random_sparse, sha, tolerance
from test_structure import assert_canonical, mess

import sparsecore as sc

TYPES = [np.float32, np.float64, np.complex64, np.complex128]


def canonical(C):
    """Sorted, no duplicates: read from the buffers, not from the flags."""
    for r in range(C.indptr.shape[0] - 1):
        row = C.indices[C.indptr[r]:C.indptr[r + 1]]
        assert (np.diff(row) > 0).all()
    return True


def same_as_scipy(got, A, B):
    want = (A @ B).asformat(got.format)
    want.sum_duplicates()
    assert type(got) is type(want) and got.shape == want.shape and got.dtype == want.dtype
    assert canonical(got)
    np.testing.assert_array_equal(got.indptr, want.indptr)
    np.testing.assert_array_equal(got.indices, want.indices)
    if got.dtype.kind == "c":    # SciPy's compiler may fuse complex multiply-adds
        tol = tolerance(got.dtype)
        np.testing.assert_allclose(got.data, want.data, rtol=tol, atol=tol)
    else:
        np.testing.assert_array_equal(got.data, want.data)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (4, 3, 0), (1, 7, 1), (37, 53, 29), (300, 40, 500)])
def test_product_has_scipys_bits(rng, fmt, dtype, index, shape):
    m, k, n = shape
    for density in (0.03, 0.3):
        A = random_sparse(rng, m, k, density, dtype, fmt, index)
        B = random_sparse(rng, k, n, density, dtype, fmt, index)
        same_as_scipy(sc.matmul(A, B), A, B)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("make", ["short rows far apart", "long rows far apart", "long rows very far apart", "band",
                                  "dense rows", "one per row"])
def test_every_class_of_rows(rng, dtype, make):
    n = 200_000 if make == "long rows very far apart" else 20_000
    if make == "short rows far apart":
        A = sp.random_array((n, n), density=6 / n, format="csr", random_state=rng)
    elif make == "long rows far apart":
        A = sp.random_array((30, n), density=700 / n, format="csr", random_state=rng)
    elif make == "long rows very far apart":
        A = sp.random_array((10, n), density=900 / n, format="csr", random_state=rng)
    elif make == "band":
        A = sp.diags_array([1.0, 2, 3, 4, 5], offsets=[-70, -1, 0, 1, 70], shape=(n, n)).tocsr()
    elif make == "dense rows":
        A = sp.random_array((200, 200), density=0.4, format="csr", random_state=rng)
    else:
        A = sp.csr_array((np.arange(1.0, n + 1), (np.arange(n), rng.permutation(n))), shape=(n, n))
    B = A if A.shape[0] == A.shape[1] else sp.random_array((n, n), density=9 / n, format="csr", random_state=rng)
    A, B = A.astype(dtype), B.astype(dtype)
    same_as_scipy(sc.matmul(A, B), A, B)


def test_mixed_formats_types_and_families(rng):
    A, B = random_sparse(rng, 30, 20), random_sparse(rng, 20, 25, dtype=np.float32)
    for fa in ("csr", "csc", "coo", "bsr"):
        for fb in ("csr", "csc", "coo"):
            got = sc.matmul(A.asformat(fa), B.asformat(fb))
            assert got.format == ("csc" if fa == "csc" else "csr") and got.dtype == np.float64
            np.testing.assert_allclose(got.toarray(), A.toarray() @ B.toarray(), atol=1e-12)
    assert type(sc.matmul(sp.csr_matrix(A), B)) is sp.csr_matrix
    assert type(sc.matmul(A, sp.csr_matrix(B))) is sp.csr_array
    I = sp.csr_array(np.arange(12).reshape(3, 4))  # noqa: E741
    same_as_scipy(sc.matmul(I, I.T.tocsr()), I, I.T.tocsr())
    half = random_sparse(rng, 30, 20, dtype=np.float16)
    got = sc.matmul(half, half.T)
    assert got.dtype == np.float16
    D = half.astype(np.float32).toarray()
    np.testing.assert_allclose(got.astype(np.float32).toarray(), D @ D.T, rtol=0.01, atol=0.01)


def test_unsorted_and_duplicate_entries(rng):
    A, B = random_sparse(rng, 60, 50, 0.2), random_sparse(rng, 50, 40, 0.2)
    for M in (A, B):     # shuffle within rows, and split an entry in two
        for r in range(M.shape[0]):
            p = np.arange(M.indptr[r], M.indptr[r + 1])
            q = rng.permutation(p)
            M.indices[p], M.data[p] = M.indices[q], M.data[q]
        M.indices[M.indptr[1] - 1] = M.indices[M.indptr[1] - 2]
        M.has_sorted_indices = M.has_canonical_format = False
    got = sc.matmul(A, B)
    assert canonical(got)
    np.testing.assert_allclose(got.toarray(), A.toarray() @ B.toarray(), atol=1e-12)


def test_exact_zeros_leave_and_nan_stays():
    A = sp.csr_array(np.array([[1.0, 1.0], [0.0, 2.0]]))
    B = sp.csr_array(np.array([[1.0, np.nan, 0.0], [-1.0, 1.0, np.inf]]))
    got = sc.matmul(A, B)
    same_as_scipy(got, A, B)
    assert got.nnz == 5


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_same_bits_on_any_thread_count(rng, fmt):
    A = sp.random_array((4000, 4000), density=0.004, format=fmt, random_state=rng)
    assert len({sha(sc.matmul(A, A, threads=t)) for t in THREADS}) == 1


def test_columns_beyond_32_bits(rng):
    wide = 3 << 30
    B = sp.csr_array((np.ones(4), (np.array([0, 0, 1, 2]), np.array([5, wide - 1, 7, 5]))), shape=(3, wide))
    A = sp.csr_array(np.array([[1.0, 0, 2], [0, 3, 0]]))
    got = sc.matmul(A, B)
    assert got.indices.dtype == np.int64 and got.indices.tolist() == [5, wide - 1, 7] and got.data.tolist() == [3, 1, 3]


def test_few_entries_in_many_columns(rng):
    n = 50_000_000
    A = sp.csr_array((np.ones(3), (np.array([0, 0, 1]), np.array([3, 9, 4]))), shape=(2, 10))
    B = sp.csr_array((np.arange(40.0), (np.arange(40) % 10, rng.integers(0, n, 40))), shape=(10, n))
    same_as_scipy(sc.matmul(A, B), A, B)


def test_the_result_stands_alone(rng):
    A = random_sparse(rng, 50, 50)
    before = sha(A)
    C = sc.matmul(A, A)
    C.data[:] = 7
    C.indices[:] = 0
    assert sha(A) == before and C.data.flags.owndata and C.indices.dtype == np.int32


def test_wrong_arguments_name_both_sides(rng):
    A, B = random_sparse(rng, 30, 20), random_sparse(rng, 21, 5)
    with pytest.raises(ValueError, match="A has 20 columns; B has 21 rows"):
        sc.matmul(A, B)
    B = random_sparse(rng, 20, 5, 0.5)
    with pytest.raises(TypeError, match="out must be None"):
        sc.matmul(A, B, out=np.zeros((30, 5)))
    B.indices[3] = 5
    for left, right in ((A, B), (A.tocsc(), B)):
        with pytest.raises(ValueError, match="index 5 at entry 3"):
            sc.matmul(left, right)
    B.indices[3] = -1
    with pytest.raises(ValueError, match="index -1 at entry 3"):
        sc.matmul(A, B)
    A.indptr[4] = 1 << 20
    with pytest.raises(ValueError, match="indptr does not rise"):
        sc.matmul(A, random_sparse(rng, 20, 5))


def test_products_of_half_precision_keep_tolerance(rng):
    ml = pytest.importorskip("ml_dtypes")
    A = random_sparse(rng, 20, 20, 0.3, np.float32)
    A.data = A.data.astype(ml.bfloat16)
    C = sc.matmul(A, A)
    A.data = A.data.astype(np.float32)
    D = A.toarray()
    np.testing.assert_allclose(C.data.astype(np.float32), sp.csr_array(D @ D).data, rtol=tolerance(ml.bfloat16, 1),
                               atol=0.1)


def _small(rng, fmt, dtype, density=0.2):
    return (random_sparse(rng, 40, 30, density, dtype, fmt), random_sparse(rng, 30, 50, density, dtype, fmt),
            random_sparse(rng, 40, 50, 0.3, np.float64, fmt))


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [*TYPES, np.int64, np.float16])
def test_masked_product_has_the_masks_pattern(rng, fmt, dtype):
    A, B, M = _small(rng, fmt, np.float64)
    A.data, B.data = (10 * A.data).astype(dtype), (10 * B.data).astype(dtype)
    wide = np.float32 if dtype == np.float16 else dtype
    full = A.data.astype(wide), B.data.astype(wide)
    left = type(A)((full[0], A.indices, A.indptr), shape=A.shape).toarray()
    right = type(B)((full[1], B.indices, B.indptr), shape=B.shape).toarray()
    want = np.where(type(M)((np.ones(M.nnz), M.indices, M.indptr), shape=M.shape).toarray() != 0, left @ right, 0)
    tol = tolerance(dtype if np.dtype(dtype).kind in "fc" else np.float64)
    for mask in (M, M.asformat("csc"), M.asformat("coo")):
        got = sc.masked_matmul(A, B, mask)
        assert got.format == fmt and got.nnz == M.nnz and got.dtype == dtype and canonical(got)
        D = got if dtype != np.float16 else type(got)((got.data.astype(wide), got.indices, got.indptr), got.shape)
        np.testing.assert_allclose(D.toarray(), want, rtol=tol, atol=tol * 100)


def test_a_mask_with_repeated_entries_counts_them_once(rng):
    A, B, _ = _small(rng, "csr", np.float64)
    mask = sp.csr_array((np.ones(3), np.array([4, 4, 2]), np.r_[0, np.full(40, 3)]), shape=(40, 50))
    got = sc.masked_matmul(A, B, mask)
    np.testing.assert_allclose(got.toarray()[0, [2, 4]], (A.toarray() @ B.toarray())[0, [2, 4]])


@pytest.mark.parametrize("fa", ["csr", "csc"])
@pytest.mark.parametrize("fb", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [*TYPES, np.int64])
def test_plan_gives_the_product_of_new_values(rng, fa, fb, dtype):
    A, B, _ = _small(rng, "csr", dtype)
    A, B = A.asformat(fa), B.asformat(fb)
    plan = sc.MatmulPlan(A, B)
    for scale in (1, 2, 0):
        A.data[:] = A.data * scale
        got = plan(A.data, B.data)
        assert got.format == fa and got.nnz == plan.nnz and got.shape == plan.shape and canonical(got)
        np.testing.assert_allclose(got.toarray(), (A @ B).toarray(), rtol=tolerance(np.float32), atol=1e-4)
    with pytest.raises(ValueError, match=f"A_data has shape .3,.; A has {A.nnz} entries"):
        plan(A.data[:3], B.data)
    assert len({sha(plan(A.data, B.data, threads=t)) for t in THREADS}) == 1


def test_plan_of_a_matrix_without_entries():
    A = sp.csr_array((5, 4), dtype=np.float64)
    got = sc.MatmulPlan(A, sp.csr_array((4, 0), dtype=np.float64))(A.data, np.zeros(0))
    assert got.shape == (5, 0) and got.nnz == 0


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [*TYPES, np.int64])
def test_gram_is_symmetric_and_the_product(rng, fmt, dtype):
    A, _, _ = _small(rng, fmt, dtype)
    for axis, want in ((0, A.T @ A), (1, A @ A.T)):
        got = sc.gram(A, axis=axis)
        assert got.format == fmt and got.dtype == dtype and canonical(got)
        assert (got != got.T).nnz == 0
        np.testing.assert_allclose(got.toarray(), want.toarray(), rtol=tolerance(np.float32), atol=1e-4)
    A = sp.random_array((500, 400), density=0.02, format=fmt, random_state=rng)
    assert len({sha(sc.gram(A, threads=t), sc.gram(A, axis=1, threads=t)) for t in THREADS}) == 1
    same_as_scipy(sc.gram(A.tocsr()), A.T.tocsr(), A.tocsr())
    with pytest.raises(ValueError, match="axis is 2"):
        sc.gram(A, axis=2)


@pytest.mark.parametrize("dtype", TYPES)
def test_gram_of_many_products_per_entry(rng, dtype):
    A = random_sparse(rng, 700, 60, 0.3, dtype)
    got = sc.gram(A)
    same_as_scipy(got, A.T.tocsr(), A)
    assert len({sha(sc.gram(A, threads=t)) for t in THREADS}) == 1
    assert sc.gram(A[:0]).nnz == 0 and sc.gram(A[:, :0]).shape == (0, 0)


def test_gram_of_unsorted_rows(rng):
    A = random_sparse(rng, 40, 30, 0.2)
    for r in range(40):
        p = slice(A.indptr[r], A.indptr[r + 1])
        A.indices[p], A.data[p] = A.indices[p][::-1].copy(), A.data[p][::-1].copy()
    A.has_sorted_indices = A.has_canonical_format = False
    np.testing.assert_allclose(sc.gram(A).toarray(), A.toarray().T @ A.toarray(), atol=1e-12)


def topn_oracle(C, n, floor=-np.inf):
    """Per row, of the entries above floor, the n largest, the lowest columns first among equals."""
    C = C.tocsr()
    C.sum_duplicates()
    rows = []
    for r in range(C.shape[0]):
        col, val = C.indices[C.indptr[r]:C.indptr[r + 1]], C.data[C.indptr[r]:C.indptr[r + 1]]
        order = [i for i in np.argsort(-val, kind="stable") if val[i] > floor][:n]
        rows += [(r, col[i], val[i]) for i in sorted(order)]
    return rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("n", [0, 1, 3, 17, 1000])
@pytest.mark.parametrize("density", [0.01, 0.2])
def test_topn_is_the_largest_of_every_row(rng, dtype, n, density):
    A = sp.random_array((60, 200), density=density, format="csr", random_state=rng)
    B = sp.random_array((200, 700), density=density, format="csr", random_state=rng)
    A.data, B.data = np.round(4 * A.data - 2), np.round(4 * B.data - 2)     # many ties
    A, B = A.astype(dtype), B.astype(dtype)
    for floor in (None, 1.5):
        got = sc.matmul_topn(A, B, n, threshold=floor)
        want = topn_oracle(A @ B, n, -np.inf if floor is None else floor)
        assert canonical(got) and got.dtype == dtype and got.shape == (60, 700)
        coo = got.tocoo()
        assert list(zip(coo.row, coo.col, coo.data, strict=True)) == want
    np.testing.assert_array_equal(sc.matmul_topn(A.tocsc(), B.tocsc(), n).toarray(),
                                  sc.matmul_topn(A, B, n).toarray())
    assert len({sha(sc.matmul_topn(A, B, n, threads=t)) for t in THREADS}) == 1


@pytest.mark.parametrize("dtype", TYPES)
def test_long_rows_of_b_are_summed_by_tiles_of_columns(rng, dtype):
    A = random_sparse(rng, 30, 50, 0.4, dtype)
    for low, cols in ((0, 9000), (4000, 21003)):        # from the first column on, and from one within a tile
        B = random_sparse(rng, 50, cols - low, 0.5, dtype)
        B.indices += low
        B = sp.csr_array((B.data, B.indices, B.indptr), shape=(50, cols))
        got = sc.matmul(A, B)
        same_as_scipy(got, A, B)
        assert len({sha(sc.matmul(A, B, threads=t)) for t in THREADS}) == 1
        if np.dtype(dtype).kind == "c":
            continue
        A.data[3] = np.inf      # and NaN where it meets -inf
        A.data[5] = -np.inf
        with np.errstate(invalid="ignore"):
            want = topn_oracle(A @ B, 7, 1.5)
        found = sc.matmul_topn(A, B, 7, threshold=1.5).tocoo()
        assert list(zip(found.row, found.col, found.data, strict=True)) == want
        A.data[[3, 5]] = 1


@pytest.mark.parametrize("n", [700, 2**61, 2**62 + 1, 2**63 - 1])
def test_topn_of_more_than_there_are_is_all_of_them(rng, n):
    A, B = random_sparse(rng, 9, 60, 0.5), random_sparse(rng, 60, 300, 0.5)      # every sum is looked at
    same_as_scipy(sc.matmul_topn(A, B, n), A, B)
    assert sc.matmul_topn(A, B[:, :0], n).nnz == 0


def test_topn_refuses_what_has_no_order(rng):
    A = random_sparse(rng, 5, 5, dtype=np.complex128)
    with pytest.raises(TypeError, match="complex values have no order"):
        sc.matmul_topn(A, A, 2)
    with pytest.raises(ValueError, match="n is -1"):
        sc.matmul_topn(A.real, A.real, -1)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [*TYPES, np.float16, np.int64])
@pytest.mark.parametrize("n", [0, 1, 15, 33, 100])
def test_sddmm_samples_the_dense_product(rng, fmt, dtype, n):
    P = random_sparse(rng, 20, 30, 0.3, fmt=fmt)
    X, Y = (10 * rng.standard_normal((20, n))).astype(dtype), (10 * rng.standard_normal((30, n))).astype(dtype)
    wide = np.float32 if dtype == np.float16 else dtype
    ones = type(P)((np.ones(P.nnz), P.indices, P.indptr), shape=P.shape).toarray()
    want = ones * (X.astype(wide) @ Y.astype(wide).T)
    tol = tolerance(dtype if np.dtype(dtype).kind in "fc" else np.float64)
    for x in (X, np.asfortranarray(X)):
        got = sc.sddmm(P, x, Y)
        assert got.format == fmt and got.dtype == dtype and got.nnz == P.nnz
        if dtype == np.float16:
            got.data = got.data.astype(wide)
        np.testing.assert_allclose(got.toarray(), want, rtol=tol, atol=1000 * tol)
    if dtype == np.float64:
        np.testing.assert_allclose(sc.sddmm(P, X, Y, weights=True).toarray(), P.toarray() * want, rtol=tol, atol=1e-9)
    with pytest.raises(ValueError, match=r"P has shape \(20, 30\); X has 30 rows and Y has 20"):
        sc.sddmm(P, Y, X)


PEAK = """
import numpy as np, scipy.sparse as sp
import sparsecore as sc

def kilobytes(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what))

n, z = 60_000, 8
rng = np.random.default_rng(1)
A = sp.csr_array((rng.standard_normal(n * z), rng.integers(0, n, n * z), np.arange(n + 1) * z), shape=(n, n))
A.sum_duplicates()
sc.matmul(A[:5000], A)                # whatever is loaded once is there
inputs = A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
before = kilobytes("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
C = sc.matmul(A, A, threads=2)
peak = (kilobytes("VmHWM") - before) * 1024 + inputs
print(peak / (inputs + C.data.nbytes + C.indices.nbytes + C.indptr.nbytes))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads the peak of /proc")
def test_a_product_needs_little_more_than_inputs_and_result(tmp_path):
    run = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, cwd=tmp_path)
    if "PermissionError" in run.stderr:
        pytest.skip("the peak cannot be reset here")
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) <= 1.3


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_patterns_with_duplicates_of_half_precision_too(rng, fmt, dtype):
    P = mess(rng, 20, 30, 200, "csc", dtype, np.int64)
    A = random_sparse(rng, 20, 9, 0.5, fmt=fmt)
    B = random_sparse(rng, 9, 30, 0.5)
    want = np.where(abs(mess_pattern(P)), (A @ B).toarray(), 0)
    got = sc.masked_matmul(A, B, P)
    assert_canonical(got, fmt, A)
    np.testing.assert_allclose(got.toarray(), want, rtol=1e-12)
    X, Y = rng.standard_normal((20, 4)), rng.standard_normal((30, 4))
    got = sc.sddmm(P, X, Y)
    assert_canonical(got, "csc", P)
    np.testing.assert_allclose(got.toarray(), np.where(mess_pattern(P), X @ Y.T, 0), rtol=1e-12)


def mess_pattern(P):
    D = np.zeros(P.shape, bool)
    D[P.indices, np.repeat(np.arange(P.shape[1]), np.diff(P.indptr))] = True
    return D


@pytest.mark.parametrize("formats", [("coo", "csr"), ("csc", "coo"), ("coo", "coo"), ("csc", "lil"), ("lil", "csc")])
def test_a_plan_takes_values_in_the_order_of_the_coordinates(rng, formats):
    operands = []
    for (m, n), fmt in zip(((9, 7), (7, 8)), formats, strict=True):
        A = sp.coo_array((rng.standard_normal(40), (rng.integers(0, m, 40), rng.integers(0, n, 40))), shape=(m, n))
        operands.append(A if fmt == "coo" else A.asformat(fmt))
    A, B = operands
    a, b = (X.data if X.format != "lil" else X.tocsr().data for X in operands)
    got = sc.MatmulPlan(A, B)(3 * a, b)
    np.testing.assert_allclose(got.toarray(), 3 * (A.toarray() @ B.toarray()), rtol=1e-12, atol=1e-12)


def test_products_of_whole_numbers_have_indices_of_the_size_of_the_result(rng):
    A = random_sparse(rng, 20, 20, 0.3, np.int32, index=np.int64)
    for got in (sc.matmul(A, A), sc.gram(A), sc.matmul_topn(A, A, 3), sc.masked_matmul(A, A, A)):
        assert_canonical(got, "csr", A)


VECTORS = [sp.coo_array(np.ones(3))]
with contextlib.suppress(ValueError):       # SciPy 1.13 has vectors as coordinates only
    VECTORS.append(sp.csr_array(np.ones(3)))


@pytest.mark.parametrize("other", ["text", None, [[1.0, 2.0]], np.eye(3), *VECTORS])
def test_operands_that_are_no_sparse_matrix_are_named(other):
    A = sp.csr_array(np.eye(3))
    for call in (sc.MatmulPlan, lambda A, B: sc.masked_matmul(A, B, A), lambda A, B: sc.matmul_topn(A, B, 1)):
        for pair, name in (((A, other), "B must"), ((other, A), "A must")):
            with pytest.raises((TypeError, ValueError), match=name):
                call(*pair)


@pytest.mark.parametrize("columns", [2**31 + 5, 2**40])
def test_plans_and_masks_of_more_columns_than_32_bits_count(rng, columns):
    A, narrow = random_sparse(rng, 8, 10, 0.5), random_sparse(rng, 10, 60, 0.2)
    names = np.sort(rng.choice(columns, 60, replace=False))
    B = sp.csr_array((narrow.data, names[narrow.indices], narrow.indptr.astype(np.int64)), shape=(10, columns))
    want = sc.matmul(A, B)
    got = sc.masked_matmul(A, B, want)
    np.testing.assert_array_equal(got.indices, want.indices)
    np.testing.assert_allclose(got.data, want.data, rtol=1e-12)
    plan = sc.MatmulPlan(A, B)
    got = plan(A.data, 2 * B.data)
    np.testing.assert_allclose(sc.add(got, want, beta=-2).data, 0, atol=1e-12)
    assert got.shape == (8, columns) and plan.nnz == got.nnz


def test_nan_takes_no_place_among_the_largest_of_a_very_wide_product():
    E = sp.csr_array(np.eye(2))
    for cols in (8, 2**31 + 10):
        row = (np.array([1.0, np.nan, 2.0, -np.inf]), np.array([1, 3, 6, 7]), np.array([0, 4, 4]))
        C = sc.matmul_topn(E, sp.csr_array(row, shape=(2, cols)), 1)
        assert C.indices.tolist() == [6] and C.indptr.tolist() == [0, 1, 1]


def test_a_masked_product_of_long_doubles_drops_no_zeros_on_its_way(rng):
    A, B = (random_sparse(rng, m, n, 0.5).astype(np.longdouble) for m, n in ((9, 7), (7, 8)))
    A.data[::3] = 0
    A.data[1] = np.nan
    mask = random_sparse(rng, 9, 8, 0.6)
    got = sc.masked_matmul(A, B, mask)
    assert (got.indices == mask.indices).all() and got.dtype == np.longdouble
    want = (A @ B).toarray()[np.repeat(np.arange(9), np.diff(mask.indptr)), mask.indices]
    np.testing.assert_array_equal(got.data, want)


def test_operands_that_hold_no_numbers_are_refused_by_name(rng):
    A = random_sparse(rng, 6, 4, 0.5)
    for X in (["a"] * 4, [None] * 4, np.array(["2020-01-01"] * 4, "M8[D]")):
        with pytest.raises(TypeError, match="a dense operand must hold numbers, not"):
            sc.matmul(A, X)
