"""Whole models, their report, the sensitivity scan, and choosing rows and columns of data."""
import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore.pruning as pr

RNG = np.random.default_rng(3)
MODEL = {"conv.weight": RNG.standard_normal((8, 3, 3, 3)).astype(np.float32),
         "fc1.weight": RNG.standard_normal((20, 32)).astype(np.float32), "fc1.bias": np.zeros(20, np.float32),
         "head.weight": RNG.standard_normal((5, 20)).astype(np.float32), "steps": np.arange(6).reshape(2, 3)}


def test_globs_choose_layers():
    pruned = pr.prune(MODEL, 0.5, exclude="head*")
    assert [entry["name"] for entry in pruned.report] == ["conv.weight", "fc1.weight"]
    assert isinstance(pruned.layers["head.weight"], np.ndarray) and sp.issparse(pruned.layers["fc1.weight"])
    assert [e["name"] for e in pr.prune(MODEL, 0.5, include=["fc1.*"]).report] == ["fc1.weight"]
    np.testing.assert_array_equal(pruned.state_dict()["steps"], MODEL["steps"])


def test_convolutions_are_pruned_as_matrices_and_come_back():
    pruned = pr.prune(MODEL, 0.5)
    assert pruned.layers["conv.weight"].shape == (8, 27)
    back = pruned.state_dict()["conv.weight"]
    assert back.shape == (8, 3, 3, 3) and np.count_nonzero(back == 0) == 108


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_comes_back_from_its_csr(dtype):
    kind = np.dtype(dtype) if dtype == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    model = {name: array.astype(kind) for name, array in MODEL.items()}
    pruned = pr.prune(model, 0.5)
    back = pruned.state_dict()
    assert pruned.report["fc1.weight"]["nnz"] == 320
    for name, array in back.items():
        assert array.dtype == kind and array.shape == model[name].shape
        kept = array != 0
        np.testing.assert_array_equal(array[kept], model[name][kept])


def test_own_sparsity_for_each_layer():
    pruned = pr.prune(MODEL, {"fc1.weight": 0.9})
    assert pruned.report["fc1.weight"]["nnz"] == 64 and pruned.report["head.weight"]["nnz"] == 100


def test_pruning_a_pruned_model_again():
    once = pr.prune(MODEL, 0.5)
    twice = pr.prune(once, 0.5)
    for name, array in once.state_dict().items():
        np.testing.assert_array_equal(twice.state_dict()[name], array)
    assert pr.prune(once, 0.8).report["fc1.weight"]["nnz"] == 128


def test_report_counts_bytes_and_errors():
    X = RNG.standard_normal((64, 32))
    stats = {"fc1.weight": pr.calibrate(X)}
    pruned = pr.prune(MODEL, 0.9, stats=stats)
    entry = pruned.report["fc1.weight"]
    W_hat = pruned.state_dict()["fc1.weight"]
    assert entry["bytes_before"] == 20 * 32 * 4 and entry["nnz"] == 64
    assert entry["bytes_after"] == 64 * 4 + 20 * 32 // 8 and entry["format"] == "bitmask"
    assert entry["error"] == pytest.approx(pr.error(MODEL["fc1.weight"], W_hat, stats["fc1.weight"]))
    assert 0 < entry["relative_error"] < 1
    assert pruned.nbytes < sum(array.nbytes for array in MODEL.values())


def test_report_shows_itself(tmp_path):
    report = pr.prune(MODEL, 0.5).report
    assert "fc1.weight" in str(report) and "20x32" in str(report)
    assert json.loads(report.to_json(tmp_path / "report.json"))[1]["shape"] == [20, 32]
    assert (tmp_path / "report.json").exists()
    with pytest.raises(KeyError, match="nowhere"):
        report["nowhere"]
    assert isinstance(report[:2], pr.Report) and report.total("nnz") == 478


def test_report_as_frame_and_figure():
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    report = pr.prune(MODEL, 0.5).report
    assert list(report.to_dataframe()["name"]) == ["conv.weight", "fc1.weight", "head.weight"]
    assert len(report.plot().axes) == 2
    assert pr.sensitivity(MODEL, levels=(0.5, 0.9)).plot().axes


