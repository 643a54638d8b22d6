"""Model files: every encoding comes back bit for bit, the smallest one is chosen, damage is refused in one line."""

import json
import os

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsecore as sc
import sparsecore.io  # noqa: F401
from sparsecore import pruning as pr
from sparsecore.io import encode

ml_dtypes = pytest.importorskip("ml_dtypes")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.uint16, np.int64, bool, np.complex64,
          np.complex128]


def pruned(shape, density, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.standard_normal(shape) * 9, 0).astype(dtype)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def round_trip(tmp_path, model, **options):
    path = tmp_path / "m.safetensors"
    sc.io.save_model(path, model, **options)
    return sc.io.load_model(path)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", [(), (7,), (0, 5), (5, 0), (40, 30), (6, 3, 5, 5), (3, 70000)])
def test_arrays_come_back_bit_for_bit(tmp_path, dtype, shape):
    for density in (0.0, 0.02, 0.1, 0.4, 1.0):
        W = pruned(shape, density, dtype)
        assert same_bits(round_trip(tmp_path, {"w": W}).layers["w"], W)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (40, 30), (3, 70000), (2, 2**40)])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix])
def test_sparse_layers_come_back_with_type_pattern_and_bits(tmp_path, shape, container):
    for density in (0.0, 0.1, 0.9):
        nnz = int(min(shape[0] * shape[1], 70000) * density)
        rng = np.random.default_rng(1)
        place = rng.choice(min(shape[0] * shape[1], 2**40), nnz, replace=False) if shape[0] * shape[1] < 1e6 else (
            np.unique(rng.integers(0, shape[0] * shape[1], nnz)))
        index = np.int64
        if container in (sp.csc_array, sp.csc_matrix) and shape[1] > 2**30:
            continue
        A = container((rng.standard_normal(place.size), (place // max(shape[1], 1), place % max(shape[1], 1))), shape)
        A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
        B = round_trip(tmp_path, {"a": A}).layers["a"]
        assert type(B) is container and B.shape == A.shape
        for part in ("indptr", "indices", "data"):
            assert same_bits(getattr(A, part), getattr(B, part))


def test_negative_zero_nan_payloads_and_explicit_zeros_survive(tmp_path):
    W = np.zeros((50, 50), np.float32)
    W[3, 4], W[5, 6] = -0.0, np.frombuffer(np.uint32(0x7FC12345).tobytes(), np.float32)[0]
    assert same_bits(round_trip(tmp_path, {"w": W}).layers["w"], W)
    A = sp.csr_array((np.array([0.0, 1.0, -0.0]), np.array([1, 2, 0]), np.array([0, 2, 3])), shape=(2, 3))
    B = round_trip(tmp_path, {"a": A}).layers["a"]
    assert same_bits(A.data, B.data) and same_bits(A.indices, B.indices)


def test_unsorted_and_repeated_columns_survive(tmp_path):
    A = sp.csr_array((np.arange(1.0, 6), np.array([4, 0, 4, 2, 1]), np.array([0, 3, 5])), shape=(2, 5))
    B = round_trip(tmp_path, {"a": A}).layers["a"]
    assert same_bits(A.indices, B.indices) and same_bits(A.data, B.data)


def test_low_rank_layers_and_original_shapes(tmp_path):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((30, 2)), rng.standard_normal((2, 40))
    S = sp.csr_array(pruned((30, 40), 0.05, np.float64))
    model = pr.PrunedModel(
        {"a": pr.LowRank(left, right), "b": pr.SparsePlusLowRank(S, left, right), "c": sp.csr_array((6, 75))},
        shapes={"c": (6, 3, 5, 5)}, report=[{"name": "a", "error": np.float64(0.5)}], metadata={"note": "x"})
    back = round_trip(tmp_path, model)
    assert same_bits(back.layers["a"].left, left) and same_bits(back.layers["b"].right, right)
    assert same_bits(back.layers["b"].sparse.data, S.data)
    assert back.state_dict()["c"].shape == (6, 3, 5, 5)
    assert back.report["a"]["error"] == 0.5 and back.metadata == {"note": "x"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(0, 300), st.floats(0, 1), st.integers(0, 2**32 - 1),
       st.sampled_from([np.float16, np.float32, np.float64]))
def test_the_smallest_encoding_wins(m, n, density, seed, dtype):
    W = pruned((m, n), density, dtype, seed)
    place = np.nonzero(W)
    A = encode.csr((m, n), W[place], place[1], np.concatenate([[0], np.cumsum(np.count_nonzero(W, axis=1))]))
    s, z = W.dtype.itemsize, A.nnz
    sizes = {"dense": W.nbytes, "bitmask": (m * n + 7) // 8 + z * s, "csr16": 2 * m + z * (s + 2)}
    for _, parts in (encode.encode_dense(W), encode.encode_sparse(A)):
        assert sum(p.nbytes for p in parts.values()) <= min(sizes.values())
    assert same_bits(encode.decode_dense(*encode.encode_dense(W), W.shape, W.dtype.name), W)
    B = encode.decode_sparse(*encode.encode_sparse(A), A.shape, A.dtype.name, A.indices.dtype.name)
    assert same_bits(A.indices, B.indices) and same_bits(A.indptr, B.indptr) and same_bits(A.data, B.data)


def test_a_ninety_percent_sparse_layer_takes_at_most_fifteen_hundredths(tmp_path):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((512, 1024)).astype(np.float32)
    W[np.abs(W) < np.quantile(np.abs(W), 0.9)] = 0
    path = tmp_path / "m"
    for layer in (W, sp.csr_array(W)):
        sc.io.save_model(path, {"fc": layer})
        assert path.stat().st_size <= 0.15 * W.nbytes


def test_other_readers_see_dense_layers_by_name(tmp_path):
    W = np.arange(1.0, 7).reshape(2, 3)
    sc.io.save_model(tmp_path / "m", {"fc": W})
    assert same_bits(safetensors_numpy.load_file(tmp_path / "m")["fc"], W)


def test_a_plain_safetensors_file_loads_as_dense_layers(tmp_path):
    W = np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3)
    safetensors_numpy.save_file({"fc": W}, tmp_path / "m")
    assert same_bits(sc.io.load_model(tmp_path / "m").layers["fc"], W)


def test_loaded_arrays_can_be_written(tmp_path):
    W = round_trip(tmp_path, {"w": np.ones((2, 2))}).layers["w"]
    W[0, 0] = 5


def test_every_cut_and_every_header_byte_gives_a_model_file_error_or_a_model(tmp_path):
    path = tmp_path / "m"
    model = {"a": sp.csr_array(pruned((20, 30), 0.1, np.float32)), "b": pruned((20, 30), 0.4, np.float32),
             "c": pruned((3, 4), 1, np.float32), "d": pruned((9, 2000), 0.02, np.float64)}
    sc.io.save_model(path, model)
    raw = path.read_bytes()
    header = 8 + int.from_bytes(raw[:8], "little")
    rng = np.random.default_rng(0)
    damaged = [raw[:n] for n in range(0, len(raw), 97)]
    for place in [*range(header), *rng.integers(header, len(raw), 400)]:
        damaged.append(raw[:place] + bytes([raw[place] ^ (1 << int(rng.integers(8)))]) + raw[place + 1:])
    for data in damaged:
        path.write_bytes(data)
        try:
            sc.io.load_model(path)
        except sc.io.ModelFileError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda head, t: head["layers"]["a"].update(shape=[20, 5]), "outside"),
        (lambda head, t: head["layers"]["a"].update(shape=[20, -5]), "shape"),
        (lambda head, t: head["layers"]["a"].update(shape=[10**9, 10**9]), "lengths"),
        (lambda head, t: head["layers"]["a"].update(dtype="float64"), "header says"),
        (lambda head, t: head["layers"]["a"].update(kind="pickle"), "unknown kind"),
        (lambda head, t: head["layers"]["a"].update(index="int8"), "index type"),
        (lambda head, t: head.update(version=99), "version 99"),
        (lambda head, t: t.pop("a::lengths"), "a::lengths"),
        (lambda head, t: t["a::lengths"].__setitem__(0, 200), "adding up"),
    ],
)
def test_contradictions_are_named(tmp_path, change, message):
    path = tmp_path / "m"
    sc.io.save_model(path, {"a": sp.csr_array(pruned((20, 200), 0.05, np.float32))})
    tensors = safetensors_numpy.load_file(path)
    with open(path, "rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    head = json.loads(header["__metadata__"]["sparsecore"])
    change(head, tensors)
    safetensors_numpy.save_file(tensors, path, metadata={"sparsecore": json.dumps(head)})
    with pytest.raises(sc.io.ModelFileError, match=message):
        sc.io.load_model(path)


def test_values_that_do_not_fit_are_refused(tmp_path):
    for W in (np.array(["a"]), np.array([object()]), np.ones(2, np.longdouble)):
        with pytest.raises(TypeError, match="do not fit"):
            sc.io.save_model(tmp_path / "m", {"w": W})
    with pytest.raises(ValueError, match="rename"):
        sc.io.save_model(tmp_path / "m", {"a::values": np.ones(2), "a": pruned((50, 50), 0.1, np.float32)})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m"
    sc.io.save_model(path, {"w": np.ones(3)})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        sc.io.save_model(path, {"w": np.zeros(3)})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m"]


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "m.npz", w=np.array([object()], dtype=object))
    with pytest.raises(sc.io.ModelFileError):
        sc.io.load_model(tmp_path / "m.npz")
