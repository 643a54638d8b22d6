"""From data to a condensed model: the formulas, batches with the bits of one go, shards that fail and resume."""

import errno
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore as sc
from sparsecore import pipeline as pl
from sparsecore.pipeline import linear, readers, spool
from sparsecore.pipeline.linear import Moments, encode_labels, ridge
from sparsecore.pipeline.memory import free_memory
from sparsecore.pipeline.model import folds
from sparsecore.pipeline.scale import unit_length
from sparsecore.pipeline.spool import Spool

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((20_000, 12)) < 0.3, rng.standard_normal((20_000, 12)) * np.arange(1, 13), 0)
    X[5], X[:, 7] = 0, 0
    return X


def families(X):
    return [X, sp.csr_array(X), sp.csc_array(X), sp.csr_matrix(X), sp.coo_array(X), pd.DataFrame(X)]


def dense(result):
    return result.toarray() if sp.issparse(result) else np.asarray(result)


def cut(X, *sizes):
    """Batches of uneven sizes."""
    bounds = [0, *np.cumsum(sizes), X.shape[0]]
    return [X[a:b] for a, b in zip(bounds[:-1], bounds[1:])]


def scaled(X, method):
    if method == "maxabs":
        divisor = np.abs(X).max(axis=0)
    elif method == "std":
        divisor = X.std(axis=0)
    elif method == "tfidf":
        X = X * (1 + np.log((1 + len(X)) / (1 + np.count_nonzero(X, axis=0))))
    if method in ("l2", "tfidf"):
        divisor = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(divisor > 0, divisor, 1)


@pytest.mark.parametrize("method", ["maxabs", "std", "l2", "tfidf"])
def test_scaling_follows_its_formula_in_every_family_and_keeps_zeros(X, method):
    expected = scaled(X, method)
    for data in families(X):
        before = dense(data).copy()
        found = sc.scale(data, method)
        assert np.allclose(dense(found), expected, atol=1e-14) and ((dense(found) != 0) == (X != 0)).all()
        assert sp.issparse(found) == sp.issparse(data)
        assert isinstance(found, pd.DataFrame) == isinstance(data, pd.DataFrame)
        assert np.array_equal(dense(data), before)


@pytest.mark.parametrize("method", ["maxabs", "std", "l2", "tfidf"])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_scaling_in_batches_gives_the_bits_of_one_go(X, method, make):
    whole = dense(sc.scale(make(X), method))
    batches = cut(make(X), 1, 8191, 3, 9000)
    for data in (batches, iter(batches), lambda: iter(batches)):
        assert np.concatenate([dense(b) for b in sc.scale(data, method)]).tobytes() == whole.tobytes()


@pytest.mark.parametrize("method", ["sum", "weighted", "norm"])
def test_sparsify_keeps_the_best_columns(X, method):
    magnitudes = np.abs(X)
    mass = magnitudes.sum(axis=1, keepdims=True)
    scores = {"sum": magnitudes.sum(axis=0), "weighted": (magnitudes / np.where(mass > 0, mass, 1)).sum(axis=0),
              "norm": np.linalg.norm(X, axis=0)}[method]
    kept = np.argsort(-scores)[:4]
    expected = np.zeros_like(X)
    expected[:, kept] = X[:, kept]
    for data in families(X):
        found = sc.sparsify(data, method, keep=1 / 3)
        assert found.format == "csr" and np.array_equal(found.toarray(), expected)
    assert np.allclose(pl.column_scores(X, method), scores)
    narrow = sc.sparsify(X, method, keep=1 / 3, drop=True)
    assert np.array_equal(narrow.toarray(), X[:, np.sort(kept)])
    for data in (cut(X, 1, 8191, 9000), iter(cut(X, 77)), lambda: iter(cut(X, 10_000))):
        assert (sc.sparsify(data, method, keep=1 / 3) != sp.csr_array(expected)).nnz == 0
    assert pl.column_scores(cut(X, 5, 9000), method).tobytes() == pl.column_scores(X, method).tobytes()


