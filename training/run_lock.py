"""A lock on a run folder: one process at a time trains in it."""

import errno
import sys
from pathlib import Path

from filelock import FileLock, Timeout

NAME = ".lock"
# Locks of this process; a run of the same process that was given up does not lock its folder.
_held: dict[Path, FileLock] = {}


def lock_folder(folder: Path) -> None:
    """Locks a run folder until `unlock_folder`, or until this process ends in whatever way.

    The system frees the lock of a process that died, so none is ever stale.

    Args:
        folder: It must exist.

    Raises:
        ValueError: Another process holds the lock.
    """
    folder = folder.resolve()
    unlock_folder(folder)
    lock = FileLock(folder / NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"run folder {folder}: expected no other process that trains in it, got one; wait for "
            "it to end, or choose another folder with run=NAME"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
            raise
        print(
            f"note: {folder} lies on a file system without locks; start no second process that "
            "trains in it",
            file=sys.stderr,
        )
        return
    _held[folder] = lock


def unlock_folder(folder: Path) -> None:
    """Frees a lock of this process, if it holds one."""
    lock = _held.pop(folder.resolve(), None)
    if lock is not None:
        lock.release(force=True)
