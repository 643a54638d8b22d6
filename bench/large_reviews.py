"""Reviews made of real sentences, fitted in memory and in batches: accuracy, resident memory, processor time.

    python -m bench.large_reviews FOLDER SENTENCES.csv.gz [--rows N ...] [--whole] [--batch-size 20000]

Makes FOLDER/reviews-N.csv (kept for the next run): 3 to 9 sentences each, three of four drawn from those of its
own class, the others of the other class. --whole: in memory too, both measured on 10,000 reviews more of the same
kind. Prints one JSON line per run. Needs pandas and psutil.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from bench.large_table import fit
from sparsecore.pipeline import table_batches


def make(path, sentences, rows, seed):
    """A CSV of `rows` reviews from {class: array of sentences}."""
    rng, classes = np.random.default_rng(seed), sorted(sentences)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["review", "sentiment"])
        for _ in range(rows):
            kind = int(rng.integers(2))
            own = rng.random(rng.integers(3, 10)) < 0.75
            parts = (sentences[classes[kind if mine else 1 - kind]] for mine in own)
            writer.writerow([" ".join(part[rng.integers(len(part))] for part in parts), classes[kind]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sentences", type=Path, help="a table with the columns review and sentiment, of two classes")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--whole", action="store_true", help="fit in memory too")
    parser.add_argument("--batch-size", default="20000")
    args = parser.parse_args()
    found = next(table_batches(args.sentences, text=["review", "sentiment"], batch_size=10**6))
    sentences = {kind: found["review"][found["sentiment"] == kind] for kind in np.unique(found["sentiment"])}
    test = args.folder / "reviews-test.csv"
    for rows, path in [(10_000, test), *((n, args.folder / f"reviews-{n}.csv") for n in args.rows)]:
        if not path.exists():
            make(path, sentences, rows, seed=[rows, path == test])
    for rows in args.rows:
        for how in ([[]] if args.whole else []) + [["--batch-size", args.batch_size]]:
            facts, peak, cpu, wall = fit(args.folder / f"reviews-{rows}.csv", args.folder / "reviews.model", "--text",
                                         "review", "--test", str(test), *how, label="sentiment", sparsity="0.95")
            print(json.dumps({"rows": rows, "how": " ".join(how) or "in memory", "features": facts["features"],
                              "dense": facts["accuracy_dense"], "pruned": facts["accuracy_pruned"],
                              "peak_resident_mb": round(peak / 1e6), "processor_seconds": round(cpu),
                              "seconds": round(wall)}), flush=True)


if __name__ == "__main__":
    main()