def test_sparsify_by_magnitude_keeps_exactly_the_largest_entries(X):
    found = sc.sparsify(X, "magnitude", keep=0.05)
    assert found.nnz == round(0.05 * X.size)
    assert np.abs(found.data).min() >= np.abs(X[found.toarray() == 0]).max()


def test_sparsify_by_a_pruning_score_keeps_exactly_its_best_entries(X):
    norms = np.linalg.norm(X, axis=0)
    for data in (X, sp.csr_array(X), cut(X, 5, 9000)):
        found = sc.sparsify(data, sc.pruning.wanda, keep=0.05)
        scores = np.abs(X) * norms
        kept = found.toarray() != 0
        assert found.nnz == round(0.05 * X.size) and scores[kept].min() >= scores[~kept].max()
        assert np.array_equal(found.toarray()[kept], X[kept])


def test_aggregate_by_clusters():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    centres = np.eye(3) * 10
    X = np.repeat(centres, 50, axis=0) + rng.standard_normal((150, 3)) * 0.1
    for data in (X, sp.csr_array(X), [X[:70], X[70:]]):
        found = dense(sc.aggregate(data, 3))
        assert np.allclose(found[np.argsort(-found[:, 0] - 0.1 * found[:, 1])], centres, atol=0.1)
    with pytest.raises(ValueError, match="151 clusters of 150 rows"):
        sc.aggregate(X, 151)


@pytest.mark.parametrize("method", ["mean", "sum", "median", "max"])
def test_aggregate_makes_one_row_per_group(X, method):
    groups = np.random.default_rng(1).choice(["b", "a", "c"], len(X))
    expected = np.stack([getattr(np, method)(X[groups == g], axis=0) for g in "abc"])
    for data in [*families(X), cut(X, 1, 9000), iter(cut(sp.csr_array(X), 8192))]:
        found = sc.aggregate(data, groups, method)
        assert np.allclose(dense(found), expected, atol=1e-9)
    assert np.allclose(dense(sc.aggregate(X, None, method)), getattr(np, method)(X, axis=0))
    assert dense(sc.aggregate(cut(X, 1, 9000), groups, method)).tobytes() == (
        sc.aggregate(X, groups, method).tobytes())
    frame = pd.DataFrame(X).assign(g=groups)
    assert list(sc.aggregate(frame, "g", method).index) == ["a", "b", "c"]


