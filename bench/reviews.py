"""Accuracy on the 2,000 movie reviews by strategy and sparsity, 5-fold, two seeds.

    python -m bench.reviews DATA/text/movie_reviews_2000.csv.gz [--seeds 0 1]

Strategies: the dense ridge classifier; its largest weights as they are (magnitude); its largest weights, solved again
(what `sparsecore fit` does); one prototype per class after a truncated SVD of rank 100. Prints a Markdown table of
accuracies in per cent. Terms, weights and masks are learned on the training folds only.
"""

import argparse

import numpy as np

from sparsecore.integrations.sklearn import PrototypeClassifier, Scaler, TruncatedSVD
from sparsecore.pipeline import table_batches
from sparsecore.pipeline.features import TextFeatures
from sparsecore.pipeline.linear import pick_labels, prune_linear
from sparsecore.pipeline.model import accuracy, folds, train

SPARSITIES = (0.9, 0.95, 0.98, 0.99)


def fold_accuracies(raw, y, spec, learn, test):
    """{strategy: accuracy} of one fold."""
    features, chosen = spec.fitted(raw[learn])
    X, X_test = (features.weigh(raw[rows][:, chosen]) for rows in (learn, test))
    classes, found = np.unique(y), {}
    for sparsity in SPARSITIES:
        dense, pruned = train(X, y[learn], classes, features, sparsity=sparsity)
        found["dense"] = accuracy(dense, X_test, y[test], features)
        plain = np.where(prune_linear(dense.coef, sparsity), dense.coef, 0)
        labels = pick_labels(X_test @ plain.T + dense.intercept, classes)
        found[f"{100 * sparsity:g} % magnitude"] = float((labels == y[test]).mean())
        found[f"{100 * sparsity:g} % solved again"] = accuracy(pruned, X_test, y[test], features)
    svd, scaler = TruncatedSVD(100), Scaler("std")
    Z = scaler.fit_transform(svd.fit_transform(X))
    found["prototypes, rank 100"] = PrototypeClassifier().fit(Z, y[learn]).score(
        scaler.transform(svd.transform(X_test)), y[test])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()
    data = next(table_batches(args.data, text=["review", "sentiment"], batch_size=10**6))
    spec, y = TextFeatures("review"), data["sentiment"]
    raw = spec.count(data)
    table = {}
    for seed in args.seeds:
        place = folds(y, 5, seed)
        found = [fold_accuracies(raw, y, spec, np.flatnonzero(place != f), np.flatnonzero(place == f))
                 for f in range(5)]
        for name in found[0]:
            table.setdefault(name, []).append(100 * np.mean([fold[name] for fold in found]))
    print("| strategy | " + " | ".join(f"seed {seed}" for seed in args.seeds) + " |")
    print("|---|" + "---|" * len(args.seeds))
    for name in sorted(table, key=lambda n: (n != "dense", n)):
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in table[name]) + " |")


if __name__ == "__main__":
    main()
