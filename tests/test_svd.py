"""Truncated SVD: every result is held against dense LAPACK and against its own certificate."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from oracles import sha
from test_structure import mess
from threadpoolctl import threadpool_info, threadpool_limits

import sparsecore as sc
from sparsecore.svd import panels


def planted(rng, m, n, s, dtype=np.float64):
    """A dense matrix with these singular values."""
    r = len(s)
    X, Y = rng.standard_normal((m, r)), rng.standard_normal((n, r))
    if np.dtype(dtype).kind == "c":
        X, Y = X + 1j * rng.standard_normal((m, r)), Y + 1j * rng.standard_normal((n, r))
    return ((np.linalg.qr(X)[0] * s) @ np.linalg.qr(Y)[0].conj().T).astype(dtype)


def check(A, k, result, tol, pve=True):
    """Orthonormal, descending, signs by the rule, residuals true, and PVE within tol where it says converged."""
    A = A.toarray() if sp.issparse(A) else np.asarray(A)
    wide = np.complex128 if A.dtype.kind == "c" else np.float64
    single = A.dtype.name in ("float32", "complex64")
    size = np.abs(A).max() or 1.0
    size = 2.0 ** np.frexp(float(size))[1]
    A = A.astype(wide) / size
    U, s, Vt = result
    assert U.shape == (A.shape[0], k) and s.shape == (k,) and Vt.shape == (k, A.shape[1])
    U, s, Vt = U.astype(wide), s.astype(np.float64) / size, Vt.astype(wide)
    assert np.isfinite(U).all() and np.isfinite(s).all() and np.isfinite(Vt).all()
    eye = np.eye(k)
    close = 1e-5 if single else 1e-12
    assert np.abs(U.conj().T @ U - eye).max() <= close
    assert np.abs(Vt @ Vt.conj().T - eye).max() <= close
    assert np.all(np.diff(s) <= 0) and np.all(s >= 0)
    top = Vt[np.arange(k), np.argmax(np.abs(Vt), axis=1)]
    assert np.all(top.real > 0) and np.abs(top.imag).max() <= close
    true = np.linalg.norm(A.conj().T @ U - Vt.conj().T * s, axis=0)
    reported = result.residuals.astype(np.float64) / size
    assert np.all(true <= 1.05 * reported + 1e-300), (true / np.maximum(reported, 1e-300)).max()
    sigma = np.linalg.svd(A, compute_uv=False)
    noise = (2e-6 if single else 1e-13) * max(sigma[0], 1e-300)
    assert np.all(reported <= 1.05 * true + noise)
    assert np.abs(A @ Vt.conj().T - U * s).max() <= 20 * noise
    np.testing.assert_array_equal(result.converged, result.residuals <= tol * result.s[0])
    if pve and result.converged.all():
        after = sigma[k] if k < sigma.size else 0.0
        assert np.abs(sigma[:k] ** 2 - s**2).max() <= tol * after**2 + noise * sigma[0]
        assert after <= result.missed / size * (1 + 1e-6) + noise


SPECTRA = {
    "power": lambda n: np.arange(1, n + 1) ** -0.5,
    "steep": lambda n: 0.8 ** np.arange(n),
    "planted": lambda n: np.where(np.arange(n) < 12, 10.0 - 0.5 * np.arange(n), 0.1 / (1 + np.arange(n))),
    "clustered": lambda n: 1 + 1e-3 * np.cos(np.arange(n)) - 0.3 * (np.arange(n) > 20),
    "repeated": lambda n: np.where(np.arange(n) < 30, 5.0, 1 / (1.0 + np.arange(n))),
    "deficient": lambda n: np.where(np.arange(n) < 7, 1.0 + np.arange(n)[::-1], 0.0),
}


@pytest.mark.parametrize("solver", ["lanczos", "auto"])
@pytest.mark.parametrize("shape", [(220, 160), (150, 230)])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("seed", range(5))
def test_spectra_against_lapack(spectrum, shape, solver, seed):
    rng = np.random.default_rng(seed)
    A = planted(rng, *shape, np.sort(SPECTRA[spectrum](min(shape)))[::-1])
    if seed % 2:
        A = sp.csr_array(A)
    k, tol = (10, 1e-2) if seed < 3 else (16, 1e-8)
    check(A, k, sc.truncated_svd(A, k, tol=tol, solver=solver, seed=seed), tol)


@pytest.mark.parametrize("solver", ["lanczos", "fewpass", "gram", "lapack", "auto"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("make", ["power", "planted"])
def test_types_and_solvers(solver, dtype, make):
    rng = np.random.default_rng(3)
    A = planted(rng, 330, 300, SPECTRA[make](300), dtype)
    tol = 1e-3
    for B in (A, sp.csr_array(A), sp.csc_array(A.T), np.asfortranarray(A[:, ::2])):
        result = sc.truncated_svd(B, 9, tol=tol, solver=solver)
        assert result.U.dtype == result.Vt.dtype == np.dtype(dtype) and result.s.dtype == np.finfo(dtype).dtype
        check(B, 9, result, tol)
        assert result.converged.all()


@pytest.mark.parametrize("solver", ["lanczos", "auto"])
@pytest.mark.parametrize("power", [150, -150, 0])
@pytest.mark.parametrize("seed", range(5))
def test_scale_does_not_matter(power, solver, seed):
    A = sp.random_array((300, 280), density=0.05, random_state=np.random.default_rng(seed), format="csr") * 10.0**power
    check(A, 8, sc.truncated_svd(A, 8, tol=1e-4, solver=solver), 1e-4)


@pytest.mark.parametrize("solver", ["lanczos", "auto"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["zero", "identity", "one row", "one column", "one value", "diagonal", "k = min",
                                  "rank 3", "tall", "orthogonal", "tiny"])
def test_edges(name, solver, seed):
    rng = np.random.default_rng(seed)
    A, k = {
        "zero": lambda: (sp.csr_array((50, 40)), 5),
        "identity": lambda: (sp.eye_array(300, format="csr"), 20),
        "one row": lambda: (rng.standard_normal((1, 200)), 1),
        "one column": lambda: (rng.standard_normal((200, 1)), 1),
        "one value": lambda: (np.array([[-3.0]]), 1),
        "diagonal": lambda: (sp.diags_array(np.arange(1.0, 301)).tocsr(), 12),
        "k = min": lambda: (rng.standard_normal((40, 30)), 30),
        "rank 3": lambda: (planted(rng, 300, 260, [3.0, 2.0, 1.0]), 12),
        "tall": lambda: (rng.standard_normal((900, 5)), 3),
        "orthogonal": lambda: (np.linalg.qr(rng.standard_normal((250, 250)))[0], 9),
        "tiny": lambda: (rng.standard_normal((3, 2)), 2),
    }[name]()
    result = sc.truncated_svd(A, k, solver=solver, seed=seed)
    check(A, k, result, 1e-3)
    assert result.converged.all()


def test_repeated_values_wider_than_the_block_are_found():
    A = planted(np.random.default_rng(0), 700, 640, np.r_[np.full(60, 3.0), 2.9 * 0.97 ** np.arange(580)])
    result = sc.truncated_svd(A, 50, solver="lanczos", tol=1e-3)
    np.testing.assert_allclose(result.s, 3.0, rtol=1e-4)


def test_same_bits_on_any_number_of_threads_and_again():
    rng = np.random.default_rng(1)
    S = sp.random_array((3000, 2500), density=0.004, random_state=rng, format="csr")
    D = planted(rng, 600, 520, SPECTRA["power"](520))
    for A, k, options in [(S, 12, {}), (S.astype(np.float32), 12, {}), (S, 12, {"center": "columns"}),
                          (D, 20, {"solver": "lanczos"}), (D, 20, {"solver": "gram"}), (D, 20, {"solver": "fewpass"}),
                          (D, 20, {"solver": "lapack"}), (D * 1j, 20, {"solver": "lanczos"})]:
        digests = {sha(*sc.truncated_svd(A, k, threads=t, **options)) for t in (1, 2, 3, 8, 2)}
        assert len(digests) == 1, options


@pytest.mark.parametrize("solver", ["auto", "lanczos"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_centring_and_scaling_are_implicit(sparse, dtype, solver):
    rng = np.random.default_rng(5)
    A = np.where(rng.random((310, 290)) < 0.2, planted(rng, 310, 290, SPECTRA["power"](290), dtype) + 0.3, 0)
    l, r = rng.random(310) + 0.5, rng.random(290) + 0.5
    B = sp.csr_array(A) if sparse else A
    for center, options in [("columns", {}), ("rows", {}), (None, {"left": l}), ("columns", {"left": l, "right": r}),
                            ("rows", {"right": r}), (None, {"left": sp.diags_array(l).tocsr(), "right": np.diag(r)})]:
        C = A - {"columns": A.mean(0), "rows": A.mean(1)[:, None], None: 0}[center]
        C = (l[:, None] if "left" in options else 1) * C * (r if "right" in options else 1)
        result = sc.truncated_svd(B, 6, tol=1e-6, center=center, solver=solver, **options)
        check(C.astype(dtype), 6, result, 1e-6)
        assert result.converged.all()
        if not options:
            assert result.energy == pytest.approx(np.sum(result.s**2) / np.linalg.norm(C) ** 2)


@pytest.mark.parametrize("shape", [(500, 300), (300, 500)])
def test_operators_and_row_blocks(shape, tmp_path):
    rng = np.random.default_rng(6)
    A = sp.random_array(shape, density=0.05, random_state=rng, format="csr")
    plain = sc.truncated_svd(A, 7, tol=1e-6)
    sources = [spl.aslinearoperator(A),
               sc.RowBlocks(lambda: (A[i : i + 64] for i in range(0, shape[0], 64)), shape),
               sc.RowBlocks(lambda: (A[i : i + 64].toarray() for i in range(0, shape[0], 64)), shape)]
    parts = {}
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(A, name))
        parts[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    sources.append(sp.csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=shape))
    for source in sources:
        result = sc.truncated_svd(source, 7, tol=1e-6)
        check(A, 7, result, 1e-6)
        np.testing.assert_allclose(result.s, plain.s, rtol=1e-8)


def test_row_blocks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="the blocks have 4 rows; the matrix has 5"):
        sc.truncated_svd(sc.RowBlocks(lambda: iter([np.ones((4, 3))]), (5, 3)), 1)
    with pytest.raises(ValueError, match=r"shape \(4, 2\); the matrix has 3 columns"):
        sc.truncated_svd(sc.RowBlocks(lambda: iter([np.ones((4, 2))]), (4, 3)), 1)


def test_few_passes_are_few():
    A = planted(np.random.default_rng(7), 900, 800, SPECTRA["power"](800))
    few, many = (sc.truncated_svd(A, 20, solver=s, tol=1e-3) for s in ("fewpass", "lanczos"))
    assert few.converged.all() and few.passes < many.passes
    assert few.solver == "fewpass" and many.solver == "lanczos"


def test_max_passes_gives_an_honest_partial_result():
    A = planted(np.random.default_rng(8), 500, 450, SPECTRA["clustered"](450))
    result = sc.truncated_svd(A, 20, solver="lanczos", max_passes=10)
    assert not result.converged.all() and result.passes <= 10
    check(A, 20, result, 1e-3, pve=False)


def test_smallest():
    rng = np.random.default_rng(9)
    A = rng.standard_normal((200, 150))
    sigma = np.linalg.svd(A, compute_uv=False)
    result = sc.truncated_svd(A, 4, which="SM")
    np.testing.assert_allclose(result.s, sigma[-4:], rtol=1e-10)
    assert result.converged.all()
    n = 6000
    B = sp.diags_array([np.arange(1.0, n + 1), np.full(n - 1, 0.1)], offsets=[0, 1]).tocsr()
    result = sc.truncated_svd(B, 3, which="SM", tol=1e-8)
    assert result.solver == "inverse" and result.converged.all()
    small = np.linalg.svd(B[:200, :200].toarray(), compute_uv=False)[-3:]
    np.testing.assert_allclose(result.s, small, rtol=1e-6)
    assert np.linalg.norm(B @ result.Vt.T - result.U * result.s) < 1e-8 * n


def test_energy():
    A = planted(np.random.default_rng(10), 400, 380, SPECTRA["power"](380))
    s2 = np.linalg.svd(A, compute_uv=False) ** 2
    share = np.cumsum(s2) / s2.sum()
    for energy in (0.2, 0.6, 1.0):
        result = sc.truncated_svd(A, energy=energy, tol=1e-6)
        k = int(np.argmax(share >= energy * (1 - 1e-12))) + 1
        assert result.s.shape == (k,) and result.energy >= energy * (1 - 1e-6)


def test_warm_start_takes_fewer_passes():
    A = planted(np.random.default_rng(11), 900, 850, SPECTRA["power"](850))
    cold = sc.truncated_svd(A, 12, solver="fewpass", tol=1e-4)
    for v0 in (cold, cold.Vt.T):
        warm = sc.truncated_svd(A, 12, solver="fewpass", tol=1e-4, v0=v0)
        assert warm.passes < cold.passes
        check(A, 12, warm, 1e-4)
    check(A.T, 12, sc.truncated_svd(A.T, 12, solver="lanczos", v0=cold.U[:, 0]), 1e-3)


def test_callback_sees_progress_and_can_stop():
    A = planted(np.random.default_rng(12), 500, 450, SPECTRA["clustered"](450))
    seen = []
    sc.truncated_svd(A, 20, solver="lanczos", tol=1e-6, callback=seen.append)
    assert len(seen) > 1 and seen[0].s.shape == (20,) and seen[-1].residuals.max() < seen[0].residuals.max()
    result = sc.truncated_svd(A, 20, solver="lanczos", tol=1e-12, callback=lambda p: p.passes > 8)
    assert not result.converged.all()

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sc.truncated_svd(A, 20, solver="lanczos", callback=interrupt)


def test_transform():
    rng = np.random.default_rng(13)
    A = sp.random_array((300, 250), density=0.1, random_state=rng, format="csr")
    result = sc.truncated_svd(A, 5, tol=1e-6)
    np.testing.assert_allclose(result.transform(A), result.U * result.s, atol=1e-10)
    back = result.inverse_transform(result.transform(A))
    np.testing.assert_allclose(back, result.U * result.s @ result.Vt, atol=1e-10)
    centred = sc.truncated_svd(A, 5, tol=1e-6, center="columns")
    np.testing.assert_allclose(centred.transform(A), centred.U * centred.s, atol=1e-10)
    with pytest.raises(ValueError, match="the components have 250 columns"):
        result.transform(A.T)


def test_integers_halves_and_other_formats():
    A = sp.random_array((120, 110), density=0.2, random_state=np.random.default_rng(14), format="csr")
    A.data = np.round(A.data * 9)
    want = np.linalg.svd(A.toarray(), compute_uv=False)[:4]
    for B in (A.astype(np.int32), A.tocoo(), A.tolil(), A.toarray().astype(np.int64), A.astype(bool) * 1,
              A.toarray().astype(np.float16)):
        s = sc.truncated_svd(B, 4).s
        if B.shape == A.shape and abs(B - A).max() == 0:
            np.testing.assert_allclose(s, want, rtol=1e-4)


def test_input_is_left_alone():
    A = sp.random_array((200, 180), density=0.1, random_state=np.random.default_rng(15), format="csr")
    before = sha(A)
    v0 = np.ones(180)
    sc.truncated_svd(A, 4, solver="lanczos", center="columns", v0=v0, left=np.ones(200))
    assert sha(A) == before and (v0 == 1).all()


@pytest.mark.parametrize("bad, error, message", [
    (lambda A: sc.truncated_svd(A, 0), ValueError, r"k is 0; it must be within 1..30 \(A is 40 x 30\)"),
    (lambda A: sc.truncated_svd(A, 31), ValueError, "k is 31"),
    (lambda A: sc.truncated_svd(A, 2.5), TypeError, "k must be an integer"),
    (lambda A: sc.truncated_svd(A), ValueError, "give k or energy"),
    (lambda A: sc.truncated_svd(A, 2, energy=0.5), ValueError, "not both"),
    (lambda A: sc.truncated_svd(A, energy=1.5), ValueError, r"energy is 1.5; it must be within \(0, 1\]"),
    (lambda A: sc.truncated_svd(A, 2, solver="magic"), ValueError, "solver is 'magic'"),
    (lambda A: sc.truncated_svd(A, 2, which="XX"), ValueError, "which is 'XX'"),
    (lambda A: sc.truncated_svd(A, 2, center="both"), ValueError, "center is 'both'"),
    (lambda A: sc.truncated_svd(A, 2, tol=-1), ValueError, "tol is -1"),
    (lambda A: sc.truncated_svd(A, 2, tol=np.inf), ValueError, "tol is inf"),
    (lambda A: sc.truncated_svd(A, 2, tol="x"), TypeError, "tol must be a number, not str"),
    (lambda A: sc.truncated_svd(A, 2, callback=3), TypeError, "callback must be callable, not int"),
    (lambda A: sc.truncated_svd(A, 2, right=np.full(30, np.nan)), ValueError, "right has NaN or infinite values"),
    (lambda A: sc.truncated_svd(A, 2, left=np.ones(30)), ValueError, "left has length 30; A has 40 rows"),
    (lambda A: sc.truncated_svd(A, 2, right=np.ones((40, 2))), ValueError, "A has 30 columns"),
    (lambda A: sc.truncated_svd(A[0], 2), ValueError, "A must have 2 dimensions; it has 1"),
    (lambda A: sc.truncated_svd(A * np.nan, 2), ValueError, "NaN or infinite"),
    (lambda A: sc.truncated_svd(A[:0], 2), ValueError, r"shape \(0, 30\)"),
    (lambda A: sc.truncated_svd(A, 2, solver="lanczos", v0=np.ones(40)), ValueError, "v0 has 40 rows; A has 30 col"),
    (lambda A: sc.truncated_svd(A.astype("U"), 2), TypeError, "takes numbers"),
])
def test_wrong_input_is_refused(bad, error, message):
    A = np.random.default_rng(16).standard_normal((40, 30))
    with pytest.raises(error, match=message):
        bad(A)


def test_v0_of_another_length_is_refused():
    A = sp.random_array((400, 300), density=0.1, random_state=np.random.default_rng(17), format="csr")
    with pytest.raises(ValueError, match="v0 has 400 rows; A has 300 columns"):
        sc.truncated_svd(A, 3, solver="lanczos", v0=np.ones(400))


def test_social_graph_against_published_values(shared_data):
    folder = shared_data / "matrices"
    A = sp.load_npz(folder / "soc-Slashdot0902.npz").tocsr().astype(np.float64)
    sigma = np.load(folder / "soc-Slashdot0902_singular_values_ref.npy").ravel()
    result = sc.truncated_svd(A, 30, tol=1e-2)
    assert result.converged.all()
    assert np.abs(sigma[:30] ** 2 - result.s**2).max() <= 1e-2 * sigma[30] ** 2
    assert sigma[30] <= result.missed


def test_restarts_in_double_do_not_stop_at_the_accuracy_of_single():
    A = sp.random_array((3000, 2000), density=0.02, random_state=np.random.default_rng(0), format="csr")
    r = sc.truncated_svd(A, 20, tol=1e-8, solver="lanczos")
    assert r.passes > 100           # there were restarts
    assert r.converged.all() and r.residuals.max() <= 1e-8 * r.s[0]
    assert np.linalg.norm(A.T @ r.U - r.Vt.T * r.s, axis=0).max() <= 1.05e-8 * r.s[0]


def test_left_vectors_stay_orthogonal_over_many_restarts_in_a_flat_spectrum():
    A = planted(np.random.default_rng(18), 500, 420, np.r_[13.0, 2.5 - 1.5 * np.linspace(0, 1, 419) ** 0.3])
    result = sc.truncated_svd(A, 30, tol=1e-4, solver="lanczos")
    check(A, 30, result, 1e-4)
    assert result.converged.all()


def test_tolerance_below_single_precision_is_met_in_double():
    """For values this small beside the largest the single-precision stage cannot reach the promise, and must say so."""
    s = np.r_[1.0, 1e-6 * np.arange(1, 400) ** -0.5]
    A = planted(np.random.default_rng(19), 450, 400, s)
    result = sc.truncated_svd(A, 8, tol=1e-2, solver="lanczos")
    check(A, 8, result, 1e-2)
    assert result.converged.all()


@pytest.mark.parametrize("seed", range(4))
def test_cluster_as_wide_as_tol_keeps_its_promise(seed):
    """Values inside 1e-3 ended with a PVE of 1.3 tol at tol = 1e-3: small residuals were taken for an answer."""
    A = planted(np.random.default_rng(seed), 320, 300, np.sort(SPECTRA["clustered"](300))[::-1])
    for k in (10, 18):
        result = sc.truncated_svd(A, k, tol=1e-3, solver="lanczos", seed=seed)
        assert result.converged.all()
        check(A, k, result, 1e-3)


def test_single_precision_stage_keeps_the_scale_and_the_centre():
    rng = np.random.default_rng(20)
    A = sp.random_array((600, 500), density=0.05, random_state=rng, format="csr") * 1e140
    result = sc.truncated_svd(A, 6, tol=1e-3, center="columns", solver="lanczos")
    C = A.toarray() - A.toarray().mean(0)
    np.testing.assert_allclose(result.s, np.linalg.svd(C / 1e140, compute_uv=False)[:6] * 1e140, rtol=1e-3)
    assert result.converged.all()


@pytest.mark.parametrize("noise", [1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [220, 5000])
def test_nearly_dependent_columns_come_out_orthonormal(rows, dtype, noise):
    """A Gram matrix that was not positive definite passed for a sound one: U came out with dependent columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 5)) @ rng.standard_normal((5, 16)) + noise * rng.standard_normal((rows, 16))
    X[:, 3] *= 1e-5
    W = panels.pack(X.astype(dtype))
    X = panels.unpack(W).astype(np.float64)
    R = panels.orthonormalise(W, [W[:0]], rng, float(np.linalg.norm(X, 2)), 2)
    Q, eps = panels.unpack(W).astype(np.float64), np.finfo(dtype).eps
    assert np.abs(Q.T @ Q - np.eye(16)).max() <= 50 * eps
    assert np.abs(Q @ R - X).max() <= 5000 * eps * np.abs(X).max()