def test_wrong_arguments_name_both_sides(X):
    for call, message in [
        (lambda: sc.scale(X, "log"), "method is 'log'"), (lambda: sc.sparsify(X, keep=0), "keep is 0"),
        (lambda: sc.sparsify(X, "best"), "method is 'best'"),
        (lambda: sc.aggregate(X, [1, 2]), r"groups has shape \(2,\); the data has 20000 rows"),
        (lambda: sc.aggregate(X, None, "mode"), "method is 'mode'"),
        (lambda: sc.aggregate(X, "g"), "no data frame"),
        (lambda: list(sc.scale([X, X[:, :3]])), "12 columns; another has 3"),
        (lambda: sc.scale(X[0]), "shape"),
        (lambda: sc.aggregate(X, None, weight=np.zeros(len(X))), "weight zero"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="not numbers"):
        sc.scale(pd.DataFrame({"a": ["x"]}))


# --------------------------------------------------------------------------------------------------- ridge and folds


@pytest.mark.parametrize("rows, columns", [(200, 30), (30, 200)])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_ridge_solves_its_normal_equations(rows, columns, make):
    rng = np.random.default_rng(0)
    A = np.where(rng.random((rows, columns)) < 0.3, rng.standard_normal((rows, columns)), 0)
    Y, weight = rng.standard_normal((rows, 2)), rng.integers(0, 3, rows).astype(float)
    coef, intercept = ridge(make(A), Y, 0.7, weight)
    residual = (Y - A @ coef.T - intercept) * weight[:, None]
    assert np.allclose(residual.sum(axis=0), 0, atol=1e-9) and np.allclose(A.T @ residual, 0.7 * coef.T, atol=1e-9)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_large_ridge_problems_take_memory_of_their_entries(monkeypatch, make, weighted):
    """100,000 reviews of 200,000 terms asked for a square matrix of 80 GB: conjugate gradients need none."""
    rng = np.random.default_rng(0)
    A = np.where(rng.random((300, 240)) < 0.1, rng.standard_normal((300, 240)) * 10.0 ** rng.integers(-2, 2, 240), 0)
    Y, weight = rng.standard_normal((300, 3)), rng.integers(0, 3, 300).astype(float) if weighted else None
    closed = linear.ridge_path(make(A), Y, [0.3, 3.0], weight)
    monkeypatch.setattr(linear, "CLOSED", 100)
    monkeypatch.setattr(linear, "_TOLERANCE", 1e-8)
    monkeypatch.setattr(linear.Moments, "__init__", lambda *_: pytest.fail("a square matrix was made"))
    found = linear.ridge_path(make(A), Y, [0.3, 3.0], weight)
    for (coef, intercept), (expected, offset) in zip(found, closed):
        assert np.allclose(coef, expected, atol=1e-5 * np.abs(expected).max())
        assert np.allclose(intercept, offset, atol=1e-5 * np.abs(offset).max())
    assert coef.shape == (3, 240) and coef.flags.c_contiguous


def test_large_ridge_problems_say_when_they_are_not_solved(monkeypatch):
    monkeypatch.setattr(linear, "CLOSED", 100)
    monkeypatch.setattr(linear, "_STEPS", 2)
    X = np.random.default_rng(0).standard_normal((200, 150))
    with pytest.warns(UserWarning, match="not solved to .* after 2 steps"):
        linear.ridge(X, X[:, :1], 0.1)


def test_large_ridge_problems_have_the_same_bits_on_any_threads(monkeypatch):
    monkeypatch.setattr(linear, "CLOSED", 100)
    X = sp.random_array((3000, 2500), density=0.02, random_state=np.random.default_rng(1), format="csr")
    Y, found = np.where(np.arange(3000) % 3 == 0, 1.0, -1.0)[:, None], set()
    for threads in (1, 2, 3, 8):
        with sc.threads(threads):
            found.add(linear.ridge(X, Y, 0.3)[0].tobytes())
    assert len(found) == 1


def test_moments_have_the_same_bits_however_the_rows_are_cut(X):
    Y = encode_labels(np.arange(len(X)) % 3, np.arange(3))
    found = []
    for sizes in ((), (1, 4096, 7000), (4095, 1)):
        moments = Moments(12, 3)
        for a, b in zip(cut(X, *sizes), cut(Y, *sizes)):
            moments.add(a, b)
        found.append(moments.solve(1.0)[0].tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_moments_of_sparse_rows_are_those_of_dense_ones(share):
    rng = np.random.default_rng(0)
    A = np.where(rng.random((5000, 40)) < share, rng.standard_normal((5000, 40)), 0)
    Y, weight = rng.standard_normal((5000, 2)), rng.random(5000)
    found = []
    for make in (np.asarray, sp.csr_array):
        moments, out = Moments(40, 2), Moments(40, 2)
        moments.add(make(A), Y, weight)
        out.add(make(A[::3]), Y[::3], weight[::3])
        found.append(moments.without(out).solve(0.5))
    kept = np.arange(5000) % 3 != 0
    expected = ridge(A[kept], Y[kept], 0.5, weight[kept])
    for coef, intercept in found:
        assert np.allclose(coef, expected[0]) and np.allclose(intercept, expected[1])


def spooled(A, Y, held, *sizes):
    found = Spool(A.shape[1], Y.shape[1], hold_out=True)
    for X, y, out in zip(cut(sp.csr_array(A), *sizes), cut(Y, *sizes), cut(held, *sizes)):
        found.add(X, y, out)
    return found


@pytest.mark.parametrize(("entries", "rows"), [(50, 300), (1 << 20, 300), (1 << 20, 13), (50, 5)])
def test_spooled_rows_give_the_weights_of_rows_in_memory(monkeypatch, entries, rows):
    """Of all rows and of those not held out, for each penalty, with all features or those of a mask."""
    monkeypatch.setattr(spool, "_ENTRIES", entries)
    monkeypatch.setattr(spool, "_FITS", 32 * 3 * rows)      # a block has so many rows at most
    monkeypatch.setattr(spool, "VECTORS", 1)    # a column at a time
    monkeypatch.setattr(linear, "_TOLERANCE", 1e-12)
    rng = np.random.default_rng(0)
    A = np.where(rng.random((300, 40)) < 0.1, rng.standard_normal((300, 40)), 0).astype(np.float32).astype(np.float64)
    A[50:90] = 0
    Y, held = encode_labels(rng.integers(0, 3, 300), np.arange(3)), rng.random(300) < 0.2
    mask = rng.random((3, 40)) < 0.3
    mask[1] = False
    found = spooled(A, Y, held, 7, 120)
    assert np.array_equal(np.concatenate([X.toarray() for X, _, _ in found.blocks()]), A)
    assert max(X.shape[0] for X, _, _ in found.blocks()) <= rows
    everywhere, masked = found.solve([0.3, 3.0]), found.solve([0.5], mask)
    for part, own in (("all", np.ones(300, bool)), ("rest", ~held)):
        for alpha, (coef, intercept) in zip([0.3, 3.0], everywhere[part], strict=True):
            expected = ridge(A[own], Y[own], alpha)
            assert np.allclose(coef, expected[0], atol=1e-9) and np.allclose(intercept, expected[1], atol=1e-9)
        (coef, intercept), = masked[part]
        for o in range(3):
            expected, offset = ridge(A[own][:, mask[o]], Y[own, o : o + 1], 0.5)
            assert np.allclose(coef[o, mask[o]], expected[0], atol=1e-9) and not coef[o, ~mask[o]].any()
            assert np.isclose(intercept[o], offset[0], atol=1e-9)
        known = found.calibration(part)
        assert known.count == own.sum() and np.allclose(known.col_norm, np.linalg.norm(A[own], axis=0))


@pytest.mark.parametrize("rows", [300, 1 << 20])
def test_spooled_rows_have_the_same_bits_however_they_are_cut_and_on_any_threads(monkeypatch, rows):
    monkeypatch.setattr(spool, "_ENTRIES", 20_000)
    monkeypatch.setattr(spool, "_FITS", 32 * rows)
    A = sp.random_array((3000, 2500), density=0.02, random_state=np.random.default_rng(1), format="csr")
    Y, held, found = np.where(np.arange(3000) % 3 == 0, 1.0, -1.0)[:, None], np.arange(3000) % 10 == 0, set()
    for threads, sizes in ((1, ()), (2, (1, 2000)), (3, (500, 700)), (8, (2999,))):
        with sc.threads(threads):
            solved = spooled(A, Y, held, *sizes).solve([0.3, 3.0])
        found.add(b"".join(coef.tobytes() for part in solved.values() for coef, _ in part))
    assert len(found) == 1


def test_spooled_rows_are_read_as_often_as_the_hardest_column_needs(monkeypatch):
    """A million reviews were read 140 times and more. All penalties, outputs and sets of rows share a reading, and
    residuals are divided by the root of the diagonal: by all of it, the hardest column took 37 readings here."""
    rng = np.random.default_rng(0)
    words = (3000 ** rng.random((400, 15))).astype(int) - 1     # sentences whose words are common and rare
    sentences = sp.csr_array((np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, 15)), shape=(400, 3000))
    picked = rng.integers(400, size=(4000, 6))
    picked = sp.csr_array((np.ones(picked.size), picked.ravel(), np.arange(0, picked.size + 1, 6)), shape=(4000, 400))
    counts = sp.csr_array(picked @ sentences)
    idf = 1 + np.log(4001 / (1 + np.bincount(counts.indices, minlength=3000)))
    A = unit_length(sp.csr_array(((1 + np.log(counts.data)) * idf[counts.indices], counts.indices, counts.indptr),
                                 shape=counts.shape))
    scores = picked @ rng.standard_normal((400, 2)) + rng.standard_normal((4000, 2))
    Y, held, readings = np.where(scores > 0, 1.0, -1.0), np.arange(4000) % 10 == 0, []
    read = Spool._read
    monkeypatch.setattr(Spool, "_read", lambda self: readings.append(self) or read(self))

    def count(rows, alphas):
        readings.clear()
        rows.solve(alphas)
        assert all(one is rows for one in readings)
        return len(readings)

    together = count(spooled(A, Y, held), [0.3, 3.0])
    alone = [count(spooled(A[own], Y[own, o : o + 1], np.zeros(len(own), bool)), [0.3])
             for own in (np.arange(4000), np.flatnonzero(~held)) for o in range(2)]
    assert together <= max(alone) + 1 and together <= 33, (together, alone)


def test_a_full_disk_is_told_with_what_to_do(monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rows = Spool(3, 1)
    monkeypatch.setattr(rows, "_file", Full())
    rows.add(sp.csr_array(np.eye(3)), np.ones((3, 1)))
    with pytest.raises(OSError, match="no room for the vectorised rows; the variable TMPDIR names another folder"):
        rows.solve([1.0])


@pytest.mark.parametrize("own, limits, expected", [
    ("0::/a/b\n", {"memory.max": {"a": "600", "a/b": "max"}}, 500),      # the limit of a group above
    ("0::/\n", {"memory.max": {".": "700"}}, 600),
    ("0::/../elsewhere\n", {"memory.max": {".": "700"}}, 600),          # seen from inside a container
    ("4:memory:/a\n0::/\n", {"memory.limit_in_bytes": {"memory/a": "300", "memory": str(2**63 - 4096)}}, 200),
    ("0::/a\n", {"memory.max": {"a": "50"}}, 0),
    ("0::/a\n", {}, 1024),
])
def test_free_memory_is_the_least_that_system_and_groups_leave(tmp_path, own, limits, expected):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 1 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(own)
    for name, folders in limits.items():
        for folder, limit in folders.items():
            folder = tmp_path / "groups" / folder
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(limit + "\n")
            (folder / "memory.stat").write_text("anon 100\ntotal_rss 100\nfile 5000\n")
    assert free_memory(tmp_path / "proc", tmp_path / "groups") == expected
    assert free_memory(tmp_path / "nowhere") is None


def test_terms_are_counted_in_bounded_memory(monkeypatch):
    """The rarest of too many terms are forgotten; those of many rows stay."""
    from sparsecore.pipeline import features

    rows = [f"common shared word{i} other{i}" for i in range(3000)]
    batches = [{"t": np.array(rows[i : i + 500], dtype=object)} for i in range(0, 3000, 500)]
    whole = features.TextFeatures("t", ngrams=(1, 1), min_df=2).learn(batches)
    monkeypatch.setattr(features, "MOST_TERMS", 100)
    bounded = features.TextFeatures("t", ngrams=(1, 1), min_df=2).learn(batches)
    assert bounded.terms == whole.terms == ["common", "shared"] and np.array_equal(bounded.idf, whole.idf)


def test_text_is_counted_in_parts_as_in_one_go(monkeypatch):
    """Terms that occur in one part only, rows and whole parts without words, and the limit on rare terms."""
    from sparsecore.pipeline import features

    rng = np.random.default_rng(0)
    rows = [" ".join(f"w{i}" for i in rng.integers(0, 60, rng.integers(0, 6))) for _ in range(200)]
    rows[20:40] = ["", "-"] * 10
    batch, found = {"t": np.array(rows, dtype=object)}, []
    for part in (1000, 10, 7):
        monkeypatch.setattr(features, "PART_ROWS", part)
        spec = features.TextFeatures("t", min_df=3)
        counts = spec.count(batch, partial(readers.ordered_map, workers=2, ahead=1))
        known, chosen = spec.fitted(counts)
        assert np.bincount(counts.indices).min() >= 3 and counts.has_canonical_format
        assert np.array_equal(known.transform(batch).toarray(), known.weigh(counts[:, chosen]).toarray())
        found.append((spec.terms, counts.toarray().tobytes()))
    assert found[0] == found[1] == found[2]
    with pytest.raises(ValueError, match="has no words"):
        features.TextFeatures("t").count({"t": np.array(["", "-"], dtype=object)})


def test_processes_map_in_order():
    found = list(readers.ordered_map(abs, range(-20, 0), 2, 3, processes=True))
    assert found == list(range(20, 0, -1))


def test_folds_are_stratified_and_of_even_size():
    y = np.array(["a"] * 50 + ["b"] * 53)
    place = folds(y, 5, 0)
    assert np.ptp(np.bincount(place)) <= 1 and np.ptp(np.bincount(place[:50])) == 0
    assert not np.array_equal(place, folds(y, 5, 1)) and np.array_equal(place, folds(y, 5, 0))


# ----------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize("block", [64, 4 << 20])
def test_batches_of_a_csv_with_quotes_newlines_and_gz(tmp_path, monkeypatch, arrow, block):
    if arrow:
        pytest.importorskip("pyarrow")
    else:
        import sys

        monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(readers, "BLOCK", block)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n, 1": rng.standard_normal(500).round(6), "t": [
        'say "x"\nand, ' * int(rng.integers(0, 5)) + "é NA" for _ in range(500)], "other": 1})
    path, packed = tmp_path / "t.csv", tmp_path / "t.csv.gz"
    frame.to_csv(path, index=False)
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for source in (path, packed):
        for size in (1, 77, 500, 10_000):
            parts = list(pl.table_batches(source, numeric=["n, 1"], text=["t"], batch_size=size, workers=2))
            assert [len(p["t"]) for p in parts[:-1]] == [size] * (len(parts) - 1)
            assert np.array_equal(np.concatenate([p["n, 1"] for p in parts]), frame["n, 1"])
            assert np.concatenate([p["t"] for p in parts]).tolist() == frame["t"].tolist()


