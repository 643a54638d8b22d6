"""scikit-learn estimators: the pipeline's steps with fit, transform and predict.

    make_pipeline(Scaler(), Sparsifier(keep=0.2), TruncatedSVD(50), PrototypeClassifier())

All take dense and sparse input, follow set_output and get_feature_names_out, and pass scikit-learn's check_estimator.
"""

from __future__ import annotations

import numbers

import numpy as np
import scipy.sparse as sp

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        OneToOneFeatureMixin,
        TransformerMixin,
        clone,
    )
    from sklearn.feature_selection import SelectorMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, has_fit_parameter, validate_data
except ImportError as error:
    raise ImportError("the estimators need scikit-learn: pip install 'sparsecore[sklearn]'") from error

from .. import ops
from .. import pruning as pr
from ..pipeline.aggregate import aggregate
from ..pipeline.linear import encode_labels, pick_labels, prune_linear, ridge
from ..pipeline.scale import ColumnStatistics, by_columns, unit_length
from ..pipeline.sparsify import column_scores, kept_columns
from ..svd import truncated_svd

__all__ = ["PrototypeClassifier", "PrunedLinearClassifier", "Scaler", "Sparsifier", "TruncatedSVD"]

_FLOATS = (np.float64, np.float32)


class Scaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Zero-preserving scaling (`sparsecore.scale`).

    method : {'maxabs', 'std', 'l2', 'tfidf'}
    with_mean : False, as in StandardScaler; True is an error, since centring fills the zeros
    Fitted: divisor_ (n_features,) for 'maxabs' and 'std', idf_ for 'tfidf'. partial_fit takes batches; the result has
    the same bits as fitting in one go.
    """

    def __init__(self, method="maxabs", *, with_mean=False):
        self.method = method
        self.with_mean = with_mean

    def fit(self, X, y=None):
        self._statistics = None
        return self.partial_fit(X)

    def partial_fit(self, X, y=None):
        """Learn from one more batch of rows."""
        if self.method not in ("maxabs", "std", "l2", "tfidf"):
            raise ValueError(f"method is {self.method!r}; it must be 'maxabs', 'std', 'l2' or 'tfidf'")
        if self.with_mean:
            raise ValueError("with_mean=True would fill the zeros; TruncatedSVD(center=True) centres without")
        first = getattr(self, "_statistics", None) is None
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=first)
        if first:
            self._statistics = ColumnStatistics()
        self._statistics.add(_canonical(X))
        if self.method in ("maxabs", "std"):
            self.divisor_ = self._statistics.divisor(self.method)
        elif self.method == "tfidf":
            self.idf_ = self._statistics.idf()
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False)
        if self.method == "l2":
            result = unit_length(X)
        elif self.method == "tfidf":
            result = unit_length(by_columns(X, self.idf_))
        else:
            result = by_columns(X, 1.0, self.divisor_)
        return _as(X, result)

    def __sklearn_is_fitted__(self):
        return getattr(self, "_statistics", None) is not None

    def __sklearn_tags__(self):
        return _takes_sparse(super().__sklearn_tags__(), transformer=True)


class Sparsifier(SelectorMixin, BaseEstimator):
    """Keeps the columns of best score and drops the others (`sparsecore.sparsify`).

    method : {'sum', 'weighted', 'norm'}
    keep : float, the share of columns that stay, 0 < keep <= 1
    Fitted: scores_ (n_features,), kept_ (their numbers, ascending).
    """

    def __init__(self, method="sum", keep=0.5):
        self.method = method
        self.keep = keep

    def fit(self, X, y=None):
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS)
        if not (isinstance(self.keep, numbers.Real) and 0 < self.keep <= 1):
            raise ValueError(f"keep is {self.keep}; it must be above 0 and at most 1")
        self.scores_ = column_scores(X, self.method)
        self.kept_ = kept_columns(self.scores_, self.keep)
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, bool)
        mask[self.kept_] = True
        return mask

    def __sklearn_tags__(self):
        return _takes_sparse(super().__sklearn_tags__())


class TruncatedSVD(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Projection on the leading right singular vectors (`sparsecore.truncated_svd`).

    n_components : int; ignored where energy is given
    tol : float, residuals are at most tol * s[0]
    energy : float in (0, 1], optional: as many components as hold this share of the squared norm
    center : bool, subtract column means, implicitly (a sparse X stays sparse): principal components
    random_state : int, the seed
    Fitted: components_ (k, n_features), singular_values_, residuals_, mean_ (zeros without center), n_components_,
    explained_variance_ and explained_variance_ratio_: of the training rows' projections, and its share of all.
    """

    def __init__(self, n_components=2, *, tol=1e-3, energy=None, center=False, random_state=0):
        self.n_components = n_components
        self.tol = tol
        self.energy = energy
        self.center = center
        self.random_state = random_state

    def fit(self, X, y=None):
        self.fit_transform(X)
        return self

    def fit_transform(self, X, y=None):
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS)
        if self.energy is None and not 1 <= self.n_components <= min(X.shape):
            raise ValueError(f"n_components={self.n_components} must be from 1 to "
                             f"min(n_samples={X.shape[0]}, n_features={X.shape[1]})")
        size = {"k": self.n_components} if self.energy is None else {"energy": self.energy}
        seed = 0 if self.random_state is None else self.random_state
        found = truncated_svd(X, **size, tol=self.tol, center="columns" if self.center else None, seed=seed)
        self.components_, self.singular_values_, self.residuals_ = found.Vt, found.s, found.residuals
        self.n_components_ = self._n_features_out = len(found.s)
        self.mean_ = np.asarray(X.mean(axis=0)).ravel() if self.center else np.zeros(X.shape[1], X.dtype)
        projected = found.U * found.s
        total = float(np.sum(ops.mean_var(X, axis=0)[1] if sp.issparse(X) else X.var(axis=0, dtype=np.float64)))
        self.explained_variance_ = projected.var(axis=0, dtype=np.float64)
        self.explained_variance_ratio_ = self.explained_variance_ / total if total else 0 * self.explained_variance_
        return projected

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False)
        V = np.ascontiguousarray(self.components_.T)
        return (ops.matmul(X, V) if sp.issparse(X) else X @ V) - self.mean_ @ V

    def inverse_transform(self, X):
        """Rows (n, n_features) whose projection is X."""
        check_is_fitted(self)
        return np.asarray(X) @ self.components_ + self.mean_

    def __sklearn_tags__(self):
        return _takes_sparse(super().__sklearn_tags__(), transformer=True)


