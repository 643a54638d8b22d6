"""Sealed files: a payload encrypted under a random file key, the file key wrapped once per key or passphrase.

    fixed header   magic 8 | version 1 | suite 1 | file id 32 | chunk size 4 | payload length 8
    slots          count 1, then per slot: kind 1 | length 2 | body
    header MAC     HMAC-SHA-256 over everything above
    payload        chunks of 1 MiB, each with a 16-byte tag

All integers are big-endian. Suite 1: AES-256-GCM, HKDF-SHA-256, Argon2id. Chunk i has the nonce i (11 bytes) + one byte
that is 1 for the last chunk only (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizar 2015), so chunks cannot
be dropped, swapped, repeated or cut off; payload and MAC keys are derived from the file key and the file id, so they
cannot be spliced between files. A slot holds parameters | nonce 12 | wrapped file key 48, with fixed header and
parameters as associated data. Every bound is checked before any key derivation. No plaintext is returned before all
tags are verified, and every failure is the same DecryptionError.

Threat model: protects a file at rest (a lost disk, a copied backup, a tampered download). It hides contents, names and
shapes, not the size. It does not protect against whoever runs or debugs the process that holds the key.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from .atomic import atomic_write

__all__ = ["DecryptionError", "MAGIC", "is_sealed", "read_sealed", "reencrypt", "rewrap", "write_sealed"]

MAGIC = b"SCSEALED"
CHUNK = 1 << 20
_FIXED = struct.Struct(">8sBB32sIQ")
_SLOT = struct.Struct(">BH")
_COST = struct.Struct(">16sIII")  # salt, memory in KiB, passes, lanes
_VERSION, _SUITE = 1, 1
_RAW, _PASSPHRASE, _CALLBACK = 1, 2, 3
_MAX_SLOTS, _MAX_BODY = 8, 4096
_MAX_MEMORY_KIB, _MAX_PASSES, _MAX_LANES = 1 << 20, 16, 16
_MAC, _TAG, _WRAPPED = 32, 16, 12 + 32 + 16
DEFAULT_COST = (64 * 1024, 3, 4)  # RFC 9106, second recommended choice


class DecryptionError(ValueError):
    """The file did not open. It says nothing more: not whether the key was wrong or the file was changed."""

    def __init__(self, path):
        super().__init__(f"{path} does not open: the key is wrong, or the file is damaged or not sealed")


def is_sealed(path):
    """True if `path` begins as a sealed file does; OSError if it cannot be read."""
    with open(path, "rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


def write_sealed(path, payload, *, key=None, passphrase=None, cost=DEFAULT_COST):
    """Seal the bytes `payload` into `path`, whole or not at all (0600).

    key: 32 bytes, or an object with wrap(file_key, associated) and unwrap(blob, associated) such as a key service; or a
    list of these. passphrase: str or bytes, or a list. cost: Argon2id memory (KiB), passes, lanes. ValueError for a key
    of another length, no key at all, or too many.
    """
    credentials = _credentials(key, passphrase)
    fixed = _FIXED.pack(MAGIC, _VERSION, _SUITE, os.urandom(32), CHUNK, len(payload))
    file_key = os.urandom(32)
    header = _header(fixed, file_key, [_wrap(c, fixed, file_key, cost) for c in credentials])
    atomic_write(path, _encrypted(header, fixed, file_key, memoryview(payload)), private=True)


def read_sealed(path, *, key=None, passphrase=None):
    """The payload of the sealed file `path`, as bytes. DecryptionError if anything at all is wrong with it."""
    credentials = _credentials(key, passphrase)
    with open(path, "rb") as handle:
        fixed, slots, length, chunk = _read_header(handle, path)
        file_key = _unlock(path, fixed, slots, credentials)
        return _decrypted(handle, path, fixed, file_key, length, chunk)


def rewrap(path, *, key=None, passphrase=None, new_key=None, new_passphrase=None, keep=False, cost=DEFAULT_COST):
    """Exchange the keys that open `path` (or, with keep, add to them); the payload is copied as it is.

    Whoever had the old key and a copy of the old file can still open that copy, and knows the file key: after a leak
    use `reencrypt`.
    """
    added = _credentials(new_key, new_passphrase)
    with open(path, "rb") as handle:
        fixed, slots, length, chunk = _read_header(handle, path)
        file_key = _unlock(path, fixed, slots, _credentials(key, passphrase))
        kept = slots if keep else []
        if len(kept) + len(added) > _MAX_SLOTS:
            raise ValueError(f"{len(kept)} keys kept and {len(added)} added; a file holds {_MAX_SLOTS}")
        header = _header(fixed, file_key, kept + [_wrap(c, fixed, file_key, cost) for c in added])
        atomic_write(path, _copied(handle, header), private=True)


def reencrypt(path, *, key=None, passphrase=None, new_key=None, new_passphrase=None, cost=DEFAULT_COST):
    """Seal the contents of `path` anew, with a fresh file key: what to do after a leak."""
    payload = read_sealed(path, key=key, passphrase=passphrase)
    write_sealed(path, payload, key=new_key, passphrase=new_passphrase, cost=cost)


def _credentials(key, passphrase):
    """[(kind, secret)]; refuses what cannot be a key before anything is derived from it."""
    keys = [] if key is None else list(key) if isinstance(key, (list, tuple)) else [key]
    phrases = [] if passphrase is None else list(passphrase) if isinstance(passphrase, (list, tuple)) else [passphrase]
    found = []
    for k in keys:
        if isinstance(k, (bytes, bytearray, memoryview)):
            if len(k) != 32:
                raise ValueError(f"a key has 32 bytes; this one has {len(k)}")
            found.append((_RAW, bytes(k)))
        elif hasattr(k, "wrap") and hasattr(k, "unwrap"):
            found.append((_CALLBACK, k))
        else:
            raise TypeError(f"a key is 32 bytes or has wrap and unwrap; this one is of type {type(k).__name__}")
    for phrase in phrases:
        if not isinstance(phrase, (str, bytes)):
            raise TypeError(f"a passphrase is str or bytes; this one is of type {type(phrase).__name__}")
        if not phrase:
            raise ValueError("an empty passphrase protects nothing")
        found.append((_PASSPHRASE, phrase.encode() if isinstance(phrase, str) else phrase))
    if not found:
        raise ValueError("a sealed file needs key= or passphrase=")
    if len(found) > _MAX_SLOTS:
        raise ValueError(f"{len(found)} keys; a file holds {_MAX_SLOTS}")
    return found


def _header(fixed, file_key, slots):
    head = _head(fixed, slots)
    return head + _mac(fixed, file_key, head)


def _head(fixed, slots):
    return fixed + bytes([len(slots)]) + b"".join(_SLOT.pack(kind, len(body)) + body for kind, body in slots)


def _wrap(credential, fixed, file_key, cost):
    kind, secret = credential
    if kind == _CALLBACK:
        body = bytes(secret.wrap(file_key, fixed))
        if not 0 < len(body) <= _MAX_BODY:
            raise ValueError(f"wrap returned {len(body)} bytes; a slot holds 1 to {_MAX_BODY}")
        return kind, body
    parameters = b""
    if kind == _PASSPHRASE:
        if not _sane_cost(*cost):
            raise ValueError(f"Argon2id cost {cost} is out of bounds")
        parameters = _COST.pack(os.urandom(16), *cost)
    nonce = os.urandom(12)
    wrapped = _cipher(_wrapping_key(kind, secret, fixed, parameters)).encrypt(nonce, file_key, fixed + parameters)
    return kind, parameters + nonce + wrapped


def _unlock(path, fixed, slots, credentials):
    """The file key, from the first slot that a credential opens and whose MAC covers the header."""
    head = _head(fixed, slots)
    for kind, secret in credentials:
        for slot_kind, body in slots:
            if slot_kind != kind:
                continue
            file_key = _unwrap(kind, secret, fixed, body)
            if file_key is not None and hmac.compare_digest(slots.mac, _mac(fixed, file_key, head)):
                return file_key
    raise DecryptionError(path)


def _unwrap(kind, secret, fixed, body):
    if kind == _CALLBACK:
        try:
            file_key = secret.unwrap(body, fixed)
        except Exception:  # whatever a key service raises: one failure like any other
            return None
        return bytes(file_key) if file_key is not None and len(file_key) == 32 else None
    parameters, nonce, wrapped = body[:-_WRAPPED], body[-_WRAPPED:-48], body[-48:]
    try:
        return _cipher(_wrapping_key(kind, secret, fixed, parameters)).decrypt(nonce, wrapped, fixed + parameters)
    except _invalid_tag():
        return None


class _Slots(list):
    """The slots of a header and the MAC read after them."""

    mac = b""


def _read_header(handle, path):
    """fixed, slots, payload length, chunk size: bounds checked, nothing derived yet."""
    size = os.fstat(handle.fileno()).st_size
    fixed = handle.read(_FIXED.size)
    if len(fixed) < _FIXED.size:
        raise DecryptionError(path)
    magic, version, suite, _, chunk, length = _FIXED.unpack(fixed)
    count = handle.read(1)
    known = (magic, version, suite, chunk) == (MAGIC, _VERSION, _SUITE, CHUNK)
    if not known or not count or not 0 < count[0] <= _MAX_SLOTS:
        raise DecryptionError(path)
    slots = _Slots()
    for _ in range(count[0]):
        head = handle.read(_SLOT.size)
        if len(head) < _SLOT.size:
            raise DecryptionError(path)
        kind, n = _SLOT.unpack(head)
        body = handle.read(n) if n <= _MAX_BODY else b""
        if len(body) != n or not _sane_slot(kind, body):
            raise DecryptionError(path)
        slots.append((kind, body))
    slots.mac = handle.read(_MAC)
    chunks = max(1, -(-length // chunk))
    if len(slots.mac) < _MAC or size - handle.tell() != length + chunks * _TAG:
        raise DecryptionError(path)
    return fixed, slots, length, chunk


def _sane_slot(kind, body):
    if kind == _RAW:
        return len(body) == _WRAPPED
    if kind == _PASSPHRASE:
        return len(body) == _COST.size + _WRAPPED and _sane_cost(*_COST.unpack(body[: _COST.size])[1:])
    return kind == _CALLBACK and len(body) > 0


def _sane_cost(memory, passes, lanes):
    return 1 <= lanes <= _MAX_LANES and 8 * lanes <= memory <= _MAX_MEMORY_KIB and 1 <= passes <= _MAX_PASSES


def _encrypted(header, fixed, file_key, payload):
    yield header
    cipher = _cipher(_derived(file_key, fixed, b"payload"))
    last = max(0, -(-len(payload) // CHUNK) - 1)
    yield from _ahead(lambda i: cipher.encrypt(_nonce(i, i == last), payload[i * CHUNK : (i + 1) * CHUNK], None),
                      range(last + 1), last + 1)


def _ahead(function, items, count):
    """function(item) for `count` items in order, on two threads that run a few items ahead of who takes the results:
    the cipher works while the file is written or read (figures: bench/sealed.py). Few items need no thread."""
    if count < 4:
        yield from map(function, items)
        return
    pending = deque()
    with ThreadPoolExecutor(2) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 8:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _decrypted(handle, path, fixed, file_key, length, chunk):
    cipher = _cipher(_derived(file_key, fixed, b"payload"))
    last = max(0, -(-length // chunk) - 1)
    blocks = ((i, handle.read(min(chunk, length - i * chunk) + _TAG)) for i in range(last + 1))
    try:
        pieces = list(_ahead(lambda block: cipher.decrypt(_nonce(block[0], block[0] == last), block[1], None), blocks,
                             last + 1))
    except (_invalid_tag(), ValueError):
        raise DecryptionError(path) from None
    if handle.read(1):
        raise DecryptionError(path)
    return b"".join(pieces)


def _copied(handle, header):
    yield header
    while block := handle.read(CHUNK):
        yield block


def _nonce(i, final):
    return i.to_bytes(11, "big") + bytes([final])


def _wrapping_key(kind, secret, fixed, parameters):
    if kind == _RAW:
        return _derived(secret, fixed, b"slot")
    salt, memory, passes, lanes = _COST.unpack(parameters)
    _crypto()
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(secret)


def _derived(key, fixed, use):
    """HKDF-SHA-256 with the file id as salt; one purpose, one key."""
    _crypto()
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=_FIXED.unpack(fixed)[3], info=b"sparsecore sealed 1 " + use).derive(key)


def _mac(fixed, file_key, head):
    return hmac.digest(_derived(file_key, fixed, b"header"), head, "sha256")


def _cipher(key):
    _crypto()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _invalid_tag():
    _crypto()
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _crypto():
    try:
        import cryptography
    except ImportError as error:
        raise ImportError("sealed files need cryptography: pip install 'sparsecore[crypto]'") from error
    return cryptography
