"""The same cases under pytest-benchmark, small matrices: `pytest bench --benchmark-enable -k products`.

Peers are parameters; the groups of the report are the cases.  Published figures come from `python -m bench`, which
interleaves the contenders on the full-size matrices.
"""

import importlib

import pytest

from .__main__ import FAMILIES
from .harness import close


def pytest_generate_tests(metafunc):
    entries = []
    for family in FAMILIES:
        try:
            module = importlib.import_module(f".{family}", __package__)
        except ImportError:
            continue
        for case in module.cases(smoke=True, threads=2):
            entries += [pytest.param(case, name, id=f"{family}-{case.op}-{case.matrix}-{name}")
                        for name in case.contenders]
    metafunc.parametrize(("case", "contender"), entries)


def test_benchmark(benchmark, case, contender):
    call = case.contenders[contender]
    benchmark.group = f"{case.op} {case.matrix}"
    try:
        result = call()
    except Exception as error:
        if contender == "sparsecore":
            raise
        pytest.skip(f"{contender} lacks this operation: {error}")
    assert contender == "sparsecore" or (case.agree or close)(case.contenders["sparsecore"](), result)
    benchmark(call)
