"""Interleaved timing of contenders that first proved to agree.

A case holds callables without arguments, "sparsecore" first.  Every contender is run once and its result held against
the first one's; a contender that disagrees or fails is reported and not timed.  Then rounds go over all contenders in
turn, beginning each time with another, so drift of the machine meets all alike.  Medians are compared.

The pools of OpenBLAS, MKL and OpenMP go on spinning for milliseconds after a call and would take a core from whoever
comes next.  So every turn begins with a pause in which they fall asleep, and with an untimed call that wakes the own.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

PAUSE = 0.03      # seconds; OpenBLAS spins for about 20 ms, MKL for as long as KMP_BLOCKTIME says


@dataclass
class Case:
    family: str                       # products, spgemm, structure, ... : one README row per op
    op: str                           # SpMV, SpMM 32, transpose, ...
    matrix: str                       # its name in cases.py
    contenders: dict[str, Callable]   # name -> call; "sparsecore" first
    agree: Callable[[Any, Any], bool] | None = None      # (ours, theirs); None: close()
    bytes: float | None = None        # least traffic, for the share of the STREAM limit
    flops: float | None = None        # for the share of the GEMM limit
    gemm: str = "gemm_f64"
    baselines: tuple = ()             # contenders that are shown but are no peers (our own other variants)
    extra: dict = field(default_factory=dict)


def everything(*names):
    """The default of what cases() is asked for: wanted(op, matrix) before their matrix and peers are built."""
    return True


def dense(result):
    if sp.issparse(result):
        return result
    return np.asarray(result)


def close(ours, theirs, rtol=2e-3):
    """Equal to rounding: same shape, and ||a - b|| <= rtol * ||a||, both sparse or both dense."""
    a, b = dense(ours), dense(theirs)
    if a.shape != b.shape:
        return False
    if sp.issparse(a) or sp.issparse(b):
        a, b = sp.csr_array(a), sp.csr_array(b)
        return bool(np.sqrt((abs(a - b) ** 2).sum()) <= rtol * (1e-30 + np.sqrt((abs(a) ** 2).sum())))
    return bool(np.linalg.norm((a - b).ravel()) <= rtol * (1e-30 + np.linalg.norm(a.ravel())))


def time_case(case, rounds=9, budget=6.0):
    """All samples in seconds per call, and why contenders were left out."""
    ours = case.contenders["sparsecore"]()
    calls, left_out, inner, took_once = {}, {}, {}, {}
    for name, call in case.contenders.items():
        try:
            start = time.perf_counter()
            result = call()
            took = time.perf_counter() - start
        except Exception as error:  # a peer that lacks an operation must not end the run
            left_out[name] = f"{type(error).__name__}: {error}"[:200]
            continue
        if not (case.agree or close)(ours, result):
            left_out[name] = "result differs"
            continue
        del result
        calls[name], inner[name], took_once[name] = call, max(1, int(2e-3 / max(took, 1e-7))), took
    del ours
    samples = {name: [] for name in calls}
    names, spent = list(calls), time.perf_counter()
    for r in range(rounds):
        for name in names[r % len(names):] + names[:r % len(names)]:
            n = inner[name]
            time.sleep(PAUSE)
            if took_once[name] < 0.05:
                calls[name]()
            start = time.perf_counter()
            for _ in range(n):
                calls[name]()
            samples[name].append((time.perf_counter() - start) / n)
        if time.perf_counter() - spent > budget and r >= 2:
            break
    return samples, left_out


def measure(case, limits, rounds=9, budget=6.0):
    """One result row: medians, the best peer, our ratio to it, our share of the machine's limit."""
    samples, left_out = time_case(case, rounds, budget)
    medians = {name: float(np.median(s)) for name, s in samples.items()}
    if "sparsecore" not in medians:
        raise AssertionError(f"{case.op} on {case.matrix}: {left_out['sparsecore']}")
    peers = {k: v for k, v in medians.items() if k != "sparsecore" and k not in case.baselines}
    best = min(peers, key=peers.get) if peers else None
    ours = medians["sparsecore"]
    shares = {}
    if case.bytes:
        shares["stream"] = case.bytes / ours / limits["stream_read"]
    if case.flops:
        shares["gemm"] = case.flops / ours / limits[case.gemm]
    return {"family": case.family, "op": case.op, "matrix": case.matrix, "seconds": ours, "best_peer": best,
            "ratio": peers[best] / ours if best else None, "share_of_limit": max(shares.values(), default=None),
            "limit": max(shares, key=shares.get) if shares else None, "medians": medians, "left_out": left_out,
            "samples": samples, **case.extra}


def geomean(values):
    values = [v for v in values if v]
    return float(np.exp(np.mean(np.log(values)))) if values else None