class PrototypeClassifier(ClassifierMixin, BaseEstimator):
    """The aggregated model: a condensed row per class, or per cluster of a class; the nearest one decides.

        decision = max over prototypes p of the class of  x.p - |p|^2 / 2

    per_class : int, prototypes per class (clusters by scikit-learn's KMeans where more than one)
    sparsity : float, the share of the prototypes' entries that is pruned by magnitude
    random_state : int, the seed of the clustering
    Fitted: prototypes_ (csr_array if sparsity > 0, else ndarray), owner_ (class number of each), classes_.
    """

    def __init__(self, per_class=1, *, sparsity=0.0, random_state=0):
        self.per_class = per_class
        self.sparsity = sparsity
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        X, y, weight = _labelled(self, X, y, sample_weight)
        if not (isinstance(self.per_class, numbers.Integral) and self.per_class >= 1):
            raise ValueError(f"per_class is {self.per_class}; it must be a whole number from 1")
        present = weight > 0
        X, y, weight = X[present], y[present], weight[present]
        group = np.zeros(len(y), np.int64)
        if self.per_class > 1:
            for c in range(len(self.classes_)):
                rows = np.flatnonzero(y == c)
                group[rows] = self._clusters(X[rows], weight[rows])
        label = y * self.per_class + group
        rows = aggregate(sp.csr_array(X) if sp.issparse(X) else X, label, weight=weight)
        rows = rows.toarray() if sp.issparse(rows) else rows
        self.owner_ = np.unique(label) // self.per_class
        self.prototypes_ = pr.prune({"p": rows}, self.sparsity).layers["p"] if self.sparsity else rows
        return self

    def decision_function(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False)
        P = self.prototypes_.toarray() if sp.issparse(self.prototypes_) else self.prototypes_
        scores = np.asarray(ops.matmul(X, np.ascontiguousarray(P.T)) if sp.issparse(X) else X @ P.T)
        scores = scores - (P * P).sum(axis=1) / 2
        best = np.full((X.shape[0], len(self.classes_)), -np.inf)
        for p, c in enumerate(self.owner_):
            np.maximum(best[:, c], scores[:, p], out=best[:, c])
        return best[:, 1] - best[:, 0] if len(self.classes_) == 2 else best

    def predict(self, X):
        scores = self.decision_function(X)
        return pick_labels(scores.reshape(len(scores), -1), self.classes_)

    def _clusters(self, X, weight):
        from sklearn.cluster import KMeans

        count = min(self.per_class, X.shape[0])
        return KMeans(count, n_init=3, random_state=self.random_state).fit_predict(X, sample_weight=weight)

    def __sklearn_tags__(self):
        return _takes_sparse(super().__sklearn_tags__())


