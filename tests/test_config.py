"""What was built and what is chosen, told truly; forced choices are obeyed or refused."""

import os
import subprocess
import sys

import pytest

import sparsecore as sc
from sparsecore import _core


def run(code, cwd, **env):
    """A fresh interpreter away from the source tree."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env={**os.environ, **env}, capture_output=True,
                          text=True, timeout=120)


def test_show_config_tells_build_and_threads(capsys):
    sc.show_config()
    printed = capsys.readouterr().out
    found = sc.show_config("dicts")
    for key in ("compiler", "isa_built", "isa", "openmp", "threads", "numpy", "scipy"):
        assert key in printed and key in found
    assert found["isa"] in found["isa_runs"]
    assert set(found["isa_runs"]) <= set(found["isa_built"])
    assert {"affinity", "cgroup_quota", "OMP_NUM_THREADS"} <= set(found["threads"])
    with pytest.raises(ValueError, match="mode is 'x'"):
        sc.show_config("x")


def test_openmp_is_really_in():
    if os.environ.get("SPARSECORE_OPENMP") == "off":
        pytest.skip("a serial build was asked for")
    assert _core.openmp_version() >= 201107


@pytest.mark.parametrize("isa", ["base", "avx2", "avx512"])
def test_a_forced_instruction_set_is_taken_or_refused(isa, tmp_path):
    done = run("import sparsecore as sc; print(sc.show_config('dicts')['isa'])", tmp_path, SPARSECORE_ISA=isa)
    if isa in _core.isa_runs():
        assert done.stdout.strip() == isa
    else:
        assert done.returncode and f"SPARSECORE_ISA={isa}: not available" in done.stderr


def test_an_unknown_instruction_set_is_an_error(tmp_path):
    done = run("import sparsecore", tmp_path, SPARSECORE_ISA="sse9")
    assert done.returncode and "SPARSECORE_ISA=sse9: unknown; known are base, avx2, avx512" in done.stderr


def test_importing_prints_nothing_and_loads_no_optional_package(tmp_path):
    code = ("import sys, sparsecore; "
            "print([m for m in ('torch', 'sklearn', 'pandas', 'matplotlib', 'dask') if m in sys.modules])")
    assert run(code, tmp_path).stdout.strip() == "[]"