def test_batches_of_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": np.arange(1000.0), "b": [f"x{i}" for i in range(1000)]})
    frame.to_parquet(tmp_path / "t.parquet")
    parts = list(pl.table_batches(tmp_path / "t.parquet", numeric=["a"], text=["b"], batch_size=300))
    assert [len(p["a"]) for p in parts] == [300, 300, 300, 100]
    assert np.concatenate([p["b"] for p in parts]).tolist() == frame["b"].tolist()


def test_an_unclosed_quote_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n1,"x\n' + "2,y\n" * 50)
    with pytest.raises(pl.DataError):
        list(pl.table_batches(tmp_path / "t.csv", numeric=["a"], text=["b"]))


def test_reading_ahead_is_bounded_and_stops_when_the_reader_leaves():
    produced, gate = [], threading.Event()

    def items():
        for i in range(1000):
            produced.append(i)
            gate.set()
            yield i

    stream = readers.prefetched(items(), 3)
    assert next(stream) == 0
    gate.wait(5)
    stream.close()
    assert len(produced) <= 6


def test_errors_of_the_reading_thread_reach_the_caller():
    def items():
        yield 1
        raise OSError("gone")

    stream = readers.prefetched(items(), 2)
    assert next(stream) == 1
    with pytest.raises(OSError, match="gone"):
        next(stream)


