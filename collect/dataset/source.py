"""What every dataset of episodes offers, wherever its frames are kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np

from worldtokens.collect.dataset.description import DatasetDescription
from worldtokens.collect.dataset.episode import Episode, EpisodeInfo, SegmentBatch
from worldtokens.collect.dataset.shards import FRAME_ARRAYS, STEP_ARRAYS
from worldtokens.envs import EnvConfig, ram_labels

Split = Literal["train", "heldout"]


@dataclass(frozen=True)
class StepArrays:
    """Everything about steps, one row per frame; a row of an episode's last frame is 0 or False.

    Attributes:
        actions: int64 (N,).
        rewards: float32 (N,).
        terminated: bool (N,).
        truncated: bool (N,).
        action_mask: bool (N,), False on each episode's last frame.
    """

    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    action_mask: np.ndarray


class EpisodeSource(ABC):
    """Episodes in a fixed order, with their frames numbered from 0 over all of them.

    That number is the frame's global index: `frame_starts[i]` is the first frame of episode i
    and `frame_starts[-1]` is `num_frames`.

    Attributes:
        path: the dataset's folder.
        split: None, "train" or "heldout".
        infos: what is known of each episode without reading frames.
        fingerprint: changes whenever the dataset's shards do.
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
        """Hold what is common; `EpisodeDataset` is the usual way in."""
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
        """Return rows [start, stop) of "frames", "ram" or "lives" by global index."""

    @abstractmethod
    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """Return frames by global index, int64 (n,) -> uint8 (n, H, W, 3)."""

    @property
    @abstractmethod
    def steps(self) -> StepArrays:
        """Actions, rewards and ends, by global index."""

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.infos)

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
        """Return frames [start, stop) by global index, uint8 (stop - start, H, W, 3)."""
        return self.read("frames", start, stop)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return rows [start, stop) of one array by global frame index.

        Args:
            name: "frames", "ram", "lives", or an array of `StepArrays`.
            start: first frame.
            stop: the frame after the last.

        Raises:
            ValueError: no such array or a range outside [0, num_frames].
        """
        if not 0 <= start <= stop <= self.num_frames:
            raise ValueError(
                f"frames [{start}, {stop}) are not within [0, {self.num_frames}) of {self.path}."
            )
        if name in FRAME_ARRAYS:
            return self._read_frame_array(name, start, stop)
        if name in (*STEP_ARRAYS, "action_mask"):
            return getattr(self.steps, name)[start:stop]
        known = ", ".join((*FRAME_ARRAYS, *STEP_ARRAYS, "action_mask"))
        raise ValueError(f"name must be one of {known}, got {name!r}.")

    def sample_frames(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw frames uniformly, with repetition, uint8 (count, H, W, 3)."""
        return self.gather_frames(rng.integers(self.num_frames, size=count))

    def all_frames(
        self, limit: int | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return all frames in order, or `limit` of them in order.

        Args:
            limit: at most so many frames; None for all.
            rng: draws which ones, without repetition; None takes them at even distances.
        """
        return self.gather_frames(self.choose_frames(limit, rng))

    def choose_frames(
        self, limit: int | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return the global indices of the frames that `all_frames` returns, int64, ascending."""
        if limit is None or limit >= self.num_frames:
            return np.arange(self.num_frames)
        if rng is None:
            return np.arange(limit) * self.num_frames // limit
        return np.sort(rng.choice(self.num_frames, size=limit, replace=False))

    def sample_starts(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw frames that have a step after them, uniformly, as global indices int64 (count,)."""
        number = rng.integers(self.num_steps, size=count)
        # Step s of the whole dataset lies in episode i behind i frames that have no step.
        step_starts = self.frame_starts[:-1] - np.arange(len(self))
        return number + np.searchsorted(step_starts, number, side="right") - 1

    def sample_segments(self, batch: int, length: int, rng: np.random.Generator) -> SegmentBatch:
        """Draw segments whose first frame is uniform among all frames that have a step.

        An episode's last transition is so drawn as often as any other behind its first `length`
        ones. Segments that reach over the end of their episode are padded.

        Args:
            batch: segments B.
            length: frames L of each.
            rng: draws the starts.

        Raises:
            ValueError: batch or length is below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch and length must be at least 1, got {batch} and {length}.")
        return self.segments_at(self.sample_starts(batch, rng), length)

    def segments_at(self, starts: np.ndarray, length: int) -> SegmentBatch:
        """Return the segments of `length` frames that start at global indices int64 (B,)."""
        episode = np.searchsorted(self.frame_starts, starts, side="right") - 1
        lengths = np.minimum(self.frame_starts[episode + 1] - starts, length)
        offsets = np.arange(length)
        mask = offsets[None, :] < lengths[:, None]
        rows = np.where(mask, starts[:, None] + offsets, 0)
        steps = self.steps
        action_mask = mask & steps.action_mask[rows]
        return SegmentBatch(
            frames=self._segment_frames(starts, lengths, length),
            actions=np.where(action_mask, steps.actions[rows], 0),
            rewards=np.where(action_mask, steps.rewards[rows], np.float32(0)),
            terminated=action_mask & steps.terminated[rows],
            truncated=action_mask & steps.truncated[rows],
            mask=mask,
            action_mask=action_mask,
        )

    def _segment_frames(self, starts: np.ndarray, lengths: np.ndarray, length: int) -> np.ndarray:
        frames = np.zeros((len(starts), length, *self.frame_shape), np.uint8)
        for row, (start, count) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            frames[row, :count] = self._read_frame_array("frames", start, start + count)
        return frames


class EpisodeSequence(Sequence[Episode]):
    """The episodes of a source; indexing reads one, slices read several."""

    def __init__(self, source: EpisodeSource) -> None:
        """Look at a source."""
        self._source = source

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self._source.infos)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        """Read one episode, or the episodes of a slice."""
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
