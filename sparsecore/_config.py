"""What was built, what runs, and why."""

import platform

from . import _core, _threads


def config():
    """A dict of versions, compiler, instruction sets, OpenMP and threads."""
    import numpy
    import scipy

    from . import __version__

    return {
        "sparsecore": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "compiler": _core.compiler(),
        "isa_built": _core.isa_built(),
        "isa_runs": _core.isa_runs(),
        "isa": _core.isa_chosen(),
        "openmp": _core.openmp_version(),
        "threads": _threads.explain(),
    }


def show_config(mode="stdout"):
    """Prints how sparsecore was built and what it runs on; mode='dicts' returns it instead."""
    found = config()
    if mode == "dicts":
        return found
    if mode != "stdout":
        raise ValueError(f"mode is {mode!r}; it must be 'stdout' or 'dicts'")
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for k, v in value.items():
                print(f"    {k}: {v}")
        else:
            print(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