@pytest.mark.parametrize("center", [None, "rows"])
def test_large_dense_matrix_whose_columns_fill_no_panel(center):
    A = planted(np.random.default_rng(5), 1300, 1001, SPECTRA["power"](1001)) + 0.01
    found = [sc.truncated_svd(B, 8, tol=1e-3, center=center, solver="lanczos", threads=t)
             for B, t in ((A, 1), (np.asfortranarray(A), 2), (A, 3))]
    check(A if center is None else A - A.mean(axis=1, keepdims=True), 8, found[0], 1e-3)
    assert len({sha(f.U, f.s, f.Vt) for f in found}) == 1


def test_ritz_values_that_single_precision_fails_on_are_found_in_double(monkeypatch):
    module = importlib.import_module("sparsecore.svd.recurrences")
    A = planted(np.random.default_rng(6), 300, 250, SPECTRA["power"](250)).astype(np.float32)
    failing, calls = module.lapack.ssyevd, []

    def ssyevd(T, **options):
        calls.append(T)
        return (*failing(T, **options)[:2], 1)

    monkeypatch.setattr(module.lapack, "ssyevd", ssyevd)
    result = sc.truncated_svd(A, 5, tol=1e-3, solver="lanczos")
    assert calls and result.solver == "lanczos"
    check(A, 5, result, 1e-3)


