"""The estimators: scikit-learn's own checks in full, and what they promise beyond."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits, load_wine, make_classification  # noqa: E402
from sklearn.linear_model import LogisticRegression, SGDClassifier  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from sparsecore.integrations.sklearn import (  # noqa: E402
    PrototypeClassifier,
    PrunedLinearClassifier,
    Scaler,
    Sparsifier,
    TruncatedSVD,
)

ESTIMATORS = [
    Scaler(), Scaler("std"), Scaler("l2"), Sparsifier(), Sparsifier("weighted"), Sparsifier("norm"),
    TruncatedSVD(), TruncatedSVD(center=True), TruncatedSVD(energy=0.9), PrototypeClassifier(),
    PrototypeClassifier(per_class=2), PrunedLinearClassifier(), PrunedLinearClassifier(LogisticRegression()),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def test_in_a_pipeline_with_names_and_frames(digits):
    pytest.importorskip("pandas")
    X, y = load_wine(return_X_y=True, as_frame=True)
    steps = make_pipeline(Scaler("std"), Sparsifier(keep=0.5), TruncatedSVD(3, center=True))
    out = steps.set_output(transform="pandas").fit_transform(X, y)
    assert list(out.columns) == ["truncatedsvd0", "truncatedsvd1", "truncatedsvd2"]
    kept = steps[:2].get_feature_names_out()
    assert len(kept) == 6 and set(kept) <= set(X.columns)


def test_sparse_input_gives_the_dense_answer(digits):
    X, y = digits
    for estimator in (Scaler(), Scaler("std"), Scaler("l2"), Scaler("tfidf"), Sparsifier(), Sparsifier("weighted")):
        dense, sparse = (clone(estimator).fit(M).transform(M) for M in (X, sp.csr_array(X)))
        assert sp.issparse(sparse) and np.allclose(sparse.toarray(), dense)
    for center in (False, True):
        svds = [TruncatedSVD(5, tol=1e-6, center=center).fit(M) for M in (X, sp.csr_matrix(X))]
        assert np.allclose(svds[0].singular_values_, svds[1].singular_values_, rtol=1e-6)
        assert np.allclose(svds[0].transform(X), svds[1].transform(sp.csr_array(X)), atol=1e-3 * abs(X).max())
    for classifier in (PrototypeClassifier(), PrunedLinearClassifier()):
        dense, sparse = (clone(classifier).fit(M, y).decision_function(M) for M in (X, sp.csr_array(X)))
        assert np.allclose(dense, sparse)


def test_centred_svd_is_principal_components(digits):
    from sklearn.decomposition import PCA

    X, _ = digits
    ours = TruncatedSVD(4, tol=1e-8, center=True).fit(X)
    theirs = PCA(4, svd_solver="full").fit(X)
    assert np.allclose(ours.singular_values_, theirs.singular_values_)
    assert np.allclose(abs(ours.components_ @ theirs.components_.T), np.eye(4), atol=1e-5)


def test_explained_variance_is_scikit_learns(digits):
    from sklearn.decomposition import PCA
    from sklearn.decomposition import TruncatedSVD as Theirs

    X, _ = digits
    theirs, components = Theirs(4, algorithm="arpack").fit(X), PCA(4, svd_solver="full").fit(X)
    for M in (X, sp.csr_array(X)):
        ours = TruncatedSVD(4, tol=1e-8).fit(M)
        assert np.allclose(ours.explained_variance_, theirs.explained_variance_)
        assert np.allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_)
        centred = TruncatedSVD(4, tol=1e-8, center=True).fit(M)
        assert np.allclose(centred.explained_variance_ratio_, components.explained_variance_ratio_)
    assert (TruncatedSVD(1).fit(np.ones((5, 3))).explained_variance_ratio_ == 0).all()


def test_energy_chooses_the_number_of_components(digits):
    X, _ = digits
    s = np.linalg.svd(X, compute_uv=False)
    expected = int(np.searchsorted(np.cumsum(s**2) / (s**2).sum(), 0.9)) + 1
    assert TruncatedSVD(energy=0.9).fit(X).n_components_ == expected


@pytest.mark.parametrize("inner", [None, LogisticRegression(max_iter=200), SGDClassifier(random_state=0)])
@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_exactly_so_many_weights_go(digits, inner, sparsity):
    X, y = digits
    model = PrunedLinearClassifier(inner, sparsity=sparsity).fit(X / 16, y)
    assert model.coef_.nnz == 640 - round(sparsity * 640)


def test_solving_again_beats_plain_magnitude():
    X, y = make_classification(600, 100, n_informative=20, n_redundant=40, random_state=0)
    plain, solved = (cross_val_score(PrunedLinearClassifier(sparsity=0.9, refit=refit), X, y).mean()
                     for refit in (False, True))
    assert solved > plain


def test_batches_scale_with_the_bits_of_one_go(digits):
    X, _ = digits
    whole, parts = Scaler("std").fit(X), Scaler("std")
    for rows in np.array_split(X, 7):
        parts.partial_fit(rows)
    assert whole.divisor_.tobytes() == parts.divisor_.tobytes()


def test_sample_weights_count_rows(digits):
    X, y = digits
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    for model in (PrototypeClassifier(), PrunedLinearClassifier(alpha=0.1)):
        weighted = clone(model).fit(X, y, sample_weight=weight)
        repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert np.allclose(weighted.decision_function(X), repeated.decision_function(X))


def test_fitted_models_travel_through_joblib(tmp_path, digits):
    X, y = digits
    model = make_pipeline(Scaler(), Sparsifier(keep=0.7), PrunedLinearClassifier(sparsity=0.8)).fit(X, y)
    joblib.dump(model, tmp_path / "m")
    assert (joblib.load(tmp_path / "m").predict(X) == model.predict(X)).all()


def test_more_prototypes_fit_better_and_pruned_ones_stay_close(digits):
    X, y = digits
    one, five, sparse = (PrototypeClassifier(k, sparsity=s).fit(X, y).score(X, y)
                         for k, s in ((1, 0), (5, 0), (1, 0.5)))
    assert five > one > 0.85 and sparse > one - 0.05


@pytest.mark.parametrize("estimator, message", [
    (Scaler("log"), "method is 'log'"), (Scaler(with_mean=True), "fill the zeros"), (Sparsifier(keep=0), "keep is 0"),
    (Sparsifier("best"), "method is 'best'"), (TruncatedSVD(65), "n_features=64"),
    (PrototypeClassifier(0), "per_class is 0"),
])
def test_wrong_parameters_are_named(digits, estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(*digits)
