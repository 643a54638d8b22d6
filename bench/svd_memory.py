"""Memory of the truncated SVD: a memory-mapped CSR matrix larger than memory, and the peak beside A in memory.

    python -m bench.svd_memory [--gigabytes 6] [--rows 1000000] [--folder DIR] [--out FILE]

The matrix is written to a folder of its own (removed afterwards).  Every run is a process of its own; its peak is the
kernel's high-water mark of the resident set, file pages included.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

COLUMNS, BLOCK = 50_000, 10_000


def write(folder, gigabytes, rows):
    """CSR of float64 by int32: every row has entries in the same number of columns, weighted towards a few of them."""
    each = int(gigabytes * 1e9 / 12 / rows)
    rng = np.random.default_rng(0)
    weights = np.arange(1, COLUMNS + 1) ** -0.4
    with open(folder / "data", "wb") as data, open(folder / "indices", "wb") as indices:
        for _ in range(rows // BLOCK):
            step = COLUMNS // each
            columns = (np.arange(each) * step)[None, :] + rng.integers(0, step, (BLOCK, each), dtype=np.int32)
            columns = columns.astype(np.int32)
            (weights[columns] * rng.random((BLOCK, each))).tofile(data)
            columns.tofile(indices)
    np.arange(0, rows * each + 1, each, dtype=np.int64).tofile(folder / "indptr")


def open_mapped(folder):
    indptr = np.fromfile(folder / "indptr", np.int64)
    data = np.memmap(folder / "data", np.float64, "r")
    indices = np.memmap(folder / "indices", np.int32, "r")
    A = sp.csr_array((indptr.size - 1, COLUMNS))
    A.data, A.indices, A.indptr = data, indices, indptr
    return A


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def out_of_core(folder, k):
    import sparsecore as sc

    A = open_mapped(Path(folder))
    before, start = peak(), time.perf_counter()
    result = sc.truncated_svd(A, k, tol=1e-2)
    print(json.dumps({"file_bytes": A.data.nbytes + A.indices.nbytes, "shape": A.shape, "k": k, "before": before,
                      "peak": peak(), "seconds": time.perf_counter() - start, "passes": result.passes,
                      "converged": bool(result.converged.all()), "solver": result.solver,
                      "residual": float(result.residuals.max() / result.s[0])}))


def in_memory(name, tol):
    """Peak beyond what was there before, in values of (m + n)(2k + 3b)."""
    import sparsecore as sc

    from .svd import CASES

    A, k, _ = CASES[name]()
    sc.truncated_svd(sp.random_array((300, 200), density=0.1, format="csr"), 5, solver="lanczos")
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")            # the high-water mark starts again
    before = status("VmHWM")
    result = sc.truncated_svd(A, k, tol=float(tol))
    extra = status("VmHWM") - before
    unit = sum(A.shape) * (2 * k + 3 * 8) * A.dtype.itemsize
    out = sum(a.nbytes for a in result)
    matrix = A.data.nbytes + (A.indices.nbytes if sp.issparse(A) else 0)
    print(json.dumps({"case": name, "tol": float(tol), "extra": extra, "results": out, "matrix": matrix,
                      "extra_in_units": extra / unit, "without_results": (extra - out) / unit}))


def status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024


def child(*arguments):
    done = subprocess.run([sys.executable, "-m", "bench.svd_memory", *map(str, arguments)], capture_output=True,
                          text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=6)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--out")
    options = parser.parse_args()
    results = [child("in_memory", name, tol) for name, tol in [("slashdot", 1e-2), ("slashdot", 1e-8), ("tfidf", 1e-2)]]
    if options.gigabytes > 0:
        if shutil.disk_usage(options.folder).free < 1.5e9 * options.gigabytes:
            raise SystemExit("not enough room on the disk")
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            write(folder, options.gigabytes, options.rows)
            results.append(child("out_of_core", folder, options.k))
        finally:
            shutil.rmtree(folder)
    for row in results:
        print(row, flush=True)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["out_of_core"]:
        out_of_core(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["in_memory"]:
        in_memory(*sys.argv[2:4])
    else:
        main()
