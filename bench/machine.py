"""The machine and its limits: what every figure stands beside."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

import sparsecore as sc

PACKAGES = ("numpy", "scipy", "torch", "mkl", "sparse_dot_mkl", "python-graphblas", "sparse_dot_topn",
            "sp_matmul_rs", "scikit-learn", "primme")


def cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def mkl_path():
    """Which instruction path MKL says that it takes (MKL_VERBOSE of one small product), or why that is unknown."""
    try:
        import sparse_dot_mkl  # noqa: F401
    except ImportError:
        return "not installed"
    code = ("import numpy as np, scipy.sparse as sp\n"
            "from sparse_dot_mkl import dot_product_mkl\n"
            "a = sp.random(64, 64, 0.1, format='csr'); dot_product_mkl(a, np.ones((64, 4)))\n"
            "dot_product_mkl(np.ones((64, 64)), np.ones((64, 64)))\n")
    import sys

    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, "MKL_VERBOSE": "1"}, capture_output=True,
                         text=True)
    line = next((line for line in run.stdout.splitlines() if "oneMKL" in line or "Intel(R) MKL" in line), None)
    return line.strip() if line else "MKL_VERBOSE printed nothing"


@cache
def _stream():
    cc = os.environ.get("CC", "cc").split()
    if not shutil.which(cc[0]):
        raise RuntimeError("the memory limit is measured by bench/stream.c: a C compiler (cc) is needed")
    folder = tempfile.mkdtemp()
    target = Path(folder) / "stream.so"
    subprocess.run([*cc, "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC",
                    str(Path(__file__).with_name("stream.c")), "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    library.read_sum.restype = ctypes.c_double
    return library


def median_time(call, rounds=7):
    call()
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return float(np.median(samples))


def stream(threads, megabytes=512):
    """{'read': bytes/s, 'triad': bytes/s} over arrays beyond the last cache."""
    n = megabytes * 2**20 // 8
    a, b, c = (np.full(n, v) for v in (1.0, 2.0, 3.0))
    pa, pb, pc = (ctypes.c_void_p(v.ctypes.data) for v in (a, b, c))
    size = ctypes.c_ssize_t(n)
    read = median_time(lambda: _stream().read_sum(pa, size, threads))
    tri = median_time(lambda: _stream().triad(pa, pb, pc, ctypes.c_double(0.5), size, threads))
    return {"read": 8 * n / read, "triad": 24 * n / tri}


def gemm(dtype, n=2048):
    """Best flop/s of a dense n x n x n product over NumPy's BLAS and torch."""
    a = np.random.default_rng(0).random((n, n)).astype(dtype)
    best = 2 * n**3 / median_time(lambda: a @ a, 5)
    try:
        import torch

        t = torch.from_numpy(a)
        best = max(best, 2 * n**3 / median_time(lambda: t @ t, 5))
    except ImportError:
        pass
    return best


def limits(threads, smoke=False):
    return {**{f"stream_{k}": v for k, v in stream(threads, 32 if smoke else 512).items()},
            "gemm_f32": gemm(np.float32, 512 if smoke else 2048), "gemm_f64": gemm(np.float64, 512 if smoke else 2048)}


def pools():
    """Every thread pool of a BLAS or OpenMP in this process, with the threads it uses and its instruction path."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "threadpoolctl is not installed"
    keep = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return [{k: pool[k] for k in keep if pool.get(k)} for pool in threadpool_info()]


def describe(threads):
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": threads, "versions": versions(),
            "mkl": mkl_path(), "pools": pools(), "sparsecore": sc.show_config("dicts")}
