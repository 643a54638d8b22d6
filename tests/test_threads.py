"""Who decides how many threads run, and what becomes of them after a fork."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from oracles import random_sparse, sha

import sparsecore as sc
from sparsecore import _threads

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def run_python(code, **environment):
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    env["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**env, **environment}, cwd=os.path.dirname(__file__))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def big(rng):
    A = random_sparse(rng, 4000, 3000, 0.02)
    assert A.nnz > 2 * _threads.CROSSOVER
    return A, rng.standard_normal(3000), rng.standard_normal((3000, 8)), rng.standard_normal(4000)


def test_the_environment_sets_the_limit():
    code = "import sparsecore as sc; print(sc.get_num_threads())"
    assert run_python(code, OMP_NUM_THREADS="1") == "1"
    assert int(run_python(code)) == int(run_python(code, OMP_NUM_THREADS="512"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_seen_per_call():
    code = ("import os, sparsecore as sc; before = sc.get_num_threads(); "
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(before, sc.get_num_threads())")
    before, after = map(int, run_python(code).split())
    assert after == 1 <= before


def test_threadpoolctl_is_obeyed():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = sc.get_num_threads()
    with threadpoolctl.threadpool_limits(1):
        assert sc.get_num_threads() == 1
    assert sc.get_num_threads() == before


def test_a_request_holds_in_its_context_only():
    with sc.threads(3):
        assert sc.get_num_threads() == 3
        seen = []
        other = threading.Thread(target=lambda: seen.append(_threads._request.get()))
        other.start()
        other.join()
        assert seen == [None]
    before = sc.get_num_threads()
    sc.set_num_threads(2)
    try:
        assert sc.get_num_threads() == 2
    finally:
        sc.set_num_threads(None)
    assert sc.get_num_threads() == before


def test_little_work_runs_on_one_thread():
    assert _threads.resolve(None, _threads.CROSSOVER - 1) == 1


@pytest.mark.parametrize("bad, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_senseless_number_of_threads_is_an_error(rng, bad, error):
    with pytest.raises(error, match="threads must be"):
        sc.matmul(random_sparse(rng, 4, 4), np.ones(4), threads=bad)


def children_finish(work, count, seconds):
    """Forks `count` children that call `work`; all must end well within the time."""
    pids, end = [], time.monotonic() + seconds
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 0 if work() else 2
            finally:
                os._exit(status)
        pids.append(pid)
    codes = {}
    while len(codes) < count and time.monotonic() < end:
        for pid in pids:
            if pid not in codes:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    codes[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    for pid in pids:
        if pid not in codes:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return [codes.get(pid, "hung") for pid in pids]


@POSIX
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("from_thread", [False, True])
def test_forked_children_run_kernels(rng, from_thread):
    A, x, X, z = big(rng)
    expected = sha(sc.matmul(A, x, threads=2), sc.matmul(A, X, threads=2), sc.matmul(A.T, z, threads=2))

    def work():
        return sc.get_num_threads() == 1 and expected == sha(
            sc.matmul(A, x, threads=2), sc.matmul(A, X), sc.matmul(A.T, z, threads=2))

    codes = []
    if from_thread:
        runner = threading.Thread(target=lambda: codes.extend(children_finish(work, 10, 30)))
        runner.start()
        runner.join()
    else:
        codes = children_finish(work, 40, 30)
    assert set(codes) == {0}, codes
    assert sha(sc.matmul(A, x, threads=2), sc.matmul(A, X, threads=2), sc.matmul(A.T, z, threads=2)) == expected


@POSIX
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("in_a_call", [False, True])
def test_a_fork_during_another_threads_svd_does_not_leave_blas_on_one_thread(in_a_call):
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas():
        return {lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"}

    inside, over = threading.Event(), threading.Event()

    def other():
        with _threads.one_blas_thread():
            inside.set()
            over.wait(30)

    def work():
        if in_a_call:
            return blas() == {1}
        with _threads.one_blas_thread():
            within = blas()
        return within == {1} and blas() == {2}

    def both():
        with _threads.one_blas_thread():
            codes = children_finish(work, 3, 30)
            return codes, blas()

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if blas() != {2}:
            pytest.skip("a BLAS here does not take two threads")
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(30)
        codes, seen = both() if in_a_call else (children_finish(lambda: blas() == {2} and work(), 3, 30), blas())
        over.set()
        thread.join()
        assert codes == [0] * 3 and seen == {1} and blas() == {2}


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_worker_processes_of_every_kind_run_kernels(rng, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    A, x, X, z = big(rng)
    expected = sha(sc.matmul(A, X, threads=2))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        futures = [pool.submit(sc.matmul, A, X) for _ in range(4)]
        assert {sha(f.result(timeout=60)) for f in futures} == {expected}


@POSIX
def test_a_long_product_can_be_interrupted():
    code = """
