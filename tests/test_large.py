"""Memory of large results that later results take over."""

import os
import threading

import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore as sc
from sparsecore import _core
from sparsecore.ops import large

pytestmark = pytest.mark.skipif(_core.live_blocks() >= 0, reason="a build whose allocations fail on purpose")


def test_memory_given_back_is_taken_by_the_next_result():
    a = large.empty((1024, 3000), np.float32)
    assert a.flags.owndata and a.flags.c_contiguous and a.shape == (1024, 3000)
    a[:] = 7
    place = a.ctypes.data
    del a
    b = large.empty(1024 * 3000, np.float32)     # of the same size: of what fits, the smallest is taken
    assert b.ctypes.data == place and b.ctypes.data % 64 == 0
    c = large.empty((1024, 3000), np.float32)
    assert not np.shares_memory(b, c)


def test_an_array_shrinks_in_place_and_grows_with_its_values():
    a = large.empty(1 << 20, np.int32)
    a[:] = np.arange(1 << 20)
    place = a.ctypes.data
    a.resize(1000, refcheck=False)
    assert a.ctypes.data == place and (a == np.arange(1000)).all()
    a.resize(1 << 22, refcheck=False)
    assert (a[:1000] == np.arange(1000)).all() and not a[1 << 20 :].any()


def test_a_block_that_moved_when_it_grew_is_handed_on_only_if_lines_begin_where_it_does():
    # Streamed stores of a transposition faulted in such a block.
    np.empty(31 << 20, np.uint8)        # given back: malloc takes blocks up to this size from its heap now
    for n in range(1 << 20, 12 << 20, 500_001):
        a = large.empty(n, np.uint8)
        behind = np.empty(n // 2 + 16, np.uint8)
        a.resize(n + n // 4, refcheck=False)
        del a
        assert large.empty(n + n // 5, np.uint8).ctypes.data % 64 == 0
        del behind


def test_products_of_sparse_matrices_take_over_kept_memory(rng):
    A = sp.random_array((40_000, 40_000), density=6 / 40_000, format="csr", random_state=rng)
    first = sc.matmul(A, A)
    assert first.data.flags.owndata and first.indices.flags.owndata
    places = set()
    for _ in range(6):
        again = sc.matmul(A, A)
        assert not np.shares_memory(first.data, again.data) and (again.data == first.data).all()
        places.add(again.data.ctypes.data)
        del again
    assert len(places) < 6


def test_small_and_absurd_sizes():
    assert large.empty((0, 5), np.float64).shape == (0, 5)
    assert large.empty((3,), bool, "F").size == 3
    with pytest.raises(MemoryError):
        large.empty(1 << 59, np.uint8)


def churn(seed, failures):
    rng = np.random.default_rng(seed)
    held = []
    for i in range(60):
        a = large.empty(int(rng.integers(1 << 20, 6 << 20)), np.uint8)
        a[:] = value = (seed * 31 + i) % 251
        held.append((a, value))
        if len(held) > 3:
            b, value = held.pop(int(rng.integers(len(held))))
            if not (b == value).all():
                failures.append((seed, i))
    del held


def test_no_two_live_arrays_share_memory_in_any_number_of_threads():
    failures = []
    threads = [threading.Thread(target=churn, args=(seed, failures)) for seed in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_its_own(rng):
    kept = large.empty(2 << 20, np.uint8)
    kept[:] = 5
    del kept
    child = os.fork()
    if child == 0:
        a = large.empty(2 << 20, np.uint8)
        a[:] = 9
        os._exit(int(not (a == 9).all()))
    b = large.empty(2 << 20, np.uint8)
    b[:] = 3
    assert os.waitpid(child, 0)[1] == 0 and (b == 3).all()
