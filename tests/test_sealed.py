"""Sealed files: whatever is changed, they do not open; whatever interrupts a write, the old file stays."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cryptography")

from sparsecore import io  # noqa: E402
from sparsecore.io import sealed  # noqa: E402

KEY, OTHER = bytes(range(32)), bytes(32)
CHEAP = (64, 1, 1)
SMALL = 1 << 12  # chunks in these tests, so that files have many


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(sealed, "CHUNK", SMALL)


def refused(path, **keys):
    keys = keys or {"key": KEY}
    with pytest.raises(io.DecryptionError) as caught:
        io.read_sealed(path, **keys)
    assert str(caught.value) == f"{path} does not open: the key is wrong, or the file is damaged or not sealed"


def seal(path, payload, **options):
    options.setdefault("cost", CHEAP)
    io.write_sealed(path, payload, **({"key": KEY} | options if "passphrase" not in options else options))
    return path.read_bytes()


def header_length(raw):
    place = sealed._FIXED.size + 1
    for _ in range(raw[place - 1]):
        place += sealed._SLOT.size + sealed._SLOT.unpack_from(raw, place)[1]
    return place + 32


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_what_was_sealed_comes_back(tmp_path, small_chunks, size):
    payload = np.random.default_rng(0).bytes(size)
    raw = seal(tmp_path / "f", payload)
    assert io.read_sealed(tmp_path / "f", key=KEY) == payload
    assert size < 16 or payload[:16] not in raw
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    assert seal(tmp_path / "g", payload) != raw


def test_models_open_with_key_or_passphrase_only(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed, "DEFAULT_COST", CHEAP)
    W = np.eye(50, dtype=np.float32)
    path = tmp_path / "m"
    for keys, wrong in [({"key": KEY}, {"key": OTHER}), ({"passphrase": "open"}, {"passphrase": "Open"})]:
        io.save_model(path, {"secret_name": W}, **keys)
        assert b"secret_name" not in path.read_bytes()
        assert np.array_equal(io.load_model(path, **keys).layers["secret_name"], W)
        with pytest.raises(io.DecryptionError):
            io.load_model(path, **wrong)
        with pytest.raises(io.ModelFileError, match="sealed"):
            io.load_model(path)
    io.save_model(path, {"w": W})
    with pytest.raises(io.DecryptionError):  # a plain file put in the place of a sealed one
        io.load_model(path, key=KEY)


def test_every_bit_of_the_header_matters(tmp_path):
    path = tmp_path / "f"
    raw = seal(path, b"x" * 100, key=[KEY, OTHER])
    for place in range(header_length(raw)):
        for bit in range(8):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :])
            refused(path)
    path.write_bytes(raw)
    assert io.read_sealed(path, key=OTHER) == b"x" * 100


def test_every_byte_of_a_passphrase_header_matters(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed, "_MAX_MEMORY_KIB", 1024)  # a flipped cost is refused or cheap
    path = tmp_path / "f"
    raw = seal(path, b"x" * 100, passphrase="p")
    for place in range(header_length(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << place % 8]) + raw[place + 1 :])
        refused(path, passphrase="p")


def test_chunks_sealed_on_threads_are_those_of_one_thread(tmp_path, small_chunks):
    payload = np.random.default_rng(0).bytes(41 * SMALL + 7)
    raw = seal(tmp_path / "f", payload)
    fixed, file_key = raw[: sealed._FIXED.size], b"k" * 32
    cipher = sealed._cipher(sealed._derived(file_key, fixed, b"payload"))
    expected = [cipher.encrypt(sealed._nonce(i, i == 41), payload[i * SMALL : (i + 1) * SMALL], None)
                for i in range(42)]
    assert list(sealed._encrypted(b"", fixed, file_key, memoryview(payload)))[1:] == expected
    assert io.read_sealed(tmp_path / "f", key=KEY) == payload


def test_ten_thousand_payload_bits_matter(tmp_path, small_chunks):
    path = tmp_path / "f"
    rng = np.random.default_rng(0)
    raw = bytearray(seal(path, rng.bytes(3 * SMALL + 5)))
    start = header_length(raw)
    for place, bit in zip(rng.integers(start, len(raw), 10_000), rng.integers(0, 8, 10_000)):
        raw[place] ^= 1 << int(bit)
        with open(path, "r+b") as handle:
            handle.seek(int(place))
            handle.write(raw[place : place + 1])
            handle.flush()
        with pytest.raises(io.DecryptionError):
            io.read_sealed(path, key=KEY)
        raw[place] ^= 1 << int(bit)
        with open(path, "r+b") as handle:
            handle.seek(int(place))
            handle.write(raw[place : place + 1])
    assert len(io.read_sealed(path, key=KEY)) == 3 * SMALL + 5


def test_cut_swapped_dropped_repeated_and_spliced_chunks(tmp_path, small_chunks):
    path = tmp_path / "f"
    rng = np.random.default_rng(0)
    payload = rng.bytes(4 * SMALL)
    raw = seal(path, payload)
    other = seal(tmp_path / "g", payload)
    start, step = header_length(raw), SMALL + 16
    head, chunks = raw[:start], [raw[start + i * step : start + (i + 1) * step] for i in range(4)]
    alien = [other[start + i * step : start + (i + 1) * step] for i in range(4)]
    bad = [raw[:n] for n in (0, 1, 8, start - 1, start, *(start + i * step + d for i in range(5) for d in (-1, 0, 1)))
           if n < len(raw)]
    bad += [raw + b"x", raw + chunks[3], head + b"".join(chunks[:3])]
    for order in ([1, 0, 2, 3], [0, 1, 3, 2], [0, 0, 2, 3], [0, 1, 2, 2], [3, 1, 2, 0]):
        bad.append(head + b"".join(chunks[i] for i in order))
    for i in range(4):
        bad.append(head + b"".join(chunks[:i] + alien[i : i + 1] + chunks[i + 1 :]))
    bad.append(other[:start] + b"".join(chunks))
    # a shorter file with an honest length: the chunk that would have to be the last was not written as the last
    shorter = bytearray(head + b"".join(chunks[:3]))
    struct.pack_into(">Q", shorter, sealed._FIXED.size - 8, 3 * SMALL)
    bad.append(bytes(shorter))
    for data in bad:
        path.write_bytes(data)
        refused(path)


def test_absurd_costs_are_refused_before_any_derivation(tmp_path, monkeypatch):
    path = tmp_path / "f"
    raw = seal(path, b"x", passphrase="p")
    place = sealed._FIXED.size + 1 + sealed._SLOT.size + 16
    monkeypatch.setattr(sealed, "_wrapping_key", lambda *_: pytest.fail("derived a key"))
    most = 2**32 - 1
    for cost in [(most, 1, 1), (64, most, 1), (64, 1, most), (0, 1, 1), (64, 0, 1), (64, 1, 0), (64, 1, 16)]:
        path.write_bytes(raw[:place] + struct.pack(">III", *cost) + raw[place + 12 :])
        refused(path, passphrase="p")
    path.write_bytes(raw[: sealed._FIXED.size] + b"\xff" + raw[sealed._FIXED.size + 1 :])
    refused(path, passphrase="p")
    with pytest.raises(ValueError, match="out of bounds"):
        io.write_sealed(tmp_path / "g", b"x", passphrase="p", cost=(2**21, 1, 1))


def test_wrong_keys_are_refused_in_words(tmp_path):
    for keys, error, message in [
        ({"key": b"short"}, ValueError, "32 bytes; this one has 5"), ({"key": "x" * 32}, TypeError, "str"),
        ({"passphrase": ""}, ValueError, "empty"), ({}, ValueError, "key= or passphrase="),
        ({"passphrase": 5}, TypeError, "int"), ({"key": [KEY] * 9}, ValueError, "9 keys"),
    ]:
        with pytest.raises(error, match=message):
            io.write_sealed(tmp_path / "f", b"", **keys)
    seal(tmp_path / "f", b"x")
    refused(tmp_path / "f", key=OTHER)
    refused(tmp_path / "f", passphrase="p")
    with pytest.raises(FileNotFoundError):
        io.read_sealed(tmp_path / "none", key=KEY)


def test_rewrap_changes_keys_and_not_the_payload(tmp_path):
    path = tmp_path / "f"
    raw = seal(path, b"secret" * 100)
    io.rewrap(path, key=KEY, new_passphrase="p", cost=CHEAP)
    assert path.read_bytes()[-616:] == raw[-616:] and io.read_sealed(path, passphrase="p") == b"secret" * 100
    refused(path)
    io.rewrap(path, passphrase="p", new_key=OTHER, keep=True)
    assert io.read_sealed(path, passphrase="p") == io.read_sealed(path, key=OTHER)
    io.reencrypt(path, key=OTHER, new_key=KEY)
    assert path.read_bytes()[-616:] != raw[-616:] and io.read_sealed(path, key=KEY) == b"secret" * 100
    refused(path, key=OTHER)


def test_slots_cannot_move_between_files(tmp_path):
    a, b = seal(tmp_path / "a", b"x" * 50), seal(tmp_path / "b", b"y" * 50)
    n = sealed._FIXED.size
    for data in (a[:n] + b[n:], b[:n] + a[n:], a[:-66] + b[-66:]):
        (tmp_path / "c").write_bytes(data)
        refused(tmp_path / "c")


def test_a_key_service_wraps_the_file_key(tmp_path):
    class Service:
        def wrap(self, key, associated):
            return bytes(k ^ 0x5A for k in key) + associated[:4]

        def unwrap(self, blob, associated):
            if blob[32:] != associated[:4]:
                raise PermissionError("no")
            return bytes(k ^ 0x5A for k in blob[:32])

    seal(tmp_path / "f", b"x", key=Service())
    assert io.read_sealed(tmp_path / "f", key=Service()) == b"x"
    refused(tmp_path / "f")


VECTOR = bytes.fromhex((Path(__file__).parent / "sealed_vector.hex").read_text())


def test_a_file_of_the_first_version_opens_for_ever(tmp_path):
    (tmp_path / "f").write_bytes(VECTOR)
    for keys in ({"key": KEY}, {"passphrase": "correct horse battery staple"}):
        assert io.read_sealed(tmp_path / "f", **keys) == b"sparsecore sealed file, version 1"


KILLED = """
    import os, signal, sys
    import sparsecore.io as io
    from sparsecore.io import sealed
    step, path = sys.argv[1], sys.argv[2]
    sealed.CHUNK = 4096
    def die(*a, **k):
        os.kill(os.getpid(), signal.SIGKILL)
    if step.startswith("chunk"):
        plain = sealed._encrypted
        def cut(*a):
            for i, piece in enumerate(plain(*a)):
                if i == int(step[5:]):
                    die()
                yield piece
        sealed._encrypted = cut
    elif step == "replace":
        os.replace = die
    elif step == "fsync":
        os.fsync = die
    elif step == "folder":
        import sparsecore.io.atomic as atomic
        plain = atomic._sync
        atomic._sync = lambda place, flags: die() if os.path.isdir(place) else plain(place, flags)
    io.write_sealed(path, b"new" * 10000, key=bytes(range(32)))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("step", ["chunk0", "chunk1", "chunk4", "chunk8", "fsync", "replace", "folder"])
