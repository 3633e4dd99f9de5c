"""Reading shards, and telling a damaged file from trouble of the file system."""

import errno
import hashlib
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (makes HDF5 know the Zstandard filter)
import numpy as np

from worldtokens.collect.dataset.checks import STARTS, check_ends, check_info, check_steps
from worldtokens.collect.dataset.episode import RAM_BYTES, EpisodeInfo
from worldtokens.common.commands import stage_command
from worldtokens.common.digests import DamagedFile, check_digest

FORMAT = "worldtokens-episodes"
FORMAT_VERSION = 1
SUFFIX = ".h5"
# An attribute of files since they have digests.
TABLE_DIGEST = "table_sha256"
FRAME_ARRAYS = ("frames", "ram", "lives")
STEP_ARRAYS = ("actions", "rewards", "terminated", "truncated")
COLUMNS = ("id", "seed", "start", "num_steps", "total_reward", "start_cell")
# HDF5 notes in these bytes that a file is open for writing, and leaves the note if it is killed.
_OPEN_FLAGS = (20, 24)
_KINDS = {"actions": "iu", "rewards": "f", "terminated": "b", "truncated": "b"}
# A chunk is held in memory whole; ours have 200 kB.
_LARGEST_CHUNK = 1 << 28
# Numbers that HDF5 reports where a damaged file sends it to impossible places.
_OF_DAMAGE = (0, errno.EINVAL, errno.EOVERFLOW, errno.EFBIG)
_WAYS_OUT = {
    errno.ENOLCK: "this file system has no locks: set HDF5_USE_FILE_LOCKING=FALSE",
    errno.EAGAIN: "another program holds a lock: close it, or set HDF5_USE_FILE_LOCKING=FALSE",
    errno.EMFILE: "too many files are open: raise the limit, for example with `ulimit -n 4096`",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.EACCES: "you may not read it: ask for the permission (chmod a+r)",
    errno.EPERM: "you may not read it: ask for the permission (chmod a+r)",
    errno.ENOENT: "it was moved or deleted: open the dataset again",
    errno.EIO: "the disk or the network failed: try again, then check the disk",
}


class DamagedShard(DamagedFile):
    """A shard was read and found damaged."""


class ForeignShard(ValueError):
    """A file among the shards is whole, but not what this version writes."""


@dataclass(frozen=True)
class ShardInfo:
    """The table of a shard's episodes.

    Attributes:
        path: The file.
        size: Its size in bytes.
        episodes: One entry per episode, in the order in which they lie in the file.
        frame_shape: (H, W, 3).
    """

    path: Path
    size: int
    episodes: tuple[EpisodeInfo, ...]
    frame_shape: tuple[int, int, int]


def list_shards(folder: Path) -> list[Path]:
    """Returns the shards of a folder, sorted by name, without files that are being written."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def open_shard(path: Path) -> h5py.File:
    """Opens a shard to read it.

    Without a lock: shards never change, and not all file systems have locks.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "flag values don't match" not in str(error):
            raise
        # This process has it open with locks.
        return h5py.File(path, "r")


