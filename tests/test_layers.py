"""The layer rule of the house, read from the sources."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Which rooms of sparsecore/ may be imported from each room; what is not listed is free.
ALLOWED = {
    "_core": set(),
    "_threads": {"_core"},
    "_args": set(),
    "ops": {"_core", "_args", "_threads"},
    "prepared": {"_core", "_args", "_threads", "ops"},
    "arrays": {"_args", "ops"},
    "threshold": {"_core", "_args", "_threads", "ops", "storage"},
    "svd": {"_core", "_args", "_threads", "ops"},
    "pruning": {"ops", "threshold", "svd", "_threads", "_args", "pruning", "io", "storage", "prepared"},
}


def imports(path):
    """Rooms of sparsecore that a module imports."""
    package = ("sparsecore", *path.relative_to(ROOT / "sparsecore").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("sparsecore."):
                    yield name.name.split(".")[1]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            parts = base + (node.module.split(".") if node.module else [])
            if parts[:1] == ["sparsecore"]:
                yield from [parts[1]] if len(parts) > 1 else [name.name for name in node.names]


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_each_floor_uses_only_those_below(room):
    place = ROOT / "sparsecore" / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [f for f in [place.with_suffix(".py")] if f.exists()]
    for path in files:
        found = set(imports(path)) - {room}
        assert found <= ALLOWED[room], f"{path.name} imports {sorted(found - ALLOWED[room])}"


def test_nobody_imports_integrations_or_the_command_line():
    for path in (ROOT / "sparsecore").rglob("*.py"):
        inside = {"integrations", "cli", "__main__"} & {*path.relative_to(ROOT / "sparsecore").with_suffix("").parts}
        if not inside and path.name != "__init__.py":
            assert not {"integrations", "cli"} & set(imports(path)), path


def test_kernels_know_no_openmp_no_allocation_no_errors():
    for path in (ROOT / "csrc" / "kernels").glob("*.[ch]"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)
        found = re.findall(r"omp\.h|\bomp_\w+|pragma omp (?!simd)\w*|\b(?:m|c|re)alloc\(|\bsc_alloc|\bfree\(|Python\.h",
                           code)
        assert not found, f"{path.name}: {found}"


def test_every_parallel_region_names_its_threads():
    for path in (ROOT / "csrc").glob("*.c"):
        code = path.read_text().replace("\\\n", " ")
        assert "omp_set_num_threads" not in code
        for line in code.splitlines():
            if re.search(r"#pragma omp parallel", line):
                assert "num_threads(" in line, f"{path.name}: {line.strip()}"


def test_lines_of_c_and_cython_fit_in_120_columns():     # those of Python are ruff's
    for path in (p for room in ("csrc", "sparsecore") for p in (ROOT / room).rglob("*.*")):
        if path.suffix in (".c", ".h", ".pxi", ".pxd", ".pyx"):
            long = [i for i, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120]
            assert not long, f"{path.name}: lines {long}"
