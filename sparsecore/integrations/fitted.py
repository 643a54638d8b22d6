"""Fitted scikit-learn models: prune their coefficients, and predict with sparse ones.

Linear models (coef_: LogisticRegression, LinearSVC, SGDClassifier, Ridge, Lasso, LinearRegression ...) and
multi-layer perceptrons (coefs_: MLPClassifier, MLPRegressor).
"""
import copy

import numpy as np
import scipy.sparse as sp

from .. import pruning as pr

__all__ = ["calibrate_estimator", "prune_estimator"]


def prune_estimator(model, sparsity, *, X=None, stats=None, sparse=True, **options):
    """(a copy of the fitted model with pruned coefficients, the PrunedModel of them).

    Parameters
    ----------
    model : fitted estimator with coef_ or coefs_; untouched
    sparsity : float, or {name: float} with names 'coef_' or 'coefs_.0', 'coefs_.1', ...
    X : array or sparse (samples, features), optional
        Inputs to calibrate with, for scores and solvers that look at them. Or give `stats` (calibrate_estimator).
    sparse : bool
        Hold the coefficients as CSR, which predict() of these models takes; False leaves dense arrays with zeros.
    options : score, pattern, budget, solver, include, exclude of pr.prune

    Raises TypeError where the model has neither attribute, ValueError as pr.prune.
    """
    weights = _weights(model)
    if stats is None and X is not None:
        stats = calibrate_estimator(model, X)
    pruned = pr.prune(weights, sparsity, stats=stats, **options)
    model = copy.deepcopy(model)
    if hasattr(model, "coefs_"):
        layers = [pruned.layers[name] for name in weights]
        model.coefs_ = [W.T.tocsr() if sparse and sp.issparse(W) else np.ascontiguousarray(pr.todense(W).T)
                        for W in layers]
    else:
        W = pruned.layers["coef_"]
        # A single row of a regression is held as a vector, which cannot be sparse.
        flat = np.ndim(model.coef_) == 1
        model.coef_ = W if sparse and sp.issparse(W) and not flat else pr.todense(W).reshape(np.shape(model.coef_))
    return model, pruned


def calibrate_estimator(model, X):
    """{name: Calibration} of what every coefficient matrix of a fitted model is multiplied with when it predicts X."""
    weights = _weights(model)
    stats = {}
    for i, (name, W) in enumerate(weights.items()):
        stats[name] = pr.calibrate(X)
        if i + 1 < len(weights):
            X = _ACTIVATIONS[model.activation](np.asarray(X @ W.T) + model.intercepts_[i])
    return stats


def _weights(model):
    """{name: (outputs, inputs)}."""
    if hasattr(model, "coefs_"):
        return {f"coefs_.{i}": np.ascontiguousarray(_dense(W).T) for i, W in enumerate(model.coefs_)}
    if hasattr(model, "coef_"):
        return {"coef_": np.atleast_2d(_dense(model.coef_))}
    raise TypeError(f"{type(model).__name__} has neither coef_ nor coefs_: fit it first, or it is not a linear model "
                    "or multi-layer perceptron")


def _dense(W):
    return W.toarray() if sp.issparse(W) else np.asarray(W)


_ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "logistic": lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
}
