"""Shards: immutable HDF5 files of whole episodes.

Layout of a shard with E episodes, S steps and N = S + E frames, one episode after the other:

    frames (N, H, W, 3) uint8     ram (N, 128) uint8        lives (N,) uint8
    actions (S,) int16            rewards (S,) float32      terminated, truncated (S,) bool
    episodes/id, seed, start, num_steps, total_reward, start_cell    (E,)

Frames are compressed by the plain Zstandard filter in chunks of 16 (on Montezuma's Revenge it
gives 185 bytes a frame; Blosc with the same codec and level gives 266, since it compresses the
blocks of a chunk independently). Every chunk has a Fletcher-32 checksum.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from worldtokens.collect.dataset.episode import RAM_BYTES, Episode, EpisodeInfo, Start
from worldtokens.common.atomic import write_bytes
from worldtokens.common.commands import stage_command

FORMAT = "worldtokens-episodes"
FORMAT_VERSION = 1
SUFFIX = ".h5"
FRAME_ARRAYS = ("frames", "ram", "lives")
STEP_ARRAYS = ("actions", "rewards", "terminated", "truncated")
_STARTS: tuple[Start, Start] = ("reset", "restored")
_FRAMES_PER_CHUNK = 16
_ROWS_PER_CHUNK = 1024


@dataclass(frozen=True)
class ShardInfo:
    """The table of a shard's episodes.

    Attributes:
        path: The file.
        size: Its size in bytes.
        episodes: One entry per episode, in the order in which they lie in the file.
    """

    path: Path
    size: int
    episodes: tuple[EpisodeInfo, ...]


class ShardWriter:
    """Gathers episodes in memory, compressed, and writes them as one file at a time.

    The file appears under its final name only when all of it is on disk.
    """

    def __init__(self, folder: Path, writer: str, frame_shape: tuple[int, int, int]) -> None:
        """Prepares to write `<writer>-<n>.h5` into a folder.

        Args:
            folder: The shards' folder; it is made where it is missing.
            writer: A name that no other writer of this dataset uses or has used.
            frame_shape: (H, W, 3).
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writer = writer
        self._frame_shape = frame_shape
        self._number = 0
        self._infos: list[EpisodeInfo] = []
        self._file: h5py.File | None = None
        self.num_steps = 0

    def append(self, episode: Episode) -> None:
        """Adds an episode; the next `flush` writes it to disk."""
        if self._file is None:
            self._file = self._begin()
        for name in (*FRAME_ARRAYS, *STEP_ARRAYS):
            values = getattr(episode, name)
            dataset = self._file[name]
            assert isinstance(dataset, h5py.Dataset)
            dataset.resize(len(dataset) + len(values), axis=0)
            if len(values):
                dataset[-len(values) :] = values
        self._infos.append(episode.info)
        self.num_steps += episode.num_steps

    def flush(self) -> Path | None:
        """Writes the gathered episodes.

        Returns:
            The new shard's path, or None where nothing was gathered.

        Raises:
            OSError: The file cannot be written, for example because the disk is full. The
                episodes stay gathered.
        """
        if self._file is None:
            return None
        if "episodes" in self._file:  # from a flush that found the disk full
            del self._file["episodes"]
        group = self._file.create_group("episodes")
        for name, values in _episode_columns(self._infos).items():
            group[name] = values
        path = self._folder / f"{self._writer}-{self._number:06d}{SUFFIX}"
        write_durably(path, _image(self._file))
        self._file.close()
        self._file = None
        self._infos = []
        self.num_steps = 0
        self._number += 1
        return path

    def _begin(self) -> h5py.File:
        # The file is built in memory and written at once: where the disk is full, one plain write
        # fails, and not a change in the middle of an HDF5 structure.
        file = h5py.File("shard", "w", driver="core", backing_store=False)
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        for name, shape, dtype in (
            ("frames", self._frame_shape, np.uint8),
            ("ram", (RAM_BYTES,), np.uint8),
            ("lives", (), np.uint8),
            ("actions", (), np.int16),
            ("rewards", (), np.float32),
            ("terminated", (), np.bool_),
            ("truncated", (), np.bool_),
        ):
            rows = _FRAMES_PER_CHUNK if name == "frames" else _ROWS_PER_CHUNK
            file.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *shape),
                dtype=dtype,
                chunks=(rows, *shape),
                compression=hdf5plugin.Zstd(clevel=3),
                fletcher32=True,
            )
        return file


