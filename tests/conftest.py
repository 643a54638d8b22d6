import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("SPARSECORE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder} (set SPARSECORE_DATA)")
    return folder


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(20261123)
