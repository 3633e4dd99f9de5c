"""Digests at the end of files: SHA-256 of all bytes before, so that a changed bit is noticed.

HDF5, ZIP (and so NPZ and torch's checkpoints) ignore bytes after their own end: programs that know
nothing of the digest read such files as before, and files without one are read as before.
"""

import hashlib
import os
import time
from pathlib import Path

_MARK = b"\nworldtokens-sha256:"
SIZE = len(_MARK) + 64 + 1
_CHUNK = 1 << 20
# File systems count time in steps of some milliseconds: a younger file may change unnoticed.
_SETTLED_SECONDS = 2.0
# Files of this process that were found whole; reading them again shows nothing new.
_verified: dict[tuple[str, int, int, int], None] = {}


class DamagedFile(ValueError):
    """A file was read and is not what was written."""


def with_digest(content: bytes) -> bytes:
    """Returns the content with its digest behind it."""
    return content + _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def add_digest(path: str | Path) -> None:
    """Appends the digest to a finished file.

    Raises:
        OSError: It cannot be read or written.
    """
    digest = hashlib.sha256()
    with open(path, "rb+") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        file.write(_MARK + digest.hexdigest().encode() + b"\n")


def has_digest(path: str | Path) -> bool:
    """Tells whether a file has a digest at its end, right or wrong.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - SIZE, 0))
        return file.read(len(_MARK)) == _MARK


def check_digest(path: str | Path, zeros: tuple[int, int] = (0, 0)) -> bool:
    """Compares a file with the digest at its end, if there is one.

    A file that did not change since this process found it whole is not read again.

    Args:
        path: The file.
        zeros: (first, end) of bytes that were 0 when it was written and may have changed.

    Returns:
        Whether it has one.

    Raises:
        DamagedFile: It was changed since it was written.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        key = (str(Path(path).absolute()), status.st_ino, status.st_size, status.st_mtime_ns)
        if key in _verified:
            return True
        file.seek(max(status.st_size - SIZE, 0))
        tail = file.read(SIZE)
        if len(tail) < SIZE or not tail.startswith(_MARK):
            return False
        digest, left = hashlib.sha256(), status.st_size - SIZE
        file.seek(0)
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                break
            if left == status.st_size - SIZE:
                first, end = zeros
                chunk = chunk[:first] + bytes(len(chunk[first:end])) + chunk[end:]
            digest.update(chunk)
            left -= len(chunk)
    expected = tail[len(_MARK) : -1].decode(errors="replace")
    if left or digest.hexdigest() != expected:
        raise DamagedFile(f"its bytes changed since it was written (SHA-256 is not {expected:.12})")
    if time.time() - status.st_mtime > _SETTLED_SECONDS:
        _verified[key] = None
    return True
