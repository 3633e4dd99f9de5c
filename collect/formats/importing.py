"""Episodes of other projects, and their conversion to the form of this one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from worldtokens.collect.dataset.episode import RAM_BYTES, Episode, EpisodeInfo


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


@dataclass(frozen=True)
class Source:
    """Episodes of another project, read one by one.

    Attributes:
        game: The game's name, where the source has it.
        num_actions: Number of actions, where the source has it.
        action_meanings: Names of the actions, where the source has them.
        lossy: Frames went through a lossy codec.
        episodes: Read while iterating.
    """

    game: str | None
    num_actions: int | None
    action_meanings: tuple[str, ...] | None
    lossy: bool
    episodes: Iterator[ImportedEpisode]


def to_episode(
    imported: ImportedEpisode, number: int, job: str, frame_size: tuple[int, int]
) -> Episode:
    """Converts an episode to the form of this project.

    Frames of another size are shrunk or magnified by area interpolation. An episode without a
    seed gets its number, so that one in ten is held out. The last step of an episode that has
    not ended counts as truncated.

    Args:
        imported: The episode.
        number: Its number in the source, from 0.
        job: Begins the id of episodes that have none.
        frame_size: (height, width) that frames should have.

    Raises:
        ValueError: The arrays do not fit together.
    """
    num_steps = len(imported.actions)
    for name in ("rewards", "terminated", "truncated"):
        if len(getattr(imported, name)) != num_steps:
            raise ValueError(
                f"episode {number}: expected {num_steps} {name}, one for each action, "
                f"got {len(getattr(imported, name))}"
            )
    if len(imported.frames) != num_steps + 1 or num_steps == 0:
        raise ValueError(
            f"episode {number}: expected an action at least and one frame more than actions, "
            f"got {num_steps} actions and {len(imported.frames)} frames"
        )
    rewards = np.asarray(imported.rewards, np.float32)
    terminated = np.asarray(imported.terminated, np.bool_)
    truncated = np.array(imported.truncated, np.bool_)
    truncated[-1] |= not terminated[-1]
    info = imported.info or EpisodeInfo(
        id=f"{job}-{number:08d}",
        seed=number if imported.seed is None else imported.seed,
        start="reset",
        num_steps=num_steps,
        total_reward=float(rewards.sum()),
    )
    frames = _resized(imported.frames, frame_size)
    no_ram = np.zeros((num_steps + 1, RAM_BYTES), np.uint8)
    no_lives = np.zeros(num_steps + 1, np.uint8)
    return Episode(
        info=replace(info, num_steps=num_steps),
        frames=frames,
        actions=np.asarray(imported.actions, np.int64),
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        ram=no_ram if imported.ram is None else imported.ram.astype(np.uint8),
        lives=no_lives if imported.lives is None else imported.lives.astype(np.uint8),
    )


def _resized(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if frames.shape[1:3] == size:
        return frames
    return np.stack(
        [cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in frames]
    )
