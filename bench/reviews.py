"""Accuracy on the 2,000 movie reviews by strategy and sparsity, 5-fold, two seeds.

    python -m bench.reviews DATA/text/movie_reviews_2000.csv.gz [--seeds 0 1]

Strategies: the dense ridge classifier; its largest weights as they are (magnitude); those solved again with the first
penalty (solved again); the largest of a stiffer fit, solved again with half the penalty (what `sparsecore fit` does);
one prototype per class after a truncated SVD of rank 100. Prints a Markdown table of accuracies in per cent. Terms,
weights and masks are learned on the training folds only.
"""

import argparse

import numpy as np

from sparsecore.integrations.sklearn import PrototypeClassifier, Scaler, TruncatedSVD
from sparsecore.pipeline import table_batches
from sparsecore.pipeline.features import TextFeatures
from sparsecore.pipeline.linear import AGAIN, CHOICE, encode_labels, pick_labels, prune_linear, ridge_path
from sparsecore.pipeline.model import accuracy, folds, solve_again

ALPHA, SPARSITIES = 0.3, (0.95, 0.98, 0.99)


def fold_accuracies(raw, y, spec, learn, test, prototypes=True):
    """{strategy: accuracy} of one fold."""
    features, chosen = spec.fitted(raw[learn])
    X, X_test = (features.weigh(raw[rows][:, chosen]) for rows in (learn, test))
    found = linear_accuracies(X, y[learn], X_test, y[test], features)
    if prototypes:
        svd, scaler = TruncatedSVD(100), Scaler("std")
        Z = scaler.fit_transform(svd.fit_transform(X))
        found["prototypes, rank 100"] = PrototypeClassifier().fit(Z, y[learn]).score(
            scaler.transform(svd.transform(X_test)), y[test])
    return found


def linear_accuracies(X, y, X_test, y_test, features):
    classes = np.unique(y)
    Y = encode_labels(y, classes)
    (coef, intercept), (choosing, _) = ridge_path(X, Y, [ALPHA, CHOICE * ALPHA])

    def correct(W):
        return float((pick_labels(X_test @ W.T + intercept, classes) == y_test).mean())

    def again(W, sparsity, penalty):
        model = solve_again(X, Y, prune_linear(W, sparsity), features, penalty, classes)
        return accuracy(model, X_test, y_test, features)

    found = {"dense": correct(coef)}
    for sparsity in SPARSITIES:
        name = f"{100 * sparsity:g} %"
        found[f"{name} magnitude"] = correct(np.where(prune_linear(coef, sparsity), coef, 0))
        found[f"{name} solved again"] = again(coef, sparsity, ALPHA)
        found[f"{name} fit"] = again(choosing, sparsity, AGAIN * ALPHA)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folds", type=int, default=5, help="so many of the five folds (default: all)")
    args = parser.parse_args()
    data = next(table_batches(args.data, text=["review", "sentiment"], batch_size=10**6))
    spec, y = TextFeatures("review"), data["sentiment"]
    raw = spec.count(data)
    table = {}
    for seed in args.seeds:
        place = folds(y, 5, seed)
        found = [fold_accuracies(raw, y, spec, np.flatnonzero(place != f), np.flatnonzero(place == f))
                 for f in range(args.folds)]
        for name in found[0]:
            table.setdefault(name, []).append(100 * np.mean([fold[name] for fold in found]))
    print("| strategy | " + " | ".join(f"seed {seed}" for seed in args.seeds) + " |")
    print("|---|" + "---|" * len(args.seeds))
    for name in sorted(table, key=lambda n: (n != "dense", n)):
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in table[name]) + " |")


if __name__ == "__main__":
    main()