# ------------------------------------------------------------------------------------------------------------ shards


def shards(count=6, rows=300, wrong=()):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(20)
    for i in range(count):
        A = rng.standard_normal((rows, 20))
        y = np.where(A @ w > 0, "yes", "no")
        yield A, y[:-1] if i in wrong else y


@pytest.mark.parametrize("processes", [False, True])
def test_shards_are_trained_and_validated_and_merged(processes):
    found = sc.fit_shards(shards(), workers=2, processes=processes)
    assert [s.shard for s in found] == list(range(6)) and all(s.accuracy > 0.8 and s.rows == 240 for s in found)
    A, y = next(shards(1, 2000))
    best = np.mean([s.model.score(A, y) for s in found])
    assert sc.merge(found, "mean").score(A, y) >= best and sc.merge(found, "vote").score(A, y) >= best
    assert sc.merge(found, "stack", X=A[:500], y=y[:500]).score(A[500:], y[500:]) >= best - 0.01
    pruned = sc.merge(found).prune(0.5)
    assert pruned.coef_.nnz == 10 and pruned.score(A, y) > 0.75


def test_a_failing_shard_is_reported_and_the_others_go_on():
    found = sc.fit_shards(shards(wrong=(2,)))
    assert [s.ok for s in found] == [True, True, False, True, True, True]
    assert "X has 300 rows; y has 299" in found[2].error
    assert sc.merge(found).coef_.shape == (1, 20)
    with pytest.raises(RuntimeError, match="every one of 2 shards failed"):
        sc.fit_shards(shards(2, wrong=(0, 1)))


