"""How the time falls with the number of threads, and that the bits do not change with it.

    python -m bench.scaling [--threads 1,2,4,8,16] [--seconds 2] [--smoke] [--out bench/results/scaling]

Every case is run with each number of threads in turn, in rounds; medians are compared with the same case's on one
thread.  Results of different numbers of threads must have one SHA-256.  Beside them stand the machine's own limits,
reading memory (STREAM) and dense products (GEMM), and PyTorch's sparse products, at the same numbers of threads.
Writes NAME.json with every sample and NAME.md.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

PAUSE = 0.03        # seconds in which other pools fall asleep; see harness.py
LONG = 0.02         # seconds from which on the threads' waking does not show: a shorter call is repeated


def digest(result):
    """SHA-256 of all arrays of a result."""
    if hasattr(result, "indptr"):
        arrays = result.indptr, result.indices, result.data
    elif hasattr(result, "Vt"):
        arrays = result.U, result.s, result.Vt
    else:
        arrays = (np.asarray(result),)
    total = hashlib.sha256()
    for a in arrays:
        total.update(np.ascontiguousarray(a))
    return total.hexdigest()


def cases(smoke):
    """(operation, matrix, call, threads that the call's library is told by: 'sparsecore', 'torch' or 'blas')."""
    import sparsecore as sc

    from . import cases as matrices
    from . import peers

    rng = np.random.default_rng(0)
    torch = peers.module("torch")
    for name in ("uniform", "powerlaw", "stencil", "pruned90"):
        A = matrices.matrix(name, smoke)
        for n in (None, 8, 64):
            X = rng.standard_normal(A.shape[1:] + ((n,) if n else ())).astype(A.dtype)
            op = f"SpMM {n}" if n else "SpMV"
            yield op, name, lambda A=A, X=X: sc.matmul(A, X), "sparsecore"
            if n != 8 and torch:
                T, Y = peers.torch_csr(A), torch.from_numpy(X)
                yield f"{op}, torch", name, lambda T=T, Y=Y: (T @ Y).numpy(), "torch"
            yield op.replace(" ", "T ") if n else "SpMVT", name, lambda A=A, X=X: sc.matmul(A.T, X), "sparsecore"
        yield "transpose", name, lambda A=A: sc.transpose(A), "sparsecore"
        B = A.copy()
        yield "add", name, lambda A=A, B=B: sc.add(A, B), "sparsecore"
        yield "row sums", name, lambda A=A: sc.sum(A, 1), "sparsecore"
        yield "column sums", name, lambda A=A: sc.sum(A, 0), "sparsecore"
        if name == "uniform":
            coo, order = A.tocoo(), rng.permutation(A.nnz)
            shuffled = coo.data[order], tuple(c[order].astype(np.int32) for c in coo.coords)
            yield "from_coo", name, lambda c=shuffled, s=A.shape: sc.from_coo(c, s), "sparsecore"
        matrices.matrix.cache_clear()
    for name in ("uniform_small", "powerlaw_small", "stencil_small"):
        A = matrices.matrix(name, smoke)
        yield "SpGEMM", name, lambda A=A: sc.matmul(A, A), "sparsecore"
    A = matrices.matrix("zipf_small", smoke)
    yield "gram", "zipf_small", lambda A=A: sc.gram(A), "sparsecore"
    yield "top-10 of A A'", "zipf_small", lambda A=A: sc.matmul_topn(A, A.T, 10), "sparsecore"
    A = matrices.matrix("pruned90", smoke)
    for n in (1, 64, 256):
        X = rng.standard_normal((A.shape[1], n)).astype(np.float32)
        P = sc.prepare(A, columns=n)
        yield f"prepared {n}", "pruned90", lambda P=P, X=X: sc.matmul(P, X), "sparsecore"
    W = rng.standard_normal((256, 512) if smoke else (4096, 11008)).astype(np.float32)
    yield "kth_magnitude", "dense f32", lambda: sc.kth_magnitude(W, W.size // 10), "sparsecore"
    yield "topk to CSR", "dense f32", lambda: sc.topk(W, W.size // 10), "sparsecore"
    yield "topk_mask by row", "dense f32", lambda: sc.topk_mask(W, W.shape[1] // 10, axis=1), "sparsecore"
    if not smoke:
        names = [n for n in matrices.real_names() if n.endswith("Slashdot0902")]
        for name in [*names, "zipf_small"]:
            A = matrices.matrix(name)
            yield "SVD, k=100, 1e-2", name, lambda A=A: sc.truncated_svd(A, 100, tol=1e-2), "sparsecore"
            yield "SVD, k=100, 1e-8", name, lambda A=A: sc.truncated_svd(A, 100, tol=1e-8), "sparsecore"


def limits(smoke):
    """As cases(), but calls that take the number of threads: the machine's own scaling."""
    from . import machine

    n = 2**20 if smoke else 2**26
    a = np.ones(n)
    size = machine.ctypes.c_ssize_t(n)
    pointer = machine.ctypes.c_void_p(a.ctypes.data)
    yield "memory read (STREAM)", "", lambda t, keep=a: np.float64(machine._stream().read_sum(pointer, size, t)), "call"
    G = np.random.default_rng(1).random((256, 256) if smoke else (4096, 4096), np.float32)
    yield "GEMM f32 (NumPy)", "", lambda: G @ G, "blas"


def with_threads(call, library, threads):
    """call() with that many threads, and its seconds; the setting itself is not timed."""
    from threadpoolctl import threadpool_limits

    import sparsecore as sc

    from . import peers

    if library == "torch":
        peers.module("torch").set_num_threads(threads)
    blas = threadpool_limits(threads, "blas") if library == "blas" else nullcontext()
    run = (lambda: call(threads)) if library == "call" else call
    with sc.threads(threads), blas:
        time.sleep(PAUSE)
        start = time.perf_counter()
        result = run()
        once = time.perf_counter() - start
        if once > LONG:
            return once, result
        inner = max(1, min(200, int(5e-3 / max(once, 1e-7))))
        start = time.perf_counter()
        for _ in range(inner):
            result = run()
        return (time.perf_counter() - start) / inner, result


def measure(call, library, threads, seconds):
    """{threads: samples}, and whether all results have one SHA-256 (ours only: the peers promise no such thing)."""
    samples, seen, spent = {t: [] for t in threads}, set(), time.perf_counter()
    for rounds in range(20):
        for t in threads:
            took, result = with_threads(call, library, t)
            samples[t].append(took)
            if rounds == 0 and library == "sparsecore":
                seen.add(digest(result))
            del result
        if rounds >= 2 and time.perf_counter() - spent > seconds:
            break
    return samples, len(seen) <= 1


def markdown(rows, threads, machine):
    out = [f"Times on one thread, and how many times faster the same call is on more; {machine['cpu']}, "
           f"{machine['cores']} cores, {machine['sparsecore']['isa']}. Medians of interleaved rounds.", "",
           "| operation | matrix | 1 thread, ms | " + " | ".join(f"{t} threads" for t in threads[1:]) + " |",
           "|---|---|---" + "|---" * (len(threads) - 1) + "|"]
    for row in rows:
        medians = row["medians"]
        first = medians[str(threads[0])]
        gains = " | ".join(f"{first / medians[str(t)]:.2f}" for t in threads[1:])
        out.append(f"| {row['op']} | {row['matrix']} | {1e3 * first:.3g} | {gains} |")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="1,2,4,8,16", help="numbers of threads, the first one is the base")
    parser.add_argument("--seconds", type=float, default=2.0, help="for a case, at least 3 rounds")
    parser.add_argument("--smoke", action="store_true", help="small matrices: does everything still run?")
    parser.add_argument("--match", default="", help="only cases whose 'operation matrix' contains this")
    parser.add_argument("--out", type=Path, help="name of the .json and .md, without ending")
    args = parser.parse_args()
    threads = [int(t) if t.strip().isdigit() else 0 for t in args.threads.split(",")]
    if min(threads) < 1:
        parser.error(f"--threads {args.threads}: numbers from 1 on, with commas between, are wanted")
    # Before any library with a pool of its own is loaded.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(max(threads))

    from . import machine

    rows, differ = [], []
    for source in (limits, cases):
        for op, matrix, call, library in source(args.smoke):
            if args.match not in f"{op} {matrix}":
                continue
            samples, same = measure(call, library, threads, args.seconds)
            medians = {str(t): float(np.median(s)) for t, s in samples.items()}
            rows.append({"op": op, "matrix": matrix, "medians": medians, "same_bits": same,
                         "samples": {str(t): s for t, s in samples.items()}})
            print(f"{op:24} {matrix:24} {1e3 * medians[str(threads[0])]:9.3f} ms "
                  + " ".join(f"{medians[str(threads[0])] / medians[str(t)]:6.2f}" for t in threads[1:])
                  + ("" if same else "  BITS DIFFER"), flush=True)
            differ += [] if same else [f"{op} {matrix}"]
    if args.out:
        about = machine.describe(max(threads))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        record = {"date": time.strftime("%Y-%m-%d"), "machine": about, "rows": rows}
        args.out.with_suffix(".json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        args.out.with_suffix(".md").write_text(markdown(rows, threads, about))
    if differ:
        sys.exit(f"results differ with the number of threads: {', '.join(differ)}")


if __name__ == "__main__":
    main()