def read_shard_info(path: Path) -> ShardInfo:
    """Reads a shard's table of episodes.

    Raises:
        DamagedShard: The file is truncated or damaged.
        ForeignShard: It is a file of another program or version, or has impossible values.
        OSError: It cannot be read for another reason; the message says which.
    """
    # First against its digest: HDF5 may read a damaged file for ever.
    check_whole(path)
    with explained(path), open_shard(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise ForeignShard("it is an HDF5 file of another program")
        version = file.attrs["format_version"]
        if version != FORMAT_VERSION:
            raise ForeignShard(f"expected format version {FORMAT_VERSION}, got {version}")
        episodes = _read_episodes(file)
        num_steps = sum(episode.num_steps for episode in episodes)
        for name in (*FRAME_ARRAYS, *STEP_ARRAYS):
            expected = num_steps + (len(episodes) if name in FRAME_ARRAYS else 0)
            _check_array(file, name, expected)
        height, width, _ = _array(file, "frames").shape[1:]
    return ShardInfo(path, path.stat().st_size, episodes, (height, width, 3))


def check_whole(path: Path) -> None:
    """Reads a shard against its digest, where it has one; once in each process.

    Who opens a shard to write, and closes it, takes the digest away: then the checksums of its
    table and its chunks remain.

    Raises:
        DamagedShard: It was changed since it was written.
        OSError: It cannot be read.
    """
    with explained(path):
        check_digest(path, _OPEN_FLAGS)


def verify_shard(path: Path, num_actions: int | None = None) -> ShardInfo:
    """Reads every byte of a shard against its checksums, and checks the values of its episodes.

    Args:
        path: The file.
        num_actions: Actions of the dataset; None where they are not known.

    Raises:
        DamagedShard: Something is damaged.
        ForeignShard: See `read_shard_info`; what it holds is whole but impossible.
        OSError: It cannot be read for another reason.
    """
    info = read_shard_info(path)
    with explained(path), open_shard(path) as file:
        for name in (*FRAME_ARRAYS, *STEP_ARRAYS):
            array = _array(file, name)
            rows = array.chunks[0] if array.chunks else max(len(array), 1)
            for start in range(0, len(array), rows):
                array[start : start + rows]
        arrays = [_array(file, name)[:] for name in STEP_ARRAYS]
        first = 0
        for episode in info.episodes:
            steps = [array[first : first + episode.num_steps] for array in arrays]
            first += episode.num_steps
            try:
                check_steps(episode.id, steps[0], steps[1], num_actions)
                check_ends(episode.id, steps[2], steps[3])
            except ValueError as error:
                raise ForeignShard(str(error)) from None
    return info


def set_aside(path: Path) -> Path:
    """Moves a damaged shard out of its dataset, to the folder set_aside beside the shards."""
    folder = path.parent.parent / "set_aside"
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 1
    while target.exists():
        target = folder / f"{path.name}.{number}"
        number += 1
    os.rename(path, target)
    return target


def is_our_name(path: Path) -> bool:
    """Tells whether a file among the shards bears a name that a writer gives."""
    return re.fullmatch(rf".+-\d{{6,}}\{SUFFIX}", path.name) is not None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what HDF5 raises about a shard into one of three errors; see `read_shard_info`."""
    try:
        yield
    except ForeignShard as error:
        if _has_changed(path):
            raise _damaged(path, error) from None
        raise ForeignShard(
            f"shard {path}: {error}; move it out of the dataset, or make a dataset without its bad "
            f"episodes: `{stage_command('import-episodes')} format=dataset source="
            f"{path.parent.parent} data=NEW`"
        ) from None
    except DamagedFile as error:
        raise _damaged(path, error) from None
    except MemoryError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
        trouble = _trouble(path, error)
        raise trouble or _damaged(path, error) from None


def _trouble(path: Path, error: Exception) -> OSError | None:
    """Returns the error of the file system behind what HDF5 raised; None for damage."""
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"errno = (\d+)", str(error))):
        number = int(found.group(1))
    if "already open" in str(error) or "don't match" in str(error):
        number = errno.EAGAIN
    if number in (None, *_OF_DAMAGE):
        try:
            is_whole = check_digest(path, _OPEN_FLAGS)
            with open(path, "rb") as file:
                while file.read(1 << 20):
                    pass
        except DamagedFile:
            return None
        except OSError as plain:
            number, is_whole = plain.errno, False
        else:
            if not is_whole:
                return None
    if number in (None, *_OF_DAMAGE):
        reason, way_out = _line(error), "its digest is right, so it is not damaged: try again"
        number = errno.EIO
    else:
        reason = os.strerror(number)
        way_out = _WAYS_OUT.get(number, "it is not known to be damaged: try again")
    return OSError(number, f"shard {path}: {reason}; {way_out}")


def _has_changed(path: Path) -> bool:
    try:
        check_digest(path, _OPEN_FLAGS)
    except DamagedFile:
        return True
    return False


def _damaged(path: Path, error: Exception) -> DamagedShard:
    return DamagedShard(
        f"shard {path} is damaged ({_line(error)}); `{stage_command('report')} data="
        f"{path.parent.parent} verify=true` sets damaged shards aside, collecting again replaces "
        "them"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _array(file: h5py.File, name: str) -> h5py.Dataset:
    """Returns an array that lies in the file itself, links and external files excluded."""
    link = file.get(name, getlink=True)
    dataset = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset):
        raise ForeignShard(f"{name}: expected an array in the file, got another object")
    if dataset.is_virtual or dataset.external:
        raise ForeignShard(f"{name}: expected an array in the file, got one in other files")
    return dataset


def _check_array(file: h5py.File, name: str, rows: int) -> None:
    """Checks an array's type and shape, and that all of it is stored, before memory is taken."""
    array = _array(file, name)
    if array.dtype.kind not in _KINDS.get(name, "u"):
        raise ForeignShard(f"{name}: expected another type of numbers, got {array.dtype}")
    if name in FRAME_ARRAYS and array.dtype != np.uint8:
        raise ForeignShard(f"{name}: expected uint8, got {array.dtype}")
    inner = array.shape[1:]
    fits = {"frames": len(inner) == 3 and inner[-1:] == (3,), "ram": inner == (RAM_BYTES,)}
    if not array.shape or not fits.get(name, inner == ()):
        raise ForeignShard(f"{name}: expected another shape, got {array.shape}")
    if len(array) != rows:
        raise ValueError(f"{name}: expected {rows} rows, got {len(array)}")
    chunks = array.chunks or (0,)
    if np.prod(chunks, dtype=np.float64) * array.dtype.itemsize > _LARGEST_CHUNK:
        raise ForeignShard(f"{name}: expected chunks of at most 256 MB, got {array.chunks}")
    if not is_stored(array):
        raise ValueError(f"{name}: a part of it is not in the file")


def is_stored(array: h5py.Dataset) -> bool:
    """Tells whether all of an array lies in its file, which may declare more than it holds."""
    if array.is_virtual or array.external:
        return False
    if array.chunks is None:
        return array.dtype.kind == "O" or array.id.get_storage_size() == array.nbytes
    grid = zip(array.shape, array.chunks, strict=True)
    return array.id.get_num_chunks() == math.prod(-(-size // chunk) for size, chunk in grid)


def _read_episodes(file: h5py.File) -> tuple[EpisodeInfo, ...]:
    group = file.get("episodes", getlink=True)
    if not isinstance(group, h5py.HardLink):
        raise ForeignShard("episodes: expected a table in the file, got another object")
    arrays = {name: _array(file, f"episodes/{name}")[:] for name in COLUMNS}
    expected = file.attrs.get(TABLE_DIGEST)
    if expected is not None and expected != table_digest(arrays):
        raise DamagedFile("its table of episodes changed since it was written")
    columns = [array.tolist() for array in arrays.values()]
    episodes = []
    for id_, seed, start, num_steps, total_reward, start_cell in zip(*columns, strict=True):
        info = EpisodeInfo(
            id=id_.decode(errors="surrogateescape"),
            seed=seed,
            start=STARTS[start] if start < len(STARTS) else start,
            num_steps=num_steps,
            total_reward=total_reward,
            start_cell=start_cell.decode(errors="surrogateescape"),
        )
        try:
            check_info(info)
        except ValueError as error:
            raise ForeignShard(str(error)) from None
        episodes.append(info)
    return tuple(episodes)


def table_digest(columns: dict[str, np.ndarray]) -> str:
    """Returns the digest of a table of episodes, by its columns."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        digest.update(name.encode() + np.ascontiguousarray(columns[name]).tobytes())
    return digest.hexdigest()
