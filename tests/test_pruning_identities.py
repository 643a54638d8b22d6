"""Identities that hold for every W and X, on random layers, on the hidden layers of two trained networks, and on those
of a torch network trained on Fashion-MNIST here."""
import gzip

import numpy as np
import pytest

import sparsecore.pruning as pr

LAYERS = ["random", "wide", "mlp.2", "mlp.3", "conv.1", "conv.3", "fashion.0", "fashion.2", "fashion.4"]
_cache = {}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def images(folder):
    with gzip.open(folder / "images/mnist/t10k-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784) / np.float32(255)


def network_layers(folder):
    """{name: (W (out, in), inputs)} with real activations of 1,000 test images."""
    x = images(folder)[:1000]
    mlp = np.load(folder / "models/mnist_nets/mlp_784_50_100_10.npz")
    conv = np.load(folder / "models/mnist_nets/simple_convnet.npz")
    h1 = sigmoid(x @ mlp["W1"] + mlp["b1"])
    h2 = sigmoid(h1 @ mlp["W2"] + mlp["b2"])
    windows = np.lib.stride_tricks.sliding_window_view(x[:200].reshape(-1, 28, 28), (5, 5), axis=(1, 2))
    patches = windows.reshape(200, 24, 24, 25)
    maps = np.maximum(patches @ conv["W1"].reshape(30, 25).T + conv["b1"], 0)
    pooled = maps.reshape(200, 12, 2, 12, 2, 30).max(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(200, -1)
    hidden = np.maximum(pooled @ conv["W2"] + conv["b2"], 0)
    return {"mlp.1": (mlp["W1"].T, x), "mlp.2": (mlp["W2"].T, h1), "mlp.3": (mlp["W3"].T, h2),
            "conv.1": (conv["W1"].reshape(30, 25), patches.reshape(-1, 25)[::7]), "conv.3": (conv["W3"].T, hidden)}


def fashion_layers(folder):
    """The same of a network 196-24-16-10 after an epoch of the images at half their width and height."""
    torch = pytest.importorskip("torch")
    data = {}
    for part, offset in (("images-idx3", 16), ("labels-idx1", 8)):
        with gzip.open(folder / f"images/fashion-mnist/train-{part}-ubyte.gz") as file:
            data[part] = np.frombuffer(file.read(), np.uint8, offset=offset)
    halved = data["images-idx3"].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32).reshape(-1, 196)
    x = torch.from_numpy(halved / np.float32(255))
    y = torch.from_numpy(data["labels-idx1"].astype(np.int64))
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(196, 24), torch.nn.ReLU(), torch.nn.Linear(24, 16), torch.nn.ReLU(),
                              torch.nn.Linear(16, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for i in range(0, len(x), 200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[i:i + 200]), y[i:i + 200]).backward()
        optimizer.step()
    with torch.no_grad():
        assert float((net(x[:5000]).argmax(1) == y[:5000]).float().mean()) > 0.75
        inputs = [x[:1500]]
        for i in (0, 2):
            inputs.append(torch.relu(net[i](inputs[-1])))
    return {f"fashion.{i}": (net[i].weight.detach().numpy(), h.numpy()) for i, h in zip((0, 2, 4), inputs)}


@pytest.fixture(params=LAYERS)
def named(request):
    if request.param == "random":
        rng = np.random.default_rng(1)
        return rng.standard_normal((9, 33)), rng.standard_normal((20, 33)) @ rng.standard_normal((33, 33))
    if request.param == "wide":
        rng = np.random.default_rng(2)
        X = rng.standard_normal((700, 300)) @ rng.standard_normal((300, 300))
        return rng.standard_normal((3, 300)), X
    group, made = ("fashion", fashion_layers) if request.param.startswith("fashion") else ("nets", network_layers)
    if group not in _cache:
        _cache[group] = made(request.getfixturevalue("shared_data"))
    return _cache[group][request.param]


@pytest.fixture(params=[np.float32, np.float64])
def problem(request, named):
    """(W, stats, relative tolerance)."""
    W, X = named
    return W.astype(request.param), pr.calibrate(X), 1e-5 if request.param is np.float32 else 1e-10


def close(a, b, tol):
    assert abs(a - b) <= tol * max(abs(a), abs(b)), (a, b)


def kept_score(W_hat, scores):
    return scores[W_hat != 0].sum()


@pytest.mark.parametrize("pattern", [pr.Unstructured(), pr.Unstructured("row"), pr.NM(2, 4)], ids=str)
def test_obs_losses_add_up_and_weights_are_the_backsolve(problem, pattern):
    W, stats, tol = problem
    W_hat, losses = pr.exact_obs(W, 0.6, stats, pattern=pattern, details=True)
    close(losses.sum(), pr.error(W, W_hat, stats), tol)
    solved = pr.backsolve(W, W_hat != 0, stats)
    assert np.abs(solved - W_hat).max() <= tol * np.abs(W).max()


@pytest.mark.parametrize("pattern", [pr.Unstructured(), pr.Unstructured("row"), pr.NM(2, 4), pr.Block((2, 5))], ids=str)
def test_sparsegpt_losses_add_up(problem, pattern):
    W, stats, tol = problem
    W_hat, losses = pr.sparse_gpt(W, 0.6, stats, pattern=pattern, details=True)
    close(losses.sum(), pr.error(W, W_hat, stats), tol)


def test_on_one_mask_the_backsolve_has_the_least_error(problem):
    W, stats, tol = problem
    for method in ("magnitude", "wanda", "obs", "sparsegpt", "alps"):
        W_hat = pr.prune_layer(W, 0.6, method=method, stats=stats)
        best = pr.error(W, pr.backsolve(W, W_hat != 0, stats), stats)
        assert best <= pr.error(W, W_hat, stats) * (1 + tol)


def test_conjugate_gradients_agree_with_the_exact_backsolve(problem, monkeypatch):
    W, stats, tol = problem
    mask = pr.Unstructured().mask(np.abs(W), 0.5)
    exact = pr.backsolve(W, mask, stats)
    monkeypatch.setattr("sparsecore.pruning.layerwise._EXACT_FLOPS", 0)
    assert pr.error(W, pr.backsolve(W, mask, stats), stats) <= pr.error(W, exact, stats) * (1 + 1e-6)


def test_isotropic_inputs_make_wanda_and_obs_magnitude(problem):
    W, stats, _ = problem
    d = W.shape[1]
    c = pr.calibrate(3 * np.eye(d))
    expected = pr.prune_layer(W, 0.5) != 0
    np.testing.assert_array_equal(pr.prune_layer(W, 0.5, method=pr.wanda, stats=c, pattern=pr.Unstructured()) != 0,
                                  expected)
    np.testing.assert_array_equal(pr.prune_layer(W, 0.5, method=pr.obs, stats=c) != 0, expected)
    np.testing.assert_array_equal(pr.prune_layer(W, 0.5, method="obs", stats=c) != 0, expected)


def test_magnitude_has_the_least_frobenius_error(problem):
    W, stats, _ = problem
    for pattern in (pr.Unstructured(), pr.Unstructured("row"), pr.NM(2, 4)):
        least = pr.error(W, pr.prune_layer(W, 0.5, pattern=pattern))
        for method in ("random", pr.wanda, pr.obs):
            other = pr.prune_layer(W, 0.5, method=method, pattern=pattern, stats=stats)
            assert least <= pr.error(W, other) * (1 + 1e-12)


def test_looser_patterns_keep_more_score(problem):
    W, stats, _ = problem
    d = W.shape[1] // 8 * 8
    W = np.ascontiguousarray(W[:, :d])
    patterns = [pr.Unstructured(), pr.Unstructured("row"), pr.NM(4, 8), pr.NM(2, 4)]
    sums = [kept_score(pr.prune_layer(W, 0.5, pattern=p), np.abs(W).astype(np.float64)) for p in patterns]
    assert all(a >= b * (1 - 1e-12) for a, b in zip(sums, sums[1:])), sums


def test_whitened_svd_error_is_what_was_cut(named):
    W, X = named
    W, X = np.asarray(W, dtype=np.float64), np.asarray(X, dtype=np.float64)
    stats = pr.calibrate(X)
    s = np.linalg.svd(W @ X.T, compute_uv=False)
    for rank in (1, min(W.shape) // 2):
        left, right = pr.low_rank(W, rank, stats=stats)
        assert left.shape == (W.shape[0], rank) and right.shape == (rank, W.shape[1])
        lost = np.sum(((W - left @ right) @ X.T) ** 2)
        close(lost, np.sum(s[rank:] ** 2), 1e-6)
        for scaling in ("plain", "activation"):
            other = pr.low_rank(W, rank, stats=stats, scaling=scaling)
            assert lost <= np.sum(((W - other[0] @ other[1]) @ X.T) ** 2) * (1 + 1e-9)


def test_low_rank_rules(problem):
    W, stats, _ = problem
    s2 = np.linalg.svd(W.astype(np.float64), compute_uv=False) ** 2
    left, right = pr.low_rank(W, energy=0.8)
    r = left.shape[1]
    assert left.dtype == W.dtype and s2[:r].sum() >= 0.8 * s2.sum() > s2[:r - 1].sum()
    assert pr.low_rank(W, error=0.2)[0].shape == left.shape
    assert sum(f.size for f in pr.low_rank(W, budget=0.5)) <= max(W.size * 0.5, sum(W.shape))


def test_sparse_plus_low_rank_beats_sparse_alone(problem):
    W, stats, _ = problem
    S, left, right = pr.sparse_plus_low_rank(W, 0.6, 2, stats=stats)
    assert S.nnz == W.size - round(0.6 * W.size) or (stats.dead.any() and S.nnz < W.size)
    A = W * stats.col_norm
    alone = np.linalg.norm(A - pr.prune_layer(A, 0.6, pattern=pr.Unstructured("row")))
    both = np.linalg.norm(A - (S.toarray() + left @ right) * stats.col_norm)
    assert both < alone


def test_leverage_adds_up_to_the_rank(named):
    X = np.asarray(named[1], dtype=np.float64)[:150]
    assert pr.leverage(X).sum() == pytest.approx(np.linalg.matrix_rank(X), rel=1e-8)
    assert pr.leverage(np.vstack([X, X])).sum() == pytest.approx(np.linalg.matrix_rank(X), rel=1e-8)


def test_median_errors_are_in_the_known_order(shared_data):
    """random > magnitude > Wanda > SparseGPT > ALPS over hidden layers, all compared over the whole layer."""
    layers = network_layers(shared_data)
    for sparsity, pattern in ((0.5, pr.Unstructured()), (0.7, pr.Unstructured()), (0.5, pr.NM(2, 4))):
        medians = []
        for method in ("random", "magnitude", "wanda", "sparsegpt", "alps"):
            errors = []
            for name in ("mlp.1", "mlp.2", "conv.1"):
                W, stats = np.asarray(layers[name][0]), pr.calibrate(layers[name][1])
                W_hat = pr.prune_layer(W, sparsity, method=method, pattern=pattern, stats=stats)
                errors.append(pr.error(W, W_hat, stats) / pr.error(W, 0 * W, stats))
            medians.append(float(np.median(errors)))
        assert all(a >= b for a, b in zip(medians, medians[1:])), (sparsity, pattern, medians)
