"""The whole thread and fork policy.

threads = min(request, what OpenMP would use now, processors this process may run on, the cgroup's quota),
one in a forked child, and one for work below the measured crossover.  What OpenMP would use is read per call, so
OMP_NUM_THREADS, threadpoolctl and an enclosing parallel region are obeyed.
"""

import contextlib
import contextvars
import functools
import math
import os
import threading

from threadpoolctl import ThreadpoolController

from . import _core

# Multiply-adds below which a second thread costs more than it brings (measured: a team starts in 5-20 us).
CROSSOVER = 60_000

_request = contextvars.ContextVar("sparsecore_threads", default=None)


def cgroup_quota():
    """Processors that the cgroup's cpu.max grants, rounded up; None where there is no limit or no cgroup."""
    try:
        with open("/proc/self/cgroup") as f:
            relative = next((line.split(":", 2)[2].strip() for line in f if line.startswith("0::")), "/")
        for folder in dict.fromkeys(("/sys/fs/cgroup" + relative.rstrip("/"), "/sys/fs/cgroup")):
            try:
                with open(folder + "/cpu.max") as f:
                    quota, period = f.read().split()
                if quota != "max":
                    return max(1, math.ceil(int(quota) / int(period)))
            except OSError:
                continue
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as f:
            quota = int(f.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as f:
            return max(1, math.ceil(quota / int(f.read()))) if quota > 0 else None
    except (OSError, ValueError, StopIteration):
        return None


def affinity():
    """Processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


# A quota read per call would cost more than a small product: it is read once; affinity changes are seen per call.
_quota = cgroup_quota()


def check(threads):
    """A thread count as an int >= 1, or None."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise TypeError(f"threads must be an integer or None, not {type(threads).__name__}")
    threads = threads.__index__()
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    return threads


def resolve(threads=None, work=None):
    """The number of threads for a call that does `work` multiply-adds (None: large).

    An explicit request, by argument or context, is honoured beyond the number of processors (tests of
    reproducibility need it) but not in a forked child or inside another parallel region.
    """
    if work is not None and work < CROSSOVER and threads is None:
        return 1
    if _core.fork_child() or not _core.openmp_version():
        return 1
    limit = _core.max_threads()
    request = check(threads)
    if request is None:
        request = _request.get()
    if limit == 1 and _core.in_parallel():
        return 1
    if request is not None:
        return min(request, 1024)
    limit = min(limit, affinity())
    if _quota is not None:
        limit = min(limit, _quota)
    return max(1, limit)


def get_num_threads():
    """The number of threads that a large operation would use now."""
    return resolve()


def set_num_threads(n):
    """Sets the number of threads of this context (thread or task); None returns to the automatic choice.

    ValueError below 1, TypeError for what is no integer.
    """
    _request.set(check(n))


@contextlib.contextmanager
def threads(n):
    """Context manager: operations inside use n threads."""
    token = _request.set(check(n))
    try:
        yield
    finally:
        _request.reset(token)


@functools.cache
def _blas():
    """The BLAS libraries under NumPy and SciPy whose number of threads belongs to a thread, and to the process.  To
    look for them takes 4 ms, as much as a small problem."""
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [lib for lib in found if lib.internal_api == "openblas" and lib.threading_layer == "openmp"]
    return own, [lib for lib in found if lib not in own]


class _Inside:
    """How many calls are in `one_blas_thread`, how many of this thread, and what the first of all found."""

    lock, calls, mine, found = threading.RLock(), 0, threading.local(), ()

    @classmethod
    def enter(cls, shared):
        with cls.lock:
            if not cls.calls:
                cls.found = [lib.get_num_threads() for lib in shared]
                _set_blas(shared, [1] * len(shared))
            cls.calls += 1
            cls.mine.calls = cls.own() + 1

    @classmethod
    def leave(cls, shared):
        with cls.lock:
            cls.calls -= 1
            cls.mine.calls -= 1
            if not cls.calls:
                _set_blas(shared, cls.found)

    @classmethod
    def own(cls):
        return getattr(cls.mine, "calls", 0)

    @classmethod
    def forked(cls):
        """In a child only the thread that forked goes on: the calls of others never end, and leave their limit."""
        cls.lock = threading.RLock()
        left, cls.calls = cls.calls - cls.own(), cls.own()
        if left and not cls.calls:
            _set_blas(_blas()[1], cls.found)


def _set_blas(libraries, counts):
    for lib, n in zip(libraries, counts, strict=True):
        # threadpoolctl 3.8 lets one thread set OpenBLAS and others do nothing, in silence, until that one lets go.
        let_go = getattr(lib, "clear_controlling_thread", lambda force: None)
        let_go(force=True)
        lib.set_num_threads(n)
        let_go(force=True)


@contextlib.contextmanager
def one_blas_thread():
    """BLAS on one thread at a time, so that chunks and small matrices have the same bits on any number of ours.

    Where that number belongs to the process, of calls that overlap the first sets it and the last puts it back: else
    one ends another's limit, and the other restores it for good.
    """
    own, shared = _blas()
    before = [lib.get_num_threads() for lib in own]
    _Inside.enter(shared)
    try:
        _set_blas(own, [1] * len(own))
        yield
    finally:
        _set_blas(own, before)
        _Inside.leave(shared)


if hasattr(os, "register_at_fork"):     # no fork between the limit and its count
    os.register_at_fork(before=lambda: _Inside.lock.acquire(), after_in_parent=lambda: _Inside.lock.release(),
                        after_in_child=_Inside.forked)


def explain():
    """Why that many: every limit that was looked at."""
    return {
        "threads": resolve(),
        "affinity": affinity(),
        "cgroup_quota": _quota,
        "openmp_max_threads": _core.max_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "requested": _request.get(),
        "fork_child": bool(_core.fork_child()),
    }
