"""Shards: immutable HDF5 files of whole episodes.

Layout of a shard with E episodes, S steps and N = S + E frames, one episode after the other:

    frames (N, H, W, 3) uint8     ram (N, 128) uint8        lives (N,) uint8
    actions (S,) int16            rewards (S,) float32      terminated, truncated (S,) bool
    episodes/id, seed, start, num_steps, total_reward, start_cell    (E,)

Frames are compressed by the plain Zstandard filter in chunks of 16 (on Montezuma's Revenge it
gives 185 bytes a frame; Blosc with the same codec and level gives 266, since it compresses the
blocks of a chunk independently). Every chunk has a Fletcher-32 checksum, the table of episodes and
the whole file have SHA-256 digests (see worldtokens.common.digests).
"""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from worldtokens.collect.dataset.checks import CELL_BYTES, STARTS, check_episode
from worldtokens.collect.dataset.episode import RAM_BYTES, Episode, EpisodeInfo
from worldtokens.collect.dataset.shard_reading import (
    FORMAT,
    FORMAT_VERSION,
    FRAME_ARRAYS,
    STEP_ARRAYS,
    SUFFIX,
    TABLE_DIGEST,
    table_digest,
)
from worldtokens.common.atomic import write_bytes
from worldtokens.common.digests import with_digest

_FRAMES_PER_CHUNK = 16
_ROWS_PER_CHUNK = 1024


class ShardWriter:
    """Gathers episodes in memory, compressed, and writes them as one file at a time.

    The file appears under its final name only when all of it is on disk.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        frame_shape: tuple[int, int, int],
        num_actions: int | None = None,
    ) -> None:
        """Prepares to write `<writer>-<n>.h5` into a folder.

        Args:
            folder: The shards' folder; it is made where it is missing.
            writer: A name that no other writer of this dataset uses or has used.
            frame_shape: (H, W, 3).
            num_actions: Actions of the environment; None where they are not known.
        """
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writer = writer
        self._frame_shape = frame_shape
        self._num_actions = num_actions
        self._number = 0
        self._infos: list[EpisodeInfo] = []
        self._file: h5py.File | None = None
        self.num_steps = 0

    def append(self, episode: Episode) -> None:
        """Adds an episode; the next `flush` writes it to disk.

        Raises:
            ValueError: A value of the episode is impossible, see `check_episode`.
        """
        check_episode(episode, self._frame_shape, self._num_actions)
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
        columns = _episode_columns(self._infos)
        for name, values in columns.items():
            group[name] = values
        self._file.attrs[TABLE_DIGEST] = table_digest(columns)
        path = self._folder / f"{self._writer}-{self._number:06d}{SUFFIX}"
        write_durably(path, with_digest(_image(self._file)))
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


def _episode_columns(infos: list[EpisodeInfo]) -> dict[str, np.ndarray]:
    cells = [info.start_cell.encode(errors="surrogateescape") for info in infos]
    return {
        "id": np.array([info.id.encode(errors="surrogateescape") for info in infos]),
        "seed": np.array([info.seed for info in infos], np.int64),
        "start": np.array([STARTS.index(info.start) for info in infos], np.uint8),
        "num_steps": np.array([info.num_steps for info in infos], np.int64),
        "total_reward": np.array([info.total_reward for info in infos], np.float64),
        # HDF5 has no strings of length 0.
        "start_cell": np.array(cells, dtype=f"S{CELL_BYTES}"),
    }


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
