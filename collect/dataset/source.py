"""What every dataset of episodes offers, wherever its frames are kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

import numpy as np

from worldtokens.collect.dataset.description import DatasetDescription
from worldtokens.collect.dataset.episode import Episode, EpisodeInfo
from worldtokens.collect.dataset.segments import SegmentBatch, StepArrays, cut_segments
from worldtokens.collect.dataset.shard_reading import FRAME_ARRAYS, STEP_ARRAYS
from worldtokens.common.checks import check_at_least, check_type
from worldtokens.envs import EnvConfig, ram_labels

Split = Literal["train", "heldout"]


# Frames of one batch, far above all use: those of 64 x 64 take 200 GB.
_MOST_FRAMES = 2**24


class EpisodeSource(ABC):
    """Episodes in a fixed order, with their frames numbered from 0 over all of them.

    That number is the frame's global index: `frame_starts[i]` is the first frame of episode i
    and `frame_starts[-1]` is `num_frames`.

    Attributes:
        path: The dataset's folder.
        split: None, "train" or "heldout".
        description: What dataset.json says.
        infos: What is known of each episode without reading frames.
        fingerprint: Changes whenever the dataset's shards do.
        frame_starts: int64 (episodes + 1,).
    """

    def __init__(
        self,
        path: Path,
        split: Split | None,
        description: DatasetDescription,
        infos: tuple[EpisodeInfo, ...],
        fingerprint: str,
    ) -> None:
        """Keeps what every dataset has; `EpisodeDataset` is the class to open one with."""
        self.path = path
        self.split: Split | None = split
        self.description = description
        self.infos = infos
        self.fingerprint = fingerprint
        lengths = np.array([info.num_steps + 1 for info in infos], np.int64)
        self.frame_starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self._scene: np.ndarray | None = None

    @abstractmethod
    def _read_frame_array(self, name: str, start: int, stop: int) -> np.ndarray:
        """Returns rows [start, stop) of "frames", "ram" or "lives" by global index."""

    @abstractmethod
    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """Returns frames by global index, int64 (n,) -> uint8 (n, H, W, 3)."""

    @property
    @abstractmethod
    def steps(self) -> StepArrays:
        """Actions, rewards and ends, by global index."""

    def __len__(self) -> int:
        """Returns the number of episodes."""
        return len(self.infos)

    def __repr__(self) -> str:
        """Says in one line what the dataset holds."""
        split = f", split {self.split}" if self.split else ""
        return (
            f"{type(self).__name__}({self.game}, {len(self)} episodes, {self.num_steps:,} steps"
            f"{split}, {self.path})"
        )

    @property
    def episodes(self) -> "EpisodeSequence":
        """The episodes, each read when indexed."""
        return EpisodeSequence(self)

    @property
    def num_frames(self) -> int:
        """Frames of all episodes."""
        return int(self.frame_starts[-1])

    @property
    def num_steps(self) -> int:
        """Steps of all episodes."""
        return self.num_frames - len(self)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(H, W, 3)."""
        return self.description.frame_shape

    @property
    def action_meanings(self) -> tuple[str, ...]:
        """Names of the actions."""
        return self.description.action_meanings

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return len(self.description.action_meanings)

    @property
    def env_config(self) -> EnvConfig:
        """Settings of the environment that the episodes come from."""
        return self.description.env

    @property
    def game(self) -> str:
        """The game's usual name."""
        return self.description.env.name

    @property
    def scene(self) -> np.ndarray:
        """The room of each frame, int64 (num_frames,); zeros where the game labels no room."""
        if self._scene is None:
            room = ram_labels(self.game).get("room")
            if room is None:
                self._scene = np.zeros(self.num_frames, np.int64)
            else:
                self._scene = self.read("ram", 0, self.num_frames)[:, room].astype(np.int64)
        return self._scene

    def read_frames(self, start: int, stop: int) -> np.ndarray:
        """Returns frames [start, stop) by global index, uint8 (stop - start, H, W, 3)."""
        return self.read("frames", start, stop)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Returns rows [start, stop) of one array by global frame index.

        Args:
            name: "frames", "ram", "lives", or an array of `StepArrays`.
            start: First frame.
            stop: The frame after the last.

        Raises:
            ValueError: No such array or a range outside [0, num_frames].
        """
        check_at_least(0, start=start, stop=stop)
        if not 0 <= start <= stop <= self.num_frames:
            raise ValueError(
                f"start, stop: expected a range within [0, {self.num_frames}) of {self.path}, "
                f"got [{start}, {stop})"
            )
        if not isinstance(name, str):
            raise TypeError(f"name: expected the name of an array, got {name!r:.80}")
        if name in FRAME_ARRAYS:
            return self._read_frame_array(name, start, stop)
        if name in (*STEP_ARRAYS, "action_mask"):
            return getattr(self.steps, name)[start:stop]
        known = ", ".join((*FRAME_ARRAYS, *STEP_ARRAYS, "action_mask"))
        raise ValueError(f"name: expected one of {known}, got {name!r}")

    def choose_frames(
        self, limit: int | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Chooses frames out of all.

        Args:
            limit: Largest number of frames; None for all.
            rng: Draws which ones, without repetition; None takes them at even distances.

        Returns:
            Global indices, int64 (n,), ascending.
        """
        if limit is not None:
            check_at_least(1, limit=limit)
        if limit is None or limit >= self.num_frames:
            return np.arange(self.num_frames)
        if rng is None:
            return np.arange(limit) * self.num_frames // limit
        return np.sort(rng.choice(self.num_frames, size=limit, replace=False))

    def sample_starts(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws frames that have a step after them, uniformly, as global indices int64 (count,)."""
        check_at_least(0, count=count)
        check_type(np.random.Generator, rng=rng)
        if count > _MOST_FRAMES:
            raise ValueError(f"count: expected at most {_MOST_FRAMES} frames, got {count}")
        number = rng.integers(self.num_steps, size=count)
        # The steps of episode i follow on i frames that have no step: the last ones of the episodes
        # before it.
        step_starts = self.frame_starts[:-1] - np.arange(len(self))
        return number + np.searchsorted(step_starts, number, side="right") - 1

    def sample_segments(self, batch: int, length: int, rng: np.random.Generator) -> SegmentBatch:
        """Draws segments whose first frame is uniform among all frames that have a step.

        So an episode's last transition is drawn as often as every other one that comes after the
        first `length`. Segments that reach over the end of their episode are padded.

        Args:
            batch: Segments B.
            length: Frames L of each.
            rng: Draws the starts.

        Raises:
            ValueError: `batch` or `length` is below 1.
        """
        check_at_least(1, batch=batch, length=length)
        if batch * length > _MOST_FRAMES:
            raise ValueError(
                f"batch, length: expected at most {_MOST_FRAMES} frames together, got {batch} x "
                f"{length}"
            )
        return self.segments_at(self.sample_starts(batch, rng), length)

    def _check_indices(self, name: str, indices: np.ndarray) -> np.ndarray:
        """Returns global indices as int64 (n,).

        Raises:
            ValueError: They are none.
        """
        array = np.asarray(indices)
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise ValueError(
                f"{name}: expected whole numbers (n,), got {array.dtype} {array.shape}"
            )
        if array.size and (array.min() < 0 or array.max() >= self.num_frames):
            raise ValueError(
                f"{name}: expected frames in [0, {self.num_frames}), got {array.min()} to "
                f"{array.max()}"
            )
        return array.astype(np.int64)

    def segments_at(self, starts: np.ndarray, length: int) -> SegmentBatch:
        """Returns the segments of `length` frames that start at global indices int64 (B,)."""
        check_at_least(1, length=length)
        if length > _MOST_FRAMES:
            raise ValueError(f"length: expected at most {_MOST_FRAMES} frames, got {length}")
        starts = self._check_indices("starts", starts)
        return cut_segments(
            starts,
            length,
            frame_starts=self.frame_starts,
            steps=self.steps,
            frame_shape=self.frame_shape,
            read_frames=self.read_frames,
        )


class EpisodeSequence(Sequence[Episode]):
    """The episodes of a source; indexing reads one, slices read several."""

    def __init__(self, source: EpisodeSource) -> None:
        """Makes the episodes of a source a sequence."""
        self._source = source

    def __len__(self) -> int:
        """Returns the number of episodes."""
        return len(self._source.infos)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        """Reads one episode, or the episodes of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} of {len(self)}")
        source = self._source
        index %= len(self)
        start, stop = (int(row) for row in source.frame_starts[index : index + 2])
        frames, ram, lives = (source.read(name, start, stop) for name in FRAME_ARRAYS)
        actions, rewards, terminated, truncated = (
            source.read(name, start, stop - 1) for name in STEP_ARRAYS
        )
        return Episode(
            info=source.infos[index],
            frames=frames,
            actions=actions,
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            ram=ram,
            lives=lives,
        )
