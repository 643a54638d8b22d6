"""One contract for every score x pattern x budget x solver: exact count, determinism, dtype kept, idempotent, input
untouched, the same bits on any thread count, errors that say what is wrong."""
import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore as sc
import sparsecore.pruning as pr

RNG = np.random.default_rng(0)
SHAPE = 12, 40
X = RNG.standard_normal((100, SHAPE[1])).astype(np.float32) * np.linspace(0.1, 3, SHAPE[1], dtype=np.float32)
X[:, 7] = 0  # a dead feature
W0 = RNG.standard_normal(SHAPE).astype(np.float32)
STATS = pr.calibrate(X).with_grad(RNG.standard_normal(SHAPE))
MOVED = pr.Movement().update(W0, RNG.standard_normal(SHAPE))
SCORES = ["magnitude", "random", "wanda", "activation", "obs_score", "taylor", "snip", "movement"]
SOLVERS = ["obs", "sparsegpt", "alps"]
PATTERNS = {
    "layer": pr.Unstructured(), "row": pr.Unstructured("row"), "2:4": pr.NM(2, 4), "3:7": pr.NM(3, 7),
    "block": pr.Block((4, 8)), "ragged": pr.Block((5, 6)), "rows": pr.Rows(), "columns": pr.Columns(),
}
BUDGETS = [pr.uniform, pr.global_, pr.erk, pr.lamp, pr.owl]


def arguments(method):
    """(method, solver, stats) for prune_layer."""
    name, _, solver = method.partition("+")
    stats = MOVED if name == "movement" else STATS
    return (pr.obs if name == "obs_score" else name), solver or None, stats