def test_killed_while_writing_the_old_file_or_the_new_one_is_whole(tmp_path, step):
    path = tmp_path / "f"
    seal(path, b"old")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), step, str(path)], timeout=120, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    sealed_chunk, sealed.CHUNK = sealed.CHUNK, 4096 if step == "folder" else sealed.CHUNK
    try:
        assert io.read_sealed(path, key=KEY) == (b"new" * 10000 if step == "folder" else b"old")
    finally:
        sealed.CHUNK = sealed_chunk


FULL = """
    import resource, signal, sys
    import sparsecore.io as io
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for room in (0, 1, 100, 4096, 300_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            io.write_sealed(sys.argv[1], b"new" * 1_000_000, key=bytes(range(32)))
        except OSError:
            continue
        sys.exit(1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs RLIMIT_FSIZE")
def test_no_room_for_the_new_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "f"
    seal(path, b"old")
    subprocess.run([sys.executable, "-c", textwrap.dedent(FULL), str(path)], timeout=120, cwd=tmp_path, check=True)
    assert io.read_sealed(path, key=KEY) == b"old" and os.listdir(tmp_path) == ["f"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    seal(path, b"old")

    def chunks():
        yield b"x"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        io.atomic_write(path, chunks(), private=True)
    assert io.read_sealed(path, key=KEY) == b"old" and os.listdir(tmp_path) == ["f"]


def test_keys_are_in_no_message(tmp_path):
    seal(tmp_path / "f", b"x")
    with pytest.raises(io.DecryptionError) as caught:
        io.read_sealed(tmp_path / "f", passphrase="hunter2")
    assert "hunter2" not in repr(caught.value) + str(caught.value)
