"""Episodes of other projects, and their conversion to the form of this one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from worldtokens.collect.dataset.episode import RAM_BYTES, Episode, EpisodeInfo

# (height, width)
FrameSize = tuple[int, int]


class NoEpisode(ValueError):
    """A file beside episodes that is none itself."""


@dataclass(frozen=True)
class ImportedEpisode:
    """An episode as its source has it.

    Attributes:
        frames: uint8 (T + 1, H, W, 3), any size.
        actions: (T,).
        rewards: (T,).
        terminated: (T,).
        truncated: (T,).
        ram: uint8 (T + 1, 128), or None.
        lives: uint8 (T + 1,), or None.
        info: Where the episode was exported from a dataset of this project.
        seed: The environment's seed, where the source has it.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    ram: np.ndarray | None = None
    lives: np.ndarray | None = None
    info: EpisodeInfo | None = None
    seed: int | None = None


# Reads one episode; frames are resized at once where a size is given. Raises ValueError, NoEpisode.
Loader = Callable[[FrameSize | None], ImportedEpisode]


@dataclass(frozen=True)
class Source:
    """Episodes of another project, read one by one.

    Attributes:
        game: The game's name, where the source has it.
        num_actions: Number of actions, where the source has it.
        action_meanings: Names of the actions, where the source has them.
        lossy: Frames went through a lossy codec.
        loaders: One for each episode; a bad episode costs no other.
        env: Settings of the environment, where the source has them.
    """

    game: str | None
    num_actions: int | None
    action_meanings: tuple[str, ...] | None
    lossy: bool
    loaders: Iterator[Loader]
    env: dict[str, Any] | None = None

    @property
    def episodes(self) -> Iterator[ImportedEpisode]:
        """The episodes at their own size; a bad one raises ValueError."""
        return (loader(None) for loader in self.loaders)


def to_episode(imported: ImportedEpisode, number: int, job: str, frame_size: FrameSize) -> Episode:
    """Converts an episode to the form of this project; `check_episode` checks its values.

    Frames of another size are shrunk or magnified by area interpolation. An episode without a
    seed gets its number, so that one in ten is held out. The last step of an episode that has
    not ended counts as truncated; one that is both counts as terminated.

    Args:
        imported: The episode.
        number: Its number in the source, from 0.
        job: Begins the id of episodes that have none.
        frame_size: (height, width) that frames should have.

    Raises:
        ValueError: The arrays do not fit together, or a value would change without a word.
    """
    label = f"episode {number}"
    actions = _whole_numbers(f"{label}: actions", imported.actions)
    num_steps = len(actions)
    for name in ("rewards", "terminated", "truncated"):
        shape = np.shape(getattr(imported, name))
        if shape[:1] != (num_steps,):
            raise ValueError(
                f"{label}: expected {num_steps} {name}, one for each action, "
                f"got {shape[0] if shape else 'a single value'}"
            )
    if len(imported.frames) != num_steps + 1 or num_steps == 0:
        raise ValueError(
            f"{label}: expected an action at least and one frame more than actions, "
            f"got {num_steps} actions and {len(imported.frames)} frames"
        )
    rewards = _vector(f"{label}: rewards", imported.rewards, "iufb").astype(np.float32)
    terminated = _flags(f"{label}: terminated", imported.terminated)
    truncated = _flags(f"{label}: truncated", imported.truncated)
    truncated[-1] = not terminated[-1]
    info = imported.info or EpisodeInfo(
        id=f"{job}-{number:08d}",
        seed=number if imported.seed is None else int(imported.seed),
        start="reset",
        num_steps=num_steps,
        total_reward=float(rewards.sum()),
    )
    no_ram = np.zeros((num_steps + 1, RAM_BYTES), np.uint8)
    no_lives = np.zeros(num_steps + 1, np.uint8)
    return Episode(
        info=replace(info, num_steps=num_steps),
        frames=_resized(label, imported.frames, frame_size),
        actions=actions,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        ram=no_ram if imported.ram is None else _bytes(f"{label}: ram", imported.ram),
        lives=no_lives if imported.lives is None else _bytes(f"{label}: lives", imported.lives),
    )


def resize_frame(frame: np.ndarray, size: FrameSize) -> np.ndarray:
    """Returns a frame, uint8 (H, W, 3), at another size, by area interpolation."""
    if frame.shape[:2] == size:
        return frame
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)


def _resized(label: str, frames: np.ndarray, size: FrameSize) -> np.ndarray:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(
            f"{label}: frames: expected uint8 (N, H, W, 3), got {frames.dtype} {frames.shape}"
        )
    if frames.shape[1:3] == size:
        return frames
    return np.stack([resize_frame(frame, size) for frame in frames])


def _vector(name: str, values: np.ndarray, kinds: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise ValueError(
            f"{name}: expected one number for each step, got {array.dtype} {array.shape}"
        )
    return array


def _whole_numbers(name: str, values: np.ndarray) -> np.ndarray:
    array = _vector(name, values, "iuf")
    if array.dtype.kind == "f" and (wrong := np.flatnonzero(array != np.floor(array))).size:
        raise ValueError(
            f"{name}: expected whole numbers, got {array[wrong[0]]} at step {wrong[0]}"
        )
    if array.size and (float(array.max()) >= 2**31 or float(array.min()) < -(2**31)):
        raise ValueError(f"{name}: expected small whole numbers, got {array.max()}")
    return array.astype(np.int64)


def _flags(name: str, values: np.ndarray) -> np.ndarray:
    array = _vector(name, values, "iufb")
    if (wrong := np.flatnonzero((array != 0) & (array != 1))).size:
        raise ValueError(f"{name}: expected 0 or 1, got {array[wrong[0]]} at step {wrong[0]}")
    return array.astype(np.bool_)


def _bytes(name: str, values: np.ndarray) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or (array.size and (array.min() < 0 or array.max() > 255)):
        raise ValueError(f"{name}: expected whole numbers from 0 to 255, got {array.dtype}")
    return array.astype(np.uint8)