def test_sensitivity_prunes_one_layer_at_a_time():
    seen, states = [], []

    def evaluate(state):
        states.append([name for name in state if not np.array_equal(state[name], MODEL[name])])
        return 0.5

    table = pr.sensitivity(MODEL, levels=(0.5, 0.9), exclude=["head*"], evaluate=evaluate,
                           progress=lambda done, total, name: seen.append((done, total, name)))
    assert states == [["conv.weight"], ["conv.weight"], ["fc1.weight"], ["fc1.weight"]]
    assert seen[-1] == (4, 4, "fc1.weight") and table[0]["accuracy"] == 0.5
    assert table[1]["error"] > table[0]["error"] > 0


def test_movement_keeps_what_grows():
    state = pr.Movement()
    W = np.array([[1.0, -1.0, 2.0, 3.0]])
    state.update(W, np.array([[-1.0, 1.0, 1.0, 2.0]])).update(W, np.array([[-1.0, 1.0, 1.0, 2.0]]))
    np.testing.assert_array_equal(pr.prune_layer(W, 0.5, method="movement", stats=state), [[1.0, -1.0, 0.0, 0.0]])


def test_scores_by_their_formulas():
    W, grad = RNG.standard_normal((4, 6)), RNG.standard_normal((4, 6))
    X = RNG.standard_normal((30, 6))
    stats = pr.calibrate(X).with_grad(grad)
    np.testing.assert_allclose(pr.wanda(W, stats), np.abs(W) * np.linalg.norm(X, axis=0))
    np.testing.assert_allclose(pr.taylor(W, stats), np.abs(W * grad))
    np.testing.assert_allclose(pr.snip(W, grad).sum(), 1)
    H = X.T @ X + 0.01 * np.mean(np.sum(X**2, axis=0)) * np.eye(6)
    np.testing.assert_allclose(pr.obs(W, stats), W**2 / np.diagonal(np.linalg.inv(H)))
    assert not np.array_equal(pr.random(W), pr.random(W, seed=1))


@pytest.mark.parametrize("method", ["leverage", "herding", "random"])
def test_select_rows_gives_ascending_distinct_numbers(method):
    X = RNG.standard_normal((60, 5))
    for keep, count in ((7, 7), (0.25, 15), (0, 0), (1.0, 60)):
        rows = pr.select_rows(X, keep, method=method)
        assert len(rows) == count and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, np.arange(60))


def test_leverage_finds_the_odd_row_dense_and_sparse():
    X = np.zeros((50, 4))
    X[:, :3] = RNG.standard_normal((50, 3))
    X[17, 3] = 1
    assert 17 in pr.select_rows(X, 1) and 17 in pr.select_rows(sp.csr_array(X), 1)
    np.testing.assert_allclose(pr.leverage(sp.csr_array(X)), pr.leverage(X), atol=1e-10)


def test_herding_matches_the_mean_better_than_chance():
    X = RNG.standard_normal((300, 8))
    gap = {m: np.linalg.norm(X[pr.select_rows(X, 20, method=m)].mean(0) - X.mean(0)) for m in ("herding", "random")}
    assert gap["herding"] < gap["random"] / 3


def test_el2n_keeps_the_hardest():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    np.testing.assert_array_equal(pr.select_rows(np.zeros((3, 1)), 1, method="el2n", probabilities=p, y=[0, 0, 0]), [1])


def test_select_columns_by_their_formulas():
    X = np.array([[1.0, 0.0, -3.0], [0.0, 0.5, 0.0], [0.0, 0.4, 0.0]])
    for data in (X, sp.csr_array(X)):
        assert list(pr.select_columns(data, 1, method="sum")) == [2]
        assert list(pr.select_columns(data, 1, method="weighted")) == [1]
        assert list(pr.select_columns(data, 2, method="activation")) == [0, 2]


# ---------------------------------------------------------------- files

