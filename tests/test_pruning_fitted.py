"""Pruning fitted scikit-learn models."""
import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("sklearn")
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402

import sparsecore.pruning as pr  # noqa: E402
from sparsecore.integrations.fitted import calibrate_estimator, prune_estimator  # noqa: E402

X, Y = load_digits(return_X_y=True)
X = X / 16


@pytest.fixture(scope="module")
def network():
    return MLPClassifier((64,), max_iter=60, random_state=0, tol=0.01).fit(X[:1200], Y[:1200])


@pytest.fixture(scope="module")
def linear():
    return LogisticRegression(max_iter=300).fit(X[:1200], Y[:1200])


def test_linear_classifier_keeps_its_accuracy_at_half_the_weights(linear):
    before = linear.coef_.copy()
    small, pruned = prune_estimator(linear, 0.5, X=X[:1200], score="alps")
    assert sp.issparse(small.coef_) and small.coef_.nnz == 320
    np.testing.assert_array_equal(linear.coef_, before)
    assert small.score(X[1200:], Y[1200:]) >= linear.score(X[1200:], Y[1200:]) - 0.03
    dense, _ = prune_estimator(linear, 0.5, X=X[:1200], score="alps", sparse=False)
    np.testing.assert_allclose(dense.decision_function(X), small.decision_function(X))


@pytest.mark.parametrize("target", [Y.astype(float), np.stack([Y, -Y], 1).astype(float)])
@pytest.mark.parametrize("kind", [LinearRegression, Ridge])
def test_regressions(kind, target):
    model = kind().fit(X, target)
    small, pruned = prune_estimator(model, 0.5)
    assert small.predict(X).shape == target.shape
    assert np.count_nonzero(pr.todense(pruned.layers["coef_"])) <= model.coef_.size - round(0.5 * model.coef_.size)


def test_network_calibrates_on_its_own_activations(network):
    stats = calibrate_estimator(network, X)
    hidden = np.maximum(X @ network.coefs_[0] + network.intercepts_[0], 0)
    np.testing.assert_allclose(stats["coefs_.1"].gram, hidden.T @ hidden, atol=1e-8)


def test_network_keeps_its_accuracy(network):
    small, pruned = prune_estimator(network, 0.6, X=X[:1200], score="obs")
    assert [W.nnz for W in small.coefs_] == [64 * 64 - round(0.6 * 64 * 64), 640 - 384]
    assert small.score(X[1200:], Y[1200:]) >= network.score(X[1200:], Y[1200:]) - 0.03
    again, _ = prune_estimator(small, 0.6)
    np.testing.assert_array_equal(again.predict(X), small.predict(X))


def test_network_regressor():
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0, tol=1).fit(X, Y)
    small, _ = prune_estimator(model, 0.5, X=X, score="wanda")
    assert small.predict(X).shape == Y.shape


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="LogisticRegression.*fit"):
        prune_estimator(LogisticRegression(), 0.5)