class Fatal(pl.Linear):
    """Ends its process in a shard that begins with 1e6."""

    def fit(self, X, y):
        if X[:, 0].max() == 1e6:
            os._exit(9)
        return super().fit(X, y)


def test_a_worker_process_that_dies_costs_one_shard():
    data = list(shards(5, 60))
    data[1][0][:, 0] = 1e6
    found = sc.fit_shards(data, Fatal, workers=2, processes=True)
    assert [s.ok for s in found] == [True, False, True, True, True] and "ended abruptly" in found[1].error


def test_a_run_cut_short_resumes(tmp_path, monkeypatch):
    first = sc.fit_shards(shards(3), checkpoint=tmp_path)
    other = sc.fit_shards(shards(3), partial(pl.Linear, alpha=50.0), checkpoint=tmp_path)  # is not taken for it
    assert not np.array_equal(first[0].model.coef_, other[0].model.coef_)
    monkeypatch.setattr(pl.Linear, "fit", lambda *_: pytest.fail("trained again"))
    again = sc.fit_shards(shards(3), checkpoint=tmp_path)
    for a, b in zip(first, again):
        assert a.accuracy == b.accuracy and np.array_equal(a.model.coef_, b.model.coef_)
        assert a.model.classes_.tolist() == b.model.classes_.tolist()