def model_of_every_form():
    """A PrunedModel with one layer that each form of storage suits best."""
    rng = np.random.default_rng(5)
    W = rng.standard_normal((48, 64)).astype(np.float32)
    left, right = pr.low_rank(W, 2)
    sparse, *factors = pr.sparse_plus_low_rank(W, 0.9, 2)
    wide = rng.standard_normal((6, 3000)).astype(np.float64)

    def csr(W, sparsity, pattern=None):
        return sp.csr_array(pr.prune_layer(W, sparsity, pattern=pattern))

    layers = {"dense": W, "bias": W[0], "bitmask": csr(W, 0.7), "gap": csr(wide, 0.95), "csr": csr(wide, 0.999),
              "1:4": csr(W, 0.75, pr.NM(1, 4)), "1:2": pr.prune_layer(W, 0.5, pattern=pr.NM(1, 2)),
              "low_rank": pr.LowRank(left, right), "both": pr.SparsePlusLowRank(sparse, *factors)}
    return pr.PrunedModel(layers)


def test_a_file_holds_every_layer_in_its_smallest_form(tmp_path):
    from sparsecore.io import modelfile

    model_of_every_form().save(tmp_path / "m")
    info = {layer.name: layer for layer in modelfile.read_model(tmp_path / "m").info}
    forms = {name: layer.format for name, layer in info.items()}
    assert forms == {"dense": "dense", "bias": "dense", "bitmask": "bitmask", "gap": "gap", "csr": "csr", "1:4": "nm",
                     "1:2": "nm", "low_rank": "low_rank", "both": "sparse_plus_low_rank"}
    assert info["1:4"].nbytes == 768 * 4 + 768 * 2 // 8 + 2 and info["1:2"].nbytes == 1536 * 4 + 1536 // 8 + 2
    assert pr.smallest_format(model_of_every_form().layers["1:4"]) == ("nm", info["1:4"].nbytes)


RELOAD = """
import pickle, sys
def refuse(*args, **kwargs):
    raise AssertionError("a model file was unpickled")
pickle.load = pickle.loads = pickle.Unpickler = refuse
import hashlib
from sparsecore.io import load_model
for name, array in sorted(load_model(sys.argv[1]).state_dict().items()):
    print(name, array.dtype, array.shape, hashlib.sha256(array.tobytes()).hexdigest(), sep="|")
"""


def test_reload_in_a_fresh_process_is_bit_exact_and_without_pickle(tmp_path):
    import hashlib

    model = model_of_every_form()
    model.save(tmp_path / "m")
    found = subprocess.run([sys.executable, "-c", RELOAD, str(tmp_path / "m")], capture_output=True, text=True,
                           cwd=tmp_path)     # away from the source tree
    assert found.returncode == 0, found.stderr
    expected = [f"{name}|{array.dtype}|{array.shape}|{hashlib.sha256(array.tobytes()).hexdigest()}"
                for name, array in sorted(model.state_dict().items())]
    assert found.stdout.splitlines() == expected


@pytest.mark.parametrize("keep, group", [(1, 2), (1, 4), (1, 8), (2, 8), (3, 16), (2, 16)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nm_layers_come_back(tmp_path, keep, group, dtype):
    W = pr.prune_layer(RNG.standard_normal((9, 5 * group)).astype(dtype), 0, pattern=pr.NM(keep, group))
    from sparsecore.io import encode

    format, parts = encode.encode_dense(W)
    assert format == "nm"
    np.testing.assert_array_equal(encode.decode_dense(format, parts, W.shape, W.dtype.name), W)


@pytest.mark.parametrize("change", [
    {"pattern": np.array([1, 3], np.uint8)}, {"pattern": np.array([2, 4], np.uint8)},
    {"pattern": np.zeros(3, np.uint8)}, {"places": np.zeros(1, np.uint8)},
    {"pattern": np.array([0, 4], np.uint8)}, {"places": np.zeros(96, np.uint16)},
])
def test_a_damaged_nm_layer_is_refused(change):
    from sparsecore.io import encode

    W = pr.prune_layer(np.ones((16, 32), np.float32), 0, pattern=pr.NM(1, 4))
    format, parts = encode.encode_dense(W)
    assert format == "nm"
    with pytest.raises(ValueError):
        encode.decode_dense(format, {**parts, **change}, W.shape, "float32")


def test_places_out_of_order_are_refused():
    from sparsecore.io import encode

    W = pr.prune_layer(np.ones((16, 32), np.float32), 0, pattern=pr.NM(2, 16))
    format, parts = encode.encode_dense(W)
    assert format == "nm"
    with pytest.raises(ValueError, match="order"):
        encode.decode_dense(format, {**parts, "places": np.zeros_like(parts["places"])}, W.shape, "float32")
