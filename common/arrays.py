"""NPZ files of unknown origin: their sizes are checked before memory is taken."""

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from worldtokens.common.digests import check_digest

# Of a compressed file; RAM bytes and flags compress a thousand times.
_LARGEST_INFLATED = 1 << 30


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an NPZ file, without pickled objects.

    Raises:
        ValueError: The file is damaged, holds objects, or declares more than it holds.
        OSError: It cannot be read.
    """
    arrays = {}
    try:
        check_digest(path)
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            _check_sizes(members, Path(path).stat().st_size)
            for member in members:
                content = file.read(member)
                _check_header(member.filename, content)
                array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
                arrays[member.filename.removesuffix(".npy")] = array
    except OSError:
        raise
    except (
        ValueError, KeyError, TypeError, EOFError, AttributeError, SyntaxError, RuntimeError,
        NotImplementedError, OverflowError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path}: expected a whole NPZ file, got a damaged one ({reason})"
        ) from None
    return arrays


def _check_sizes(members: list[zipfile.ZipInfo], size: int) -> None:
    stored = sum(m.file_size for m in members if m.compress_type == zipfile.ZIP_STORED)
    inflated = sum(m.file_size for m in members if m.compress_type != zipfile.ZIP_STORED)
    if stored > size or inflated > _LARGEST_INFLATED:
        raise ValueError(f"it declares {stored + inflated} bytes, more than it may hold")


def _check_header(name: str, content: bytes) -> None:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"{name} is of an unknown version {version}")
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{name} declares {shape} of {dtype}, which it does not hold")