def _image(file: h5py.File) -> bytes:
    file.flush()
    image = file.id.get_file_image()
    assert image is not None
    return image


def list_shards(folder: Path) -> list[Path]:
    """Returns the shards of a folder, sorted by name, without files that are being written."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def read_shard_info(path: Path) -> ShardInfo:
    """Reads a shard's table of episodes.

    Raises:
        ValueError: The file is truncated, damaged or not a shard of this project.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError("it is an HDF5 file of another program")
            version = file.attrs["format_version"]
            if version != FORMAT_VERSION:
                raise ValueError(f"expected format version {FORMAT_VERSION}, got {version}")
            episodes = _read_episodes(file)
            num_steps = sum(episode.num_steps for episode in episodes)
            for name in (*FRAME_ARRAYS, *STEP_ARRAYS):
                expected = num_steps + (len(episodes) if name in FRAME_ARRAYS else 0)
                if len(_array(file, name)) != expected:
                    raise ValueError(
                        f"{name}: expected {expected} rows, got {len(_array(file, name))}"
                    )
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise bad_shard(path, error) from None
    return ShardInfo(path=path, size=path.stat().st_size, episodes=episodes)


def verify_shard(path: Path) -> ShardInfo:
    """Reads every byte of a shard against its checksums.

    Raises:
        ValueError: Something is damaged; see `read_shard_info`.
    """
    info = read_shard_info(path)
    try:
        with h5py.File(path, "r") as file:
            for name in (*FRAME_ARRAYS, *STEP_ARRAYS):
                array = _array(file, name)
                for start in range(0, len(array), _ROWS_PER_CHUNK):
                    array[start : start + _ROWS_PER_CHUNK]
            ends = np.cumsum([episode.num_steps for episode in info.episodes]) - 1
            over = _array(file, "terminated")[:] | _array(file, "truncated")[:]
            if np.flatnonzero(over).tolist() != ends.tolist():
                raise ValueError("episodes do not end where the table says")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise bad_shard(path, error) from None
    return info


def set_aside(path: Path) -> Path:
    """Moves a bad shard out of its dataset, to the folder set_aside beside the shards."""
    folder = path.parent.parent / "set_aside"
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 1
    while target.exists():
        target = folder / f"{path.name}.{number}"
        number += 1
    os.rename(path, target)
    return target


def bad_shard(path: Path, error: Exception) -> ValueError:
    """Returns an error that names the bad shard, the reason and the way out."""
    reason = " ".join(str(error).split())
    return ValueError(
        f"shard {path} cannot be read ({reason}); `{stage_command('report')} data="
        f"{path.parent.parent} verify=true` sets bad shards aside, collecting again replaces them"
    )


def _array(file: h5py.File, name: str) -> h5py.Dataset:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name}: expected an array")
    return dataset


def _episode_columns(infos: list[EpisodeInfo]) -> dict[str, np.ndarray]:
    return {
        "id": np.array([info.id for info in infos], dtype="S"),
        "seed": np.array([info.seed for info in infos], np.int64),
        "start": np.array([_STARTS.index(info.start) for info in infos], np.uint8),
        "num_steps": np.array([info.num_steps for info in infos], np.int64),
        "total_reward": np.array([info.total_reward for info in infos], np.float64),
        # One byte at least: HDF5 has no strings of length 0.
        "start_cell": np.array([info.start_cell for info in infos], dtype="S").astype("S64"),
    }


def _read_episodes(file: h5py.File) -> tuple[EpisodeInfo, ...]:
    columns = [
        _array(file, f"episodes/{name}")[:].tolist()
        for name in ("id", "seed", "start", "num_steps", "total_reward", "start_cell")
    ]
    return tuple(
        EpisodeInfo(
            id=id_.decode(),
            seed=seed,
            start=_STARTS[start],
            num_steps=num_steps,
            total_reward=total_reward,
            start_cell=start_cell.decode(),
        )
        for id_, seed, start, num_steps, total_reward, start_cell in zip(*columns, strict=True)
    )


def write_durably(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all.

    Raises:
        OSError: It cannot be written; the message names the file and the way out.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error.strerror}); free some space or choose another folder "
            "with data=PATH, then run the same command again: what was written before is kept"
        ) from None