import os, signal, threading, time
import numpy as np, scipy.sparse as sp, sparsecore as sc
signal.signal(signal.SIGINT, signal.default_int_handler)     # ignored where a shell put this in the background
n = 200_000
col = np.random.default_rng(0).integers(0, n, (n, 20)).astype(np.int32)
A = sp.csr_array((np.ones(n * 20), col.ravel(), np.arange(0, n * 20 + 1, 20, dtype=np.int32)), shape=(n, n))
x = np.ones((n, 1))
X = np.broadcast_to(x, (n, 600))     # read in place, again and again
sent = []
def send():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.3, send).start()
try:
    while True:
        sc.matmul(A, X, threads=1)
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
"""
    assert float(run_python(code)) < 5     # how soon on a quiet machine is the bench's business


def test_threads_of_python_share_the_kernels(rng):
    A, x, X, z = big(rng)
    expected, seen = sha(sc.matmul(A, X, threads=2)), []
    pool = [threading.Thread(target=lambda: seen.append(sha(sc.matmul(A, X, threads=2)))) for _ in range(8)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    assert set(seen) == {expected} and len(seen) == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_product_does_not_wait_for_helpers_that_get_no_core():
    # The end of an OpenMP region spins until every thread has had its turn of the scheduler: 8 ms for 0.3 ms of work.
    code = """
import os, time, numpy as np, sparsecore as sc
from oracles import random_sparse
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
A, x = random_sparse(np.random.default_rng(0), 4000, 3000, 0.02), np.ones(3000)
def median(threads):
    took = []
    for _ in range(41):
        start = time.perf_counter()
        sc.matmul(A, x, threads=threads)
        took.append(time.perf_counter() - start)
    return sorted(took)[20]
median(2)
print(median(2) / median(1))
"""
    assert float(run_python(code)) < 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_a_helper_woken_on_the_core_of_its_caller_leaves_it():
    # Linux leaves both there for 10 ms and more, and two threads took as long as one.
    code = """
import os, time, numpy as np, sparsecore as sc
from oracles import random_sparse
A, x = random_sparse(np.random.default_rng(0), 4000, 3000, 0.05), np.ones(3000)
allowed, main, before = os.sched_getaffinity(0), os.getpid(), set(map(int, os.listdir("/proc/self/task")))
sc.matmul(A, x, threads=2)
helper, = set(map(int, os.listdir("/proc/self/task"))) - before
core = min(allowed)
until = time.monotonic() + 20
while os.sched_getaffinity(helper) != allowed - {core} and time.monotonic() < until:
    os.sched_setaffinity(main, {core})
    os.sched_setaffinity(helper, {core})
    os.sched_setaffinity(main, allowed)
    for _ in range(10):
        sc.matmul(A, x, threads=2)
print(os.sched_getaffinity(helper) == allowed - {core})
"""
    assert run_python(code) == "True"


def test_products_from_many_threads_at_once():
    rng = np.random.default_rng(5)
    A, x, X, y = big(rng)
    expected = [sha(sc.matmul(A, x)), sha(sc.matmul(A, X)), sha(sc.matmul(A.T, y))]
    found = []

    def work():
        for _ in range(20):
            found.append([sha(sc.matmul(A, x, threads=3)), sha(sc.matmul(A, X, threads=2)), sha(sc.matmul(A.T, y))])

    workers = [threading.Thread(target=work) for _ in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert len(found) == 120 and all(f == expected for f in found)
