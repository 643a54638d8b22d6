"""Files that appear whole or not at all.

write to a temporary file in the same folder -> fsync -> os.replace -> fsync the folder
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path, *, private=False):
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on any error it vanishes.

    private: created readable by the owner only (0600); otherwise as the umask says. The suffix of `path` is kept,
    since writers such as matplotlib choose the format by it.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(8)}.tmp{target.suffix}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
    mode = temporary.stat().st_mode & 0o777
    try:
        yield temporary
        os.chmod(temporary, mode)  # writers that replace the file bring their own mode
        _sync(temporary, os.O_RDONLY)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(target.parent, getattr(os, "O_DIRECTORY", os.O_RDONLY))


def atomic_write(path, chunks, *, private=False):
    """Write the byte strings of `chunks` to `path`, whole or not at all."""
    with atomic_path(path, private=private) as temporary, open(temporary, "wb") as handle:
        for chunk in chunks:
            handle.write(chunk)


def _sync(path, flags):
    try:
        handle = os.open(path, flags)
    except OSError:  # platforms without folder handles: the rename stays atomic, only its durability is weaker
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
