"""python -m bench.interrupts: how long after Ctrl-C does each long operation end?

Every operation runs for a second or more on one thread; SIGINT comes at several moments of it.  Printed: how long it
runs undisturbed, and the longest time from the signal to KeyboardInterrupt.  Promised are 250 ms.
"""

import argparse
import os
import re
import signal
import threading
import time

import numpy as np
import scipy.sparse as sp

import sparsecore as sc


def random_csr(m, n, per_row, seed=0):
    """Canonical but for duplicates; made in a second even with 10^8 entries."""
    columns = np.random.default_rng(seed).integers(0, n, (m, per_row), dtype=np.int32)
    columns.sort(axis=1)
    indptr = np.arange(0, m * per_row + 1, per_row, dtype=np.int64 if m * per_row > 2**31 - 1 else np.int32)
    return sp.csr_array((np.ones(m * per_row, np.float32), columns.ravel(), indptr), shape=(m, n))


def operations(scale):
    """name -> call; operands are made when an operation is asked for and shared where they can be."""
    n = int(1_000_000 * scale)
    A = random_csr(n, n, 40)
    D = np.random.default_rng(1).standard_normal((int(16384 * scale), 16384), dtype=np.float32)
    X = np.random.default_rng(2).standard_normal((n, 32), dtype=np.float32)
    G = random_csr(n // 5, n // 5, 20)
    narrow = random_csr(n // 20, 4000, 60)
    row, col = (np.random.default_rng(s).integers(0, n, 40 * n // 2) for s in (3, 4))
    value = np.ones(row.size, np.float32)
    W = sc.topk(D[:8192, :8192], min(8192, D.shape[0]) * 8192 // 2)
    yield "matmul sparse @ dense", lambda: sc.matmul(A, X, threads=1)
    yield "matmul sparse.T @ dense", lambda: sc.matmul(A.T, X, threads=1)
    yield "matmul sparse @ vector", lambda: [sc.matmul(A, X[:, 0], threads=1) for _ in range(10)]
    yield "matmul dense @ sparse", lambda: sc.matmul(X.T, A, threads=1)
    yield "matmul sparse @ sparse", lambda: sc.matmul(G, G, threads=1)
    yield "MatmulPlan", lambda: sc.MatmulPlan(G, G)
    yield "matmul_topn", lambda: sc.matmul_topn(narrow, narrow.T, 10, threads=1)
    yield "gram", lambda: sc.gram(G, axis=0, threads=1)
    yield "masked_matmul", lambda: sc.masked_matmul(G, G, G, threads=1)
    yield "sddmm", lambda: sc.sddmm(A, X, X, threads=1)
    yield "prepare", lambda: sc.prepare(W, columns=64, threads=1)
    yield "transpose", lambda: sc.tocsc(A, threads=1)
    yield "from_coo", lambda: sc.from_coo((value, (row, col)), (n, n), threads=1)
    yield "add", lambda: [sc.add(A, A, threads=1) for _ in range(4)]
    yield "multiply", lambda: [sc.multiply(A, A, threads=1) for _ in range(4)]
    yield "sum axis=0", lambda: [sc.sum(A, 0, threads=1) for _ in range(20)]
    yield "mean_var", lambda: [sc.mean_var(A, 0, threads=1) for _ in range(20)]
    yield "take_rows", lambda: [sc.take_rows(A, np.arange(n)[::-1], threads=1) for _ in range(8)]
    yield "vstack", lambda: [sc.vstack([A, A], threads=1) for _ in range(8)]
    yield "todense", lambda: [sc.todense(W, threads=1) for _ in range(20)]
    yield "from_dense", lambda: [sc.from_dense(D, threads=1) for _ in range(8)]
    yield "kth_magnitude", lambda: [sc.kth_magnitude(D, D.size // 10, threads=1) for _ in range(20)]
    yield "topk", lambda: [sc.topk(D, D.size // 10, threads=1) for _ in range(8)]
    yield "topk_mask by row", lambda: [sc.topk_mask(D, 1000, axis=1, threads=1) for _ in range(8)]
    yield "topk_mask by column", lambda: sc.topk_mask(D, 100, axis=0, threads=1)
    yield "nm_mask", lambda: [sc.nm_mask(D, keep=2, group=4, threads=1) for _ in range(8)]
    yield "validate", lambda: [sc.validate(A, threads=1) for _ in range(40)]
    yield "truncated_svd", lambda: sc.truncated_svd(A, 20, tol=1e-6, threads=1)
    yield "truncated_svd dense", lambda: sc.truncated_svd(D[:4096, :4096], 50, tol=1e-8, threads=1)


def latency(call, after):
    """Seconds from SIGINT, sent `after` seconds into the call, to its end; None if it ended before."""
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    try:
        timer.start()
        call()
        timer.cancel()
        timer.join()
        time.sleep(0.01)      # a signal that was sent at the very end arrives here
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    return None


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.interrupts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size of the operands")
    parser.add_argument("--match", default="", help="only operations whose name matches this regular expression")
    args = parser.parse_args()
    worst = 0.0
    print(f"{'operation':26} {'seconds':>8} {'longest wait, ms':>17}")
    for name, call in operations(args.scale):
        if not re.search(args.match, name):
            continue
        start = time.perf_counter()
        try:
            call()
        except MemoryError as error:
            print(f"{name:26} {error}")
            continue
        took = time.perf_counter() - start
        waits = [w for share in (0.1, 0.35, 0.6, 0.85) if (w := latency(call, share * took)) is not None]
        longest = max(waits, default=float("nan"))
        worst = max(worst, longest)
        print(f"{name:26} {took:8.2f} {1e3 * longest:17.0f}{'  over 250 ms' if longest > 0.25 else ''}", flush=True)
    print(f"longest of all: {1e3 * worst:.0f} ms")


if __name__ == "__main__":
    main()
