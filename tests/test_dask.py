"""dask collections give what the same blocks give in memory."""

import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore as sc

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from sparsecore.integrations import dask as scd  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((2000, 12)) < 0.4, rng.standard_normal((2000, 12)), 0)
    return X, np.where(X @ rng.standard_normal(12) > 0, "yes", "no")


def collections(X):
    array = da.from_array(X, chunks=(300, 5))
    yield array
    yield [dask.delayed(sp.csr_array)(X[i : i + 300]) for i in range(0, len(X), 300)]
    bag = pytest.importorskip("dask.bag")
    yield bag.from_sequence(list(X), npartitions=4)


def test_batches_of_every_collection_give_the_answers_of_one_go(rows):
    X, y = rows
    for data in collections(X):
        blocks = scd.batches(data)
        scaled = [b.toarray() if sp.issparse(b) else b for b in sc.scale(blocks, "std")]
        assert np.allclose(np.concatenate(scaled), sc.scale(X, "std"), atol=1e-14)
        assert (sc.sparsify(blocks, keep=0.5) != sc.sparsify(X, keep=0.5)).nnz == 0
        found = sc.aggregate(blocks, y)
        assert np.allclose(found.toarray() if sp.issparse(found) else found, sc.aggregate(X, y))
        svd = sc.truncated_svd(sc.RowBlocks(blocks, X.shape), 3, tol=1e-6)
        assert np.allclose(svd.s, np.linalg.svd(X, compute_uv=False)[:3], rtol=1e-5)


def test_shards_on_the_scheduler_are_those_of_fit_shards(rows):
    X, y = rows
    a, b = da.from_array(X, chunks=(500, 12)), da.from_array(y, chunks=500)
    found = scd.fit_shards(a, b)
    expected = sc.fit_shards((X[i : i + 500], y[i : i + 500]) for i in range(0, 2000, 500))
    for one, other in zip(found, expected, strict=True):
        assert one.accuracy == other.accuracy and np.array_equal(one.model.coef_, other.model.coef_)
    assert sc.merge(found).prune(0.5).score(X, y) > 0.8


def test_a_failing_block_is_reported_and_the_others_go_on(rows):
    X, y = rows
    labels = [dask.delayed(y[i : i + 500 - (i == 500)]) for i in range(0, 2000, 500)]
    found = scd.fit_shards(da.from_array(X, chunks=(500, 12)), labels)
    assert [s.ok for s in found] == [True, False, True, True] and "y has 499" in found[1].error
    with pytest.raises(ValueError, match="4 blocks of rows; y has 3"):
        scd.fit_shards(da.from_array(X, chunks=(500, 12)), labels[:3])
    with pytest.raises(TypeError, match="no dask collection"):
        scd.batches(X)


def test_calibration_of_blocks_is_that_of_all_rows(rows):
    X, _ = rows
    for data in collections(X):
        found, expected = scd.calibrate(data), sc.pruning.calibrate(X)
        assert found.count == expected.count and np.allclose(found.gram, expected.gram)


def test_a_data_frame_comes_in_frames(rows):
    pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y = rows
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)])
    data = frames.from_pandas(frame, npartitions=4)
    out = list(sc.scale(scd.batches(data), "maxabs"))
    assert len(out) == 4 and np.allclose(pd.concat(out), sc.scale(X, "maxabs"))
    labels = frames.from_pandas(pd.Series(y), npartitions=4)
    assert all(s.ok for s in scd.fit_shards(data, labels))
