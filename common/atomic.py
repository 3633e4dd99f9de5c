"""Files and folders that appear whole or not at all: written beside, synced, then renamed."""

import contextlib
import ctypes
import errno
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

# What file systems answer that cannot sync, or that let no folder be opened.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EISDIR, errno.EBADF)
_PARTIAL = re.compile(r"\.(\d+)(?:-([0-9a-f]{8}))?\.(.+)")
_DAY = 24 * 60 * 60
_HOST = f"{crc32(socket.gethostname().encode()):08x}"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_swept: set[Path] = set()


@contextlib.contextmanager
def replacing(final: str | Path) -> Iterator[Path]:
    """Yields a path beside `final`; what was written there takes its place on a clean exit.

    On any exception (a full disk included) the partial file is removed and `final` stays as it was.
    What killed processes left beside `final` is removed.
    """
    final = Path(final)
    partial = _partial(final)
    try:
        yield partial
        with open(partial, "rb+") as file:
            _sync(file.fileno())
        os.replace(partial, final)
        _sync_folder(final.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(final: str | Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with replacing(final) as partial:
        partial.write_bytes(content)


def write_text(final: str | Path, text: str) -> None:
    """Writes a text file, UTF-8, whole or not at all; see `read_text`."""
    write_bytes(final, text.encode(errors="surrogateescape"))


def read_text(path: str | Path) -> str:
    """Reads a text file, UTF-8; other bytes, of names on old disks, are kept as Python keeps them.

    Raises:
        OSError: It cannot be read.
    """
    return Path(path).read_bytes().decode(errors="surrogateescape")


@contextlib.contextmanager
def creating_folder(final: str | Path) -> Iterator[Path]:
    """Yields a path beside `final` for a new folder, which gets that name on a clean exit.

    On any exception what was written is removed.

    Raises:
        OSError: `final` exists and is not an empty folder.
    """
    final = Path(final)
    partial = _partial(final)
    try:
        yield partial
        os.rename(partial, final)
        _sync_folder(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(built: Path, final: Path, keep_others: bool = False) -> None:
    """Puts a finished folder in the place of an older one of the same purpose.

    Linux exchanges the two in one step. Elsewhere the old one is moved aside first, to the name
    that `set_aside_name` gives; who finds nothing under the final name reads it there.

    Args:
        built: The finished folder.
        final: Its place.
        keep_others: Move what lies in the old folder, and not in the new one, to the new one.
    """
    aside = set_aside_name(final)
    shutil.rmtree(aside, ignore_errors=True)
    if not final.exists():
        os.replace(built, final)
    elif _exchange(built, final):
        aside = built
    else:
        os.replace(final, aside)
        os.replace(built, final)
    if keep_others and aside.is_dir():
        for path in aside.iterdir():
            if not (final / path.name).exists():
                os.replace(path, final / path.name)
    shutil.rmtree(aside, ignore_errors=True)


def set_aside_name(final: Path) -> Path:
    """Returns where the old folder lies while `replace_folder` replaces it."""
    return final.with_name(f".{final.name}.old")


def sweep(folder: Path) -> None:
    """Removes what killed processes left in a folder while they wrote files there.

    Files of this machine go when their process is gone, those of others after a day.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _PARTIAL.fullmatch(path.name)
            if match and _is_left(path, int(match.group(1)), match.group(2)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Tells whether a name is that of a file or folder that is being written."""
    return _PARTIAL.fullmatch(path.name) is not None


def _partial(final: Path) -> Path:
    folder = final.parent
    folder.mkdir(parents=True, exist_ok=True)
    key = folder.absolute()
    if key not in _swept:
        _swept.add(key)
        sweep(key)
    # The ending is kept, since writers such as Pillow choose the format by it.
    return key / f".{os.getpid()}-{_HOST}.{final.name}"


def _is_left(path: Path, pid: int, host: str | None) -> bool:
    if time.time() - path.lstat().st_mtime > _DAY:
        return True
    return host == _HOST and pid != os.getpid() and not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # os.kill ends processes elsewhere
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges the names of two folders in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(first), os.fsencode(second)
    return rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable too; Windows opens no folders, some file systems sync none."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
        return
    try:
        _sync(handle)
    finally:
        os.close(handle)