def expected_zeros(pattern, shape, sparsity):
    m, d = shape
    if isinstance(pattern, pr.Unstructured):
        return round(sparsity * m * d)
    if isinstance(pattern, pr.NM):
        widths = [min(pattern.group, d - j) for j in range(0, d, pattern.group)]
        return m * sum(w - -(-pattern.keep * w // pattern.group) for w in widths)
    if isinstance(pattern, pr.Rows):
        return round(sparsity * m) * d
    if isinstance(pattern, pr.Columns):
        return round(sparsity * d) * m
    return None


def assert_pattern(mask, pattern, sparsity):
    if isinstance(pattern, pr.Block):
        r, c = pattern.shape
        blocks = [mask[i:i + r, j:j + c] for i in range(0, mask.shape[0], r) for j in range(0, mask.shape[1], c)]
        assert all(b.all() or not b.any() for b in blocks)
        assert sum(not b.any() for b in blocks) == round(sparsity * len(blocks))
    else:
        assert np.count_nonzero(~mask) == expected_zeros(pattern, mask.shape, sparsity)
    if isinstance(pattern, pr.NM):
        for j in range(0, mask.shape[1], pattern.group):
            part = mask[:, j:j + pattern.group]
            assert (part.sum(axis=1) == -(-pattern.keep * part.shape[1] // pattern.group)).all()
    if isinstance(pattern, pr.Unstructured) and pattern.scope == "row":
        assert np.ptp(mask.sum(axis=1)) <= 1


@pytest.mark.parametrize("sparsity", [0.0, 0.37, 0.8, 1.0])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("method", [*SCORES, *SOLVERS, "wanda+backsolve"])
def test_contract(method, pattern, sparsity):
    pattern = PATTERNS[pattern]
    method, solver, stats = arguments(method)
    W = W0.copy()

    def once(weights):
        return pr.prune_layer(weights, sparsity, method=method, solver=solver, pattern=pattern, stats=stats)

    W_hat = once(W)
    np.testing.assert_array_equal(W, W0)
    assert W_hat.dtype == W.dtype and W_hat.shape == W.shape
    assert not np.shares_memory(W_hat, W)
    assert_pattern(W_hat != 0, pattern, sparsity)
    np.testing.assert_array_equal(once(W), W_hat)
    np.testing.assert_array_equal(once(W_hat), W_hat)
    if method in SCORES and not solver:
        np.testing.assert_array_equal(W_hat[W_hat != 0], W[W_hat != 0])


@pytest.mark.parametrize("method", [*SCORES, *SOLVERS])
def test_the_same_bits_on_any_thread_count(method):
    method, _, stats = arguments(method)
    results = []
    for threads in (1, 2, 3):
        with sc.threads(threads):
            results.append(pr.prune_layer(W0, 0.6, method=method, stats=stats).tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("method", [*SCORES, *SOLVERS, "magnitude+backsolve"])
def test_every_float_type_is_kept(method, dtype):
    method, solver, stats = arguments(method)
    W_hat = pr.prune_layer(W0.astype(dtype), 0.5, method=method, solver=solver, stats=stats)
    assert W_hat.dtype == dtype
    assert np.count_nonzero(W_hat == 0) == 240


@pytest.mark.parametrize("pattern", ["layer", "row", "2:4", "block"])
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("score", [pr.magnitude, pr.wanda, "sparsegpt"])
def test_model_contract(score, budget, pattern):
    pattern = PATTERNS[pattern]
    model = {"a": W0.copy(), "bias": np.ones(12, np.float32), "b": RNG.standard_normal((20, 12)),
             "conv": RNG.standard_normal((6, 2, 3, 3)).astype(np.float32)}
    before = {name: array.copy() for name, array in model.items()}
    inputs = {"a": X, "b": RNG.standard_normal((50, 12)), "conv": RNG.standard_normal((50, 18))}
    stats = {name: pr.calibrate(x) for name, x in inputs.items()}
    pruned = pr.prune(model, 0.7, score=score, pattern=pattern, budget=budget, stats=stats)
    again = pr.prune(model, 0.7, score=score, pattern=pattern, budget=budget, stats=stats)
    for name, array in pruned.state_dict().items():
        assert array.shape == before[name].shape and array.dtype == before[name].dtype
        np.testing.assert_array_equal(array, again.state_dict()[name])
        np.testing.assert_array_equal(model[name], before[name])
    np.testing.assert_array_equal(pruned.state_dict()["bias"], before["bias"])
    if isinstance(pattern, pr.Unstructured):
        zeros = sum(entry["nnz"] for entry in pruned.report)
        total = sum(before[name].size for name in inputs)
        if budget is pr.uniform:
            assert all(e["nnz"] == s - round(0.7 * s) for e, s in zip(pruned.report, [480, 240, 108]))
        else:
            assert zeros == total - round(0.7 * total)


COMBINATIONS = [*(f"{score}{solver}" for score in SCORES for solver in ("", "+backsolve")), *SOLVERS]


@pytest.mark.parametrize("method", COMBINATIONS)
def test_every_score_pattern_budget_and_solver(method):
    """On two small layers: the counts that pattern and budget ask for, the same twice, input untouched, dtype kept."""
    rng = np.random.default_rng(1)
    model = {"a": rng.standard_normal((6, 16)).astype(np.float32), "b": rng.standard_normal((4, 6))}
    before = {name: W.copy() for name, W in model.items()}
    score, solver, _ = arguments(method)
    stats = {}
    for name, W in model.items():
        grad = rng.standard_normal(W.shape)
        stats[name] = pr.Movement().update(W, grad) if score == "movement" else pr.calibrate(
            rng.standard_normal((30, W.shape[1]))).with_grad(grad)
    if score == "movement" and solver:
        with pytest.raises(ValueError, match="Calibration"):
            pr.prune(model, 0.6, score=score, solver=solver, stats=stats)
        return
    for pattern in PATTERNS.values():
        for budget in BUDGETS:
            options = {"score": score, "solver": solver, "pattern": pattern, "budget": budget, "stats": stats}
            states = [pr.prune(model, 0.6, **options).state_dict() for _ in range(2)]
            scores = {n: rng.random(W.shape) for n, W in model.items()}
            for name, W in states[0].items():
                assert W.dtype == before[name].dtype and np.array_equal(model[name], before[name])
                assert np.array_equal(W, states[1][name]), (pattern, budget)
                if budget is pr.uniform:
                    assert_pattern(W != 0, pattern, 0.6)
            if isinstance(pattern, pr.Unstructured) and budget is not pr.uniform:
                assert sum(np.count_nonzero(W == 0) for W in states[0].values()) == round(0.6 * 120), budget
            assert set(budget(scores, {n: W.shape for n, W in model.items()}, 0.6)) == set(model)


def test_a_new_score_is_one_function():
    def last_columns_go(W, stats):
        return np.broadcast_to(np.arange(W.shape[1], 0, -1.0), W.shape).copy()

    for pattern in PATTERNS.values():
        W_hat = pr.prune_layer(W0, 0.5, method=last_columns_go, pattern=pattern)
        assert_pattern(W_hat != 0, pattern, 0.5)
    assert pr.prune({"w": W0}, 0.5, score=last_columns_go, budget=pr.global_).report["w"]["nnz"] == 240


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.93, 1.0])
def test_budgets_meet_the_total(budget, sparsity):
    shapes = {"wide": (7, 301), "conv": (8, 3, 3, 3), "head": (3, 5)}
    scores = {name: np.abs(RNG.standard_cauchy(shape)) for name, shape in shapes.items()}
    shares = budget(scores, shapes, sparsity)
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    assert all(0 <= share <= 1 for share in shares.values())
    if budget is not pr.uniform:
        assert sum(round(shares[n] * sizes[n]) for n in sizes) == round(sparsity * sum(sizes.values()))


def test_erk_keeps_small_layers_dense():
    shares = pr.erk({}, {"big": (1000, 1000), "small": (10, 10)}, 0.9)
    assert shares["small"] == 0 and shares["big"] > 0.9


def test_lamp_empties_no_layer_first():
    scores = {"loud": np.full((10, 10), 100.0), "quiet": np.full((10, 10), 1e-6)}
    shares = pr.lamp(scores, {"loud": (10, 10), "quiet": (10, 10)}, 0.98)
    assert max(shares.values()) < 1


def test_owl_spares_layers_with_outliers():
    plain = np.ones((10, 100))
    outliers = plain.copy()
    outliers[:, :3] = 1000
    shares = pr.owl({"plain": plain, "outliers": outliers}, {"plain": (10, 100), "outliers": (10, 100)}, 0.7)
    assert shares["outliers"] < 0.7 < shares["plain"]


@pytest.mark.parametrize("schedule", [pr.linear, pr.cubic])
def test_schedules_rise_from_begin_to_the_end(schedule):
    f = schedule(0.9, 100, begin=10, initial=0.1)
    values = [f(step) for step in range(200)]
    assert values[:11] == [pytest.approx(0.1)] * 11 and values[110:] == [pytest.approx(0.9)] * 90
    assert all(a <= b for a, b in zip(values, values[1:]))
    assert pr.cubic(0.8, 10)(5) == pytest.approx(0.8 * (1 - 0.5**3))
    assert [pr.one_shot(0.5, begin=3)(s) for s in (2, 3)] == [0.0, 0.5]


@pytest.mark.parametrize("call, words", [
    (lambda: pr.prune_layer(W0, 1.5), ["0 to 1", "1.5"]),
    (lambda: pr.prune_layer(W0[0], 0.5), ["(out, features)", "(40,)"]),
    (lambda: pr.prune_layer(W0, 0.5, method="wanda"), ["wanda", "stats"]),
    (lambda: pr.prune_layer(W0, 0.5, method="alps"), ["stats"]),
    (lambda: pr.prune_layer(W0, 0.5, method="magic"), ["magic", "sparsegpt"]),
    (lambda: pr.prune_layer(W0, 0.5, solver="magic"), ["magic", "backsolve"]),
    (lambda: pr.prune_layer(W0[:, :30], 0.5, method="wanda", stats=STATS), ["30", "40"]),
    (lambda: pr.prune_layer(W0[:, :30], 0.5, method="obs", stats=STATS), ["30", "40"]),
    (lambda: pr.prune_layer(W0, 0.5, method="obs", stats=pr.calibrate(X, gram=False)), ["diagonal"]),
    (lambda: pr.prune_layer(W0, 0.5, method="taylor", stats=pr.calibrate(X)), ["taylor", "gradient"]),
    (lambda: pr.prune_layer(np.full((2, 2), np.nan), 0.5), ["finite", "(0, 0)"]),
    (lambda: pr.prune({"w": W0}, {"v": 0.5}), ["'v'", "'w'"]),
    (lambda: pr.prune({"w": W0}, 0.5, score=pr.wanda), ["'w'", "stats"]),
    (lambda: pr.prune({"w": W0}, -0.1), ["0 to 1", "-0.1"]),
    (lambda: pr.Unstructured("column"), ["column"]),
    (lambda: pr.NM(5, 4), ["keep=5", "group=4"]),
    (lambda: pr.Block((0, 4)), ["(0, 4)"]),
    (lambda: pr.error(W0, W0[:3]), ["(12, 40)", "(3, 40)"]),
    (lambda: pr.backsolve(W0, W0[:3] > 0, STATS), ["(12, 40)", "(3, 40)"]),
    (lambda: pr.calibrate([X, X[:, :3]]), ["40", "3"]),
    (lambda: pr.calibrate([]), ["no batches"]),
    (lambda: pr.calibrate(np.array([[1.0, np.inf]])), ["feature 1"]),
    (lambda: pr.low_rank(W0, 13), ["12", "13"]),
    (lambda: pr.low_rank(W0), ["exactly one"]),
    (lambda: pr.select_rows(X, 101), ["101", "100"]),
    (lambda: pr.select_rows(X, 5, method="el2n"), ["probabilities"]),
    (lambda: pr.cubic(0.9, 0), ["steps"]),
    (lambda: pr.linear(1.9, 3), ["sparsity"]),
    (lambda: STATS.with_grad(np.ones((3, 4))), ["(3, 4)", "40"]),
])
def test_errors_name_both_sides(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_integers_are_refused_by_name():
    with pytest.raises(TypeError, match="int64"):
        pr.prune_layer(np.ones((3, 3), dtype=np.int64), 0.5)


def test_calibration_streams_and_merges():
    whole = pr.calibrate(X)
    parts = pr.calibrate([X[:30], X[30:31], X[31:]])
    merged = pr.calibrate(X[:50]).merge(pr.calibrate(X[50:]))
    sparse = pr.calibrate(sp.csr_array(X))
    diagonal = pr.calibrate((X[i:i + 9] for i in range(0, 100, 9)), gram=False)
    expected = X.astype(np.float64).T @ X.astype(np.float64)
    for stats in (whole, parts, merged, sparse):
        np.testing.assert_allclose(stats.gram, expected, rtol=1e-12, atol=1e-10)
        assert stats.count == 100
    for stats in (whole, parts, merged, sparse, diagonal):
        np.testing.assert_allclose(stats.col_norm, np.linalg.norm(X.astype(np.float64), axis=0), rtol=1e-12)
    assert diagonal.gram is None and diagonal.dead[7] and diagonal.dead.sum() == 1


def test_dead_features_cost_nothing_and_go_first():
    for method in ("wanda", "sparsegpt"):
        W_hat = pr.prune_layer(W0, 12 / 480, method=method, pattern=pr.Unstructured("row"), stats=STATS)
        assert not W_hat[:, 7].any(), method
        np.testing.assert_array_equal(np.delete(W_hat, 7, 1), np.delete(W0, 7, 1))


@pytest.mark.parametrize("method", SOLVERS)
def test_column_major_input_is_untouched(method):
    W = np.asfortranarray(W0.astype(np.float64))
    expected = W.copy()
    W_hat = pr.prune_layer(W, 0.5, method=method, stats=STATS)
    np.testing.assert_array_equal(W, expected)
    np.testing.assert_array_equal(W_hat, pr.prune_layer(np.ascontiguousarray(W), 0.5, method=method, stats=STATS))


def test_all_features_dead():
    stats = pr.calibrate(np.zeros((10, 40)))
    for method in ("wanda", "obs", "sparsegpt", "alps"):
        assert np.count_nonzero(pr.prune_layer(W0, 0.5, method=method, stats=stats)) == 240