def test_models_that_saw_other_classes_merge():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((600, 3))
    y = A.argmax(axis=1)
    two = y != 2
    merged = sc.merge([pl.Linear().fit(A, y), pl.Linear().fit(A[two], y[two])])
    assert merged.classes_.tolist() == [0, 1, 2] and merged.score(A, y) > 0.6


def test_merging_nothing_or_other_widths_is_an_error():
    rng = np.random.default_rng(0)
    a, b = (pl.Linear().fit(rng.standard_normal((50, d)), np.arange(50) % 2) for d in (3, 4))
    for call, message in [(lambda: sc.merge([]), "no model"), (lambda: sc.merge([a, b]), "4 features; another has 3"),
                          (lambda: sc.merge([a], "stack"), "needs X and y"), (lambda: sc.merge([a], "sum"), "'sum'"),
                          (lambda: sc.fit_shards([]), "no shards")]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")
def test_ctrl_c_ends_worker_processes_at_once_and_in_silence(tmp_path):
    """Those that were idle, or starting, printed a traceback each, and what others had begun was waited for."""
    psutil = pytest.importorskip("psutil")
    code = """
import signal, time
from sparsecore.pipeline.readers import ordered_map
signal.signal(signal.SIGINT, signal.default_int_handler)     # ignored where a shell put this in the background
try:
    list(ordered_map(time.sleep, [600, 0], 2, 1, processes=True))
except KeyboardInterrupt:
    print("interrupted")
"""
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, cwd=tmp_path)
    family = psutil.Process(started.pid)
    until = time.monotonic() + 60
    while len(family.children(recursive=True)) < 4 and time.monotonic() < until:    # two of them are workers
        time.sleep(0.05)
    time.sleep(1)       # one is at work, one idle
    workers = family.children(recursive=True)
    os.killpg(started.pid, signal.SIGINT)
    try:
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert (out, err) == ("interrupted\n", "")
    assert not psutil.wait_procs(workers, timeout=30)[1]
