"""What sealing costs: a model of 1 GB saved plain and sealed, to the disk, in turns.

    python -m bench.sealed FOLDER [--bytes N] [--rounds R]

Both go through sc.io.save_model: temporary file, fsync, rename, fsync of the folder. Prints one JSON line with the
least times and their ratio, and the same for reading the files again.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

import sparsecore as sc


def seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rng, key = np.random.default_rng(0), os.urandom(32)
    rows = args.bytes // (4 * 4096)
    model = {"layer": rng.random((rows, 4096), np.float32)}
    path, times = args.folder / "sealed_bench.model", {"plain": [], "sealed": [], "opened": [], "read": []}
    for _ in range(args.rounds):
        times["plain"].append(seconds(lambda: sc.io.save_model(path, model)))
        times["read"].append(seconds(lambda: sc.io.load_model(path)))
        path.unlink()
        times["sealed"].append(seconds(lambda: sc.io.save_model(path, model, key=key)))
        times["opened"].append(seconds(lambda: sc.io.load_model(path, key=key)))
        path.unlink()
    least = {name: min(values) for name, values in times.items()}
    print(json.dumps({"bytes": model["layer"].nbytes, **{k: round(v, 2) for k, v in least.items()},
                      "sealed_over_plain": round(least["sealed"] / least["plain"], 2),
                      "opened_over_read": round(least["opened"] / least["read"], 2),
                      "all": {k: [round(t, 2) for t in v] for k, v in times.items()}}))


if __name__ == "__main__":
    main()