class PrunedLinearClassifier(ClassifierMixin, BaseEstimator):
    """Any linear classifier, pruned, with the weights that are left solved again.

    estimator : a scikit-learn classifier with coef_ (cloned), or None for ridge regression on +1 and -1 in closed form
    sparsity : float, the share of the weights that goes
    criterion : a score of sparsecore.pruning, f(W, stats) -> scores, or its name; one that needs the inputs gets them
    alpha : float, the ridge penalty (estimator=None)
    refit : bool, solve the remaining weights again, one class against the others, each on its own support
    Fitted: coef_ (csr_array), intercept_, classes_.
    """

    def __init__(self, estimator=None, *, sparsity=0.5, criterion="magnitude", alpha=1.0, refit=True):
        self.estimator = estimator
        self.sparsity = sparsity
        self.criterion = criterion
        self.alpha = alpha
        self.refit = refit

    def fit(self, X, y, sample_weight=None):
        X, y, weight = _labelled(self, X, y, sample_weight)
        Y = encode_labels(y, np.arange(len(self.classes_)))
        coef, intercept = self._solve(X, y, Y, weight)
        score = getattr(pr, self.criterion) if isinstance(self.criterion, str) else self.criterion
        stats = None if score in (pr.magnitude, pr.random) else pr.calibrate(X)
        mask = prune_linear(coef, self.sparsity, score=score, stats=stats)
        coef = coef * mask
        if self.refit:
            for o in range(len(coef)):
                own = np.flatnonzero(mask[o])
                if own.size:
                    solved, shift = self._solve(X[:, own], (Y[:, o] > 0).astype(int), Y[:, o : o + 1], weight)
                    coef[o, own], intercept[o] = solved[0], shift[0]
                else:
                    intercept[o] = weight @ Y[:, o] / weight.sum()
        self.coef_, self.intercept_ = sp.csr_array(coef), intercept
        return self

    def decision_function(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False)
        if sp.issparse(X):
            scores = ops.matmul(X, np.ascontiguousarray(self.coef_.toarray().T))
        else:
            scores = ops.matmul(self.coef_, np.ascontiguousarray(X.T)).T
        scores = np.asarray(scores) + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X):
        scores = self.decision_function(X)
        return pick_labels(scores.reshape(len(scores), -1), self.classes_)

    def _solve(self, X, y, Y, weight):
        """coef (outputs, features) and intercept of the chosen classifier."""
        if self.estimator is None:
            return ridge(X, Y, self.alpha, weight)
        model = clone(self.estimator)
        weights = {"sample_weight": weight} if has_fit_parameter(model, "sample_weight") else {}
        model.fit(X, y, **weights)
        if not hasattr(model, "coef_"):
            raise TypeError(f"{type(model).__name__} has no coef_: it is no linear classifier")
        coef = model.coef_.toarray() if sp.issparse(model.coef_) else np.array(model.coef_, np.float64)
        return np.atleast_2d(coef), np.broadcast_to(model.intercept_, len(np.atleast_2d(coef))).astype(np.float64)

    def __sklearn_tags__(self):
        return _takes_sparse(super().__sklearn_tags__())


def _labelled(estimator, X, y, sample_weight):
    """Checked rows, class numbers and weights; sets classes_."""
    X, y = validate_data(estimator, X, y, accept_sparse="csr", dtype=_FLOATS)
    check_classification_targets(y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    estimator.classes_ = np.unique(y[weight > 0])
    if len(estimator.classes_) < 2:
        raise ValueError(f"{type(estimator).__name__} needs 2 classes; the data has {len(estimator.classes_)} class")
    present = np.searchsorted(estimator.classes_, y)
    return _canonical(X), np.where(weight > 0, present, 0), weight


def _canonical(X):
    """Duplicates added, in a copy: the caller's matrix is not touched."""
    if not sp.issparse(X) or X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def _as(X, result):
    """A sparse result in the family of X, in its type."""
    result = result.astype(X.dtype, copy=False)
    return type(X)(result) if sp.issparse(X) else result


def _takes_sparse(tags, transformer=False):
    tags.input_tags.sparse = True
    if transformer:
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
    return tags
