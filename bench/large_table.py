"""A CSV of 2,000,000 rows (about 1.5 GB), fitted in batches: resident memory, use of the cores, weights.

    python -m bench.large_table FOLDER [--rows N]

Makes FOLDER/large.csv (kept for the next run) and its first 100,000 rows, fits the whole in batches in a fresh process,
then the first rows in batches and in one go, and prints one JSON line. Needs pandas, pyarrow and psutil.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

COLUMNS, HEAD, BATCH = 105, 100_000, 50_000


def make(path, rows, seed=0):
    """Two classes, 105 numeric columns of up to 9 characters, 30 % of them zero, 15 that matter."""
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(seed)
    weight = np.where(np.arange(COLUMNS) % 7 == 0, 1.0, 0.0)
    names = [*(f"x{i}" for i in range(COLUMNS)), "label"]
    schema = pa.schema([(n, pa.string() if n == "label" else pa.float64()) for n in names])
    with csv.CSVWriter(str(path), schema, write_options=csv.WriteOptions(quoting_style="none")) as writer:
        for start in range(0, rows, BATCH):
            n = min(BATCH, rows - start)
            X = np.where(rng.random((n, COLUMNS)) < 0.7, rng.standard_normal((n, COLUMNS)).round(6), 0)
            y = np.where(X @ weight + rng.standard_normal(n) > 0, "yes", "no")
            writer.write_table(pa.table([*(pa.array(c) for c in X.T), pa.array(y)], schema=schema))


def fit(data, model, *more, label="label", sparsity="0.8"):
    """Run `sparsecore fit` in a fresh process; (facts, peak resident bytes, processor seconds, wall seconds).

    Workers of its own count too.
    """
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "sparsecore", "fit", str(data), "--label", label, "--sparsity",
                              sparsity, "-o", str(model), "--json", *more], stdout=subprocess.PIPE, text=True)
    watched, seen = psutil.Process(child.pid), {"peak": 0, "cpu": 0.0}

    def watch():
        while child.poll() is None:
            try:
                tree = [watched, *watched.children(recursive=True)]
                seen["peak"] = max(seen["peak"], sum(p.memory_info().rss for p in tree))
                times = [p.cpu_times() for p in tree]
                seen["cpu"] = max(seen["cpu"], sum(t.user + t.system for t in times))
            except psutil.Error:  # a worker that ended in between
                pass
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out = child.communicate()[0]
    watcher.join()
    if child.returncode:
        raise SystemExit(child.returncode)
    return json.loads(out), seen["peak"], seen["cpu"], time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    args = parser.parse_args()
    large, head = args.folder / "large.csv", args.folder / "head.csv"
    if not large.exists():
        make(large, args.rows)
    with open(large, "rb") as source, open(head, "wb") as target:
        for _ in range(min(HEAD, args.rows) + 1):
            target.write(source.readline())
    batches = ("--batch-size", str(BATCH))
    facts, peak, cpu, wall = fit(large, args.folder / "large.model", *batches)
    fit(head, args.folder / "head.model", *batches)
    fit(head, args.folder / "whole.model")
    from sparsecore.io import load_model

    a, b = (load_model(args.folder / name).state_dict() for name in ("head.model", "whole.model"))
    print(json.dumps({
        "bytes": os.path.getsize(large), "rows": facts["rows"], "accuracy": facts["accuracy_pruned"],
        "peak_resident_mb": round(peak / 1e6), "seconds": round(wall, 1),
        "percent_of_one_core": round(100 * cpu / wall),
        "largest_difference_of_weights": max(float(np.abs(a[k] - b[k]).max()) for k in ("coef", "intercept")),
        "same_columns": a["coef"].shape == b["coef"].shape}))


if __name__ == "__main__":
    main()
