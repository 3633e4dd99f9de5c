"""Files that appear whole or not at all: written beside, synced, then renamed."""

import contextlib
import os
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
    finally:
        partial.unlink(missing_ok=True)


def write_text(final: str | Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with replacing(final) as partial:
        partial.write_text(text)