def test_duplicates_are_summed_before_norms_are_taken(rng):
    A = mess(rng, 30, 20, 300)
    s = np.linalg.svd(A.toarray(), compute_uv=False)
    share = np.cumsum(s**2) / np.sum(s**2)
    assert np.isclose(sc.truncated_svd(A, 5).energy, share[4], rtol=1e-10)
    assert len(sc.truncated_svd(A, energy=0.8).s) == np.searchsorted(share, 0.8) + 1


def test_calls_at_once_have_the_same_bits_and_leave_blas_as_it_was(rng):
    A = rng.standard_normal((300, 200))

    def digest(i):
        r = sc.truncated_svd(A, 5, solver=("lapack", "lanczos", "gram")[i % 3])
        return sha(r.U, r.s, r.Vt)

    with threadpool_limits(2, user_api="blas"):
        alone = [digest(i) for i in range(3)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(digest, range(24))) == alone * 8
        assert {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"} == {2}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (5, 1), (7, 50), (50, 7), (9, 10), (20, 300), (501, 600)])
def test_sides_shorter_than_whole_panels_come_out_orthonormal(rng, shape, dtype):
    A = rng.standard_normal(shape)
    A = (A + 1j * rng.standard_normal(shape)).astype(dtype) if np.dtype(dtype).kind == "c" else A.astype(dtype)
    for B in (A, np.outer(A[:, 0], A[0])):
        check(B, min(shape), sc.truncated_svd(B, min(shape), tol=1e-3, solver="gram"), 1e-3)


@pytest.mark.parametrize("v0, message", [
    (np.ones(3), "v0 has 3 rows; A has 40 columns"), (1.0, "v0 must have 1 or 2 dimensions"),
    (np.ones((40, 2, 2)), "v0 must have 1 or 2 dimensions"), (np.full(40, np.nan), "v0 has NaN"),
    (np.array(["a"] * 40), "v0 has values of type"),
])
@pytest.mark.parametrize("solver", ["lanczos", "gram", "lapack"])
def test_v0_that_does_not_fit_is_refused_by_every_solver(rng, v0, message, solver):
    with pytest.raises((ValueError, TypeError), match=message):
        sc.truncated_svd(rng.standard_normal((50, 40)), 2, v0=v0, solver=solver)


def test_lists_are_blocks_of_rows_and_rows_to_transform(rng):
    A = rng.standard_normal((30, 20))
    found = sc.truncated_svd(sc.RowBlocks(lambda: iter([A[:10].tolist(), A[10:].tolist()]), A.shape), 3)
    np.testing.assert_allclose(found.s, np.linalg.svd(A)[1][:3], rtol=1e-6)
    np.testing.assert_array_equal(found.transform(A.tolist()), found.transform(A))


@pytest.mark.parametrize("spectrum, k, dtype, tol", [
    # Values below the rounding of the first one: what projections left lay in the basis again, and grew until NaN.
    (lambda i: np.where(i == 1, 1e6, i**-0.3), 40, "f4", 1e-2),
    (lambda i: np.where(i <= 25, 1 / i, 0), 40, "f4", 1e-3),
    # Wanted values of 1e-9 s_1 lie below the rounding of B B^H: the iteration never saw that it had them.
    (lambda i: np.where(i <= 20, 1 / i, 1e-9 * i**-0.1), 40, "f8", 1e-4),
    # A leading value far above the others: losses of orthogonality grow by its square.
    (lambda i: np.where(i == 1, 300.0, i**-0.3), 20, "f8", 1e-8),
    (lambda i: np.where(i == 1, 1e4, i**-0.3), 20, "f8", 1e-4),
    (lambda i: np.where(i == 1, 40.0, i**-0.3), 20, "f4", 1e-2),
    # Squares in single precision go on to residuals below their values' rounding, unless they cost residuals as well.
    (lambda i: i**-0.5, 40, "f4", 2e-6),
    (lambda i: np.where(i == 1, 1e4, i**-0.3), 20, "f4", 3e-6)])
def test_spectra_whose_squares_or_tails_touch_the_rounding(spectrum, k, dtype, tol):
    m, n = 400, 300
    rng = np.random.default_rng(0)
    s = np.sort(spectrum(np.arange(1.0, n + 1)))[::-1]
    U, V = (np.linalg.qr(rng.standard_normal((rows, n)))[0] for rows in (m, n))
    A = ((U * s) @ V.T).astype(dtype)
    result = sc.truncated_svd(A, k, tol=tol, solver="lanczos")
    eps = np.finfo(dtype).eps
    true = np.linalg.norm(A.astype("f8").T @ result.U - result.Vt.T * result.s.astype("f8"), axis=0)
    assert result.converged.all() and (true <= 1.05 * result.residuals).all()
    assert np.abs(result.s.astype("f8") ** 2 - s[:k] ** 2).max() <= max(tol * s[k] ** 2, 50 * eps * s[0] ** 2)
    for basis in (result.U, result.Vt.T):
        assert np.abs(basis.T @ basis - np.eye(k)).max() <= (1e-12 if dtype == "f8" else 1e-5)


def star(n):
    """A hub and n - 1 leaves: the two values sqrt(n - 1), from sums of n - 1 equal terms."""
    hub, leaf = np.zeros(n - 1, int), np.arange(1, n)
    return sp.csr_array((np.ones(2 * n - 2), (np.r_[hub, leaf], np.r_[leaf, hub])), shape=(n, n))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("A, k", [(star(30000), 2), (np.ones((200, 190)), 10), (star(600), 5)],
                         ids=["star", "ones", "star, k above the rank"])
def test_residuals_of_long_sums_are_not_half_of_what_they_are(A, k, dtype):
    """Equal terms are rounded alike in A U and in A^H U: in single precision residuals came out too small by 2.2."""
    A = A.astype(dtype)
    result = sc.truncated_svd(A, k, tol=1e-4, solver="lanczos")
    exact = np.clongdouble if dtype == np.complex64 else np.longdouble
    U, V = result.U.astype(exact), result.Vt.conj().T.astype(exact)
    if sp.issparse(A):          # the rows of the hub, then those of the leaves
        Z = np.concatenate([U[1:].sum(axis=0, keepdims=True), np.repeat(U[:1], len(U) - 1, axis=0)])
    else:
        Z = np.repeat(U.sum(axis=0, keepdims=True), A.shape[1], axis=0)
    true = np.sqrt((np.abs(Z - V * result.s.astype(np.longdouble)) ** 2).sum(axis=0))
    assert (true <= 1.05 * result.residuals).all()


@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_a_million_rows_come_out_orthonormal(dtype, bound):
    """Squares of a column were summed one after the other: U'U - I was 3e-4 in single precision, 6e-13 in double."""
    n = 1_000_000
    rows = np.arange(n)
    A = sp.csr_array((np.ones(2 * n, dtype), (np.r_[rows, rows], np.r_[0 * rows, 1 + rows % 40])), shape=(n, 60))
    for solver in ("gram", "lanczos"):
        U = sc.truncated_svd(A, 2, solver=solver).U.astype(np.float64)
        assert np.abs(U.T @ U - np.eye(2)).max() <= bound


def test_means_of_a_long_side_are_not_taken_in_single_precision(rng):
    A = (100 + rng.standard_normal((20, 400_000))).astype(np.float32)
    C = A - A.mean(axis=1, keepdims=True, dtype=np.float64)
    result = sc.truncated_svd(A, 3, center="rows", solver="gram")
    true = np.linalg.norm(C.T @ result.U.astype("f8") - result.Vt.T.astype("f8") * result.s, axis=0)
    assert (true <= 1.05 * result.residuals).all()
    assert true.max() <= 3e-5 * result.s[0]


@pytest.mark.parametrize("size, dtype", [(1e-310, "f8"), (1e-42, "f4"), (1e300, "f8"), (1e35, "f4")])
@pytest.mark.parametrize("solver", ["lanczos", "gram", "lapack"])
def test_values_at_the_ends_of_the_range(rng, size, dtype, solver):
    """Values below the normal range ended in "(34, 'Numerical result out of range')"."""
    A = (rng.standard_normal((120, 110)) * size).astype(dtype)
    result = sc.truncated_svd(A, 4, solver=solver)
    s = np.linalg.svd(A.astype("f8") / size, compute_uv=False)
    np.testing.assert_allclose(result.s.astype("f8") / size, s[:4], rtol=1e-3)
    assert result.converged.all() and np.abs(result.U.T @ result.U - np.eye(4)).max() <= 1e-5


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_singular_values_beyond_the_type_are_refused(rng, dtype):
    A = np.full((120, 110), np.finfo(dtype).max)
    with pytest.raises(OverflowError, match="larger than float"):
        sc.truncated_svd(A, 2)


def test_the_next_value_of_a_gram_matrix_is_bounded_with_its_rounding(rng):
    """`missed` was below the value by 1 per cent."""
    for A in (np.vander(rng.random(250), 160), planted(rng, 200, 180, np.r_[1e3, np.ones(179)])):
        A = A.astype(np.float32)
        result = sc.truncated_svd(A, 9, solver="gram")
        assert np.linalg.svd(A.astype("f8"), compute_uv=False)[9] <= result.missed


@pytest.mark.parametrize("tol", [1e-3, 1e-4])
@pytest.mark.parametrize("seed", range(2))
def test_single_stage_of_few_passes_is_held_to_its_residuals(seed, tol):
    """The rounding of single precision beside a large first value: residuals were above the limit, PVE up to 13 tol."""
    A = planted(np.random.default_rng(seed), 200, 180, np.r_[1e3, 1 - 1e-3 * np.arange(2, 181)])
    result = sc.truncated_svd(A, 8, tol=tol, solver="fewpass", seed=seed)
    assert result.converged.all()
    check(A, 8, result, tol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_flat_spectrum_narrower_than_tol_keeps_its_promise(seed, dtype):
    """300 values within 3 %: `converged` with a PVE of 2 tol, as some value was near but not the one meant."""
    A = planted(np.random.default_rng(seed), 400, 300, 1 - 1e-4 * np.arange(1, 301), dtype)
    for k in (10, 20, 40):
        result = sc.truncated_svd(A, k, tol=1e-2, solver="lanczos", seed=seed)
        assert result.converged.all()
        check(A, k, result, 1e-2)


def test_residuals_that_single_precision_makes_seem_smaller_still_converge():
    """A path of 400 vertices ended at 1.04 tol, not converged: Ritz values in single precision had said 1.00."""
    A = sp.diags_array([np.ones(399)] * 2, offsets=[-1, 1]).tocsr()
    for seed in range(3):
        assert sc.truncated_svd(A, 12, tol=1e-4, solver="lanczos", seed=seed).converged.all()


def test_a_warm_start_by_few_passes_says_so():
    """`auto` took few passes for a v0 of k columns and called them 'lanczos'."""
    A = sp.random_array((3000, 2000), density=0.02, random_state=np.random.default_rng(0), format="csr")
    cold = sc.truncated_svd(A, 20, tol=1e-6)
    warm = sc.truncated_svd(A, 20, tol=1e-6, v0=cold)
    assert cold.solver == "lanczos" and warm.solver == "fewpass" and warm.passes < cold.passes
    assert sc.truncated_svd(A, 20, tol=1e-6, v0=cold, solver="lanczos").solver == "lanczos"
