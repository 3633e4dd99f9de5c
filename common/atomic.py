"""Files that appear whole or not at all: written beside, synced, then renamed."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(final: str | Path) -> Iterator[Path]:
    """Yields a path beside `final`; what was written there takes its place on a clean exit.

    On any exception (a full disk included) the partial file is removed and `final` stays as it was.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept, since writers such as Pillow choose the format by it.
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, final)
        _sync_folder(final.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable too; file systems that cannot do so are left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(final: str | Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with replacing(final) as partial:
        partial.write_bytes(content)


def write_text(final: str | Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with replacing(final) as partial:
        partial.write_text(text)


@contextlib.contextmanager
def creating_folder(final: str | Path) -> Iterator[Path]:
    """Yields a path beside `final` for a new folder, which gets that name on a clean exit.

    On any exception what was written is removed.

    Raises:
        OSError: `final` exists and is not an empty folder.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        os.rename(partial, final)
        _sync_folder(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(built: Path, final: Path) -> None:
    """Puts a finished folder in the place of an older one of the same purpose.

    A folder cannot be replaced in one system call; the old one is moved aside first, so that a
    crash leaves either of the two whole.
    """
    aside = final.with_name(final.name + ".old")
    shutil.rmtree(aside, ignore_errors=True)
    if final.exists():
        os.replace(final, aside)
    os.replace(built, final)
    shutil.rmtree(aside, ignore_errors=True)
