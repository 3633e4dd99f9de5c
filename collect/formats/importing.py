"""Episodes from elsewhere, brought into our form."""

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
        info: what we knew of it, where it was ours.
        seed: the environment's seed, where the source has it.
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
    """Episodes elsewhere, read one by one.

    Attributes:
        game: the game's name, where the source has it.
        num_actions: number of actions, where the source has it.
        action_meanings: names of the actions, where the source has them.
        lossy: frames went through a lossy codec.
        episodes: read while iterating.
    """

    game: str | None
    num_actions: int | None
    action_meanings: tuple[str, ...] | None
    lossy: bool
    episodes: Iterator[ImportedEpisode]


def to_episode(
    imported: ImportedEpisode, number: int, job: str, frame_size: tuple[int, int]
) -> Episode:
    """Bring an episode into our form.

    Frames of another size are shrunk or magnified by area interpolation. An episode without a
    seed gets its number, so that one in ten is held out. The last step of an episode that has
    not ended counts as truncated.

    Args:
        imported: what came.
        number: the how manieth it is.
        job: the id of episodes that have none begins with this.
        frame_size: (height, width) that frames should have.

    Raises:
        ValueError: arrays that do not fit together.
    """
    num_steps = len(imported.actions)
    for name in ("rewards", "terminated", "truncated"):
        if len(getattr(imported, name)) != num_steps:
            raise ValueError(
                f"episode {number} has {num_steps} actions but "
                f"{len(getattr(imported, name))} {name}."
            )
    if len(imported.frames) != num_steps + 1 or num_steps == 0:
        raise ValueError(
            f"episode {number} has {len(imported.frames)} frames and {num_steps} actions; "
            "expected one frame more than actions, and an action at least."
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
