"""The one check of an episode's values: of what is imported, written and read."""

import re

import numpy as np

from worldtokens.collect.dataset.episode import RAM_BYTES, Episode, EpisodeInfo

STARTS = ("reset", "restored")
# Bytes of a start cell's name in a shard.
CELL_BYTES = 64
_ID_BYTES = 255
# What no file system takes as a name, or takes as more than a name.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]|^\.|^$")


def check_episode(
    episode: Episode, frame_shape: tuple[int, int, int], num_actions: int | None
) -> None:
    """Checks every value of an episode.

    Args:
        episode: Of any origin.
        frame_shape: (H, W, 3) of the dataset.
        num_actions: Actions of the dataset; None where they are not known.

    Raises:
        ValueError: The message names the episode, the array and the step.
    """
    _check_identity(episode.info)
    steps = episode.info.num_steps
    _check_array(episode, "frames", np.uint8, (steps + 1, *frame_shape))
    _check_array(episode, "ram", np.uint8, (steps + 1, RAM_BYTES))
    _check_array(episode, "lives", np.uint8, (steps + 1,))
    for name, dtype in (
        ("actions", np.integer), ("rewards", np.floating), ("terminated", np.bool_),
        ("truncated", np.bool_),
    ):  # fmt: skip
        _check_array(episode, name, dtype, (steps,))
    check_steps(episode.id, episode.actions, episode.rewards, num_actions)
    check_ends(episode.id, episode.terminated, episode.truncated)
    _check_total(episode.info)


def check_info(info: EpisodeInfo) -> None:
    """Checks what is known of an episode without its arrays.

    Raises:
        ValueError: The id is no name of a file, or a number is out of its range.
    """
    _check_identity(info)
    _check_total(info)


def _check_identity(info: EpisodeInfo) -> None:
    label = f"episode {info.id!r:.80}"
    if not isinstance(info.id, str) or _UNSAFE.search(info.id) or _size(info.id) > _ID_BYTES:
        raise ValueError(
            f"{label}: expected an id that could name a file (no slash, no leading dot, at most "
            f"{_ID_BYTES} bytes)"
        )
    if info.start not in STARTS:
        raise ValueError(f"{label}: start: expected one of {STARTS}, got {info.start!r}")
    for name, least in (("num_steps", 1), ("seed", 0)):
        value = getattr(info, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
            raise ValueError(
                f"{label}: {name}: expected a whole number of at least {least}, got {value!r}"
            )
    if not isinstance(info.start_cell, str) or _size(info.start_cell) > CELL_BYTES:
        raise ValueError(
            f"{label}: start_cell: expected a name of at most {CELL_BYTES} bytes, "
            f"got {info.start_cell!r:.80}"
        )


def _check_total(info: EpisodeInfo) -> None:
    if not isinstance(info.total_reward, int | float) or not np.isfinite(info.total_reward):
        raise ValueError(
            f"episode {info.id}: total_reward: expected a finite number, got {info.total_reward!r}"
        )


def check_steps(id: str, actions: np.ndarray, rewards: np.ndarray, num_actions: int | None) -> None:
    """Checks actions and rewards, (T,).

    Args:
        id: Of the episode, for the message.
        actions: Integers.
        rewards: Floats.
        num_actions: As for `check_episode`.

    Raises:
        ValueError: The message names the first step that is wrong.
    """
    limit = np.iinfo(np.int16).max if num_actions is None else num_actions
    if (wrong := np.flatnonzero((actions < 0) | (actions >= limit))).size:
        step = int(wrong[0])
        raise ValueError(
            f"episode {id}: actions: expected numbers in [0, {limit}), got {actions[step]} at step "
            f"{step}"
        )
    if (wrong := np.flatnonzero(~np.isfinite(rewards))).size:
        step = int(wrong[0])
        raise ValueError(
            f"episode {id}: rewards: expected finite numbers, got {rewards[step]} at step {step}"
        )


def check_ends(id: str, terminated: np.ndarray, truncated: np.ndarray) -> None:
    """Checks that an episode ends with its last step, bool (T,), in one of the two ways.

    Args:
        id: Of the episode, for the message.
        terminated: Whether the game ended with each step.
        truncated: Whether the episode was cut after each step.

    Raises:
        ValueError: It does not.
    """
    steps = len(terminated)
    over = np.flatnonzero(terminated | truncated)
    if over.size and over[0] != steps - 1:
        raise ValueError(
            f"episode {id}: terminated, truncated: expected an end at the last step only, got one "
            f"at step {over[0]} of {steps}; cut the episode there"
        )
    if not over.size or (terminated[-1] and truncated[-1]):
        got = "both" if over.size else "neither"
        raise ValueError(
            f"episode {id}: expected the last step to be terminated or truncated, got {got}"
        )


def _check_array(episode: Episode, name: str, dtype: type, shape: tuple[int, ...]) -> None:
    array = getattr(episode, name)
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, dtype):
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"episode {episode.id}: {name}: expected {dtype.__name__}, got {got}")
    if array.shape != shape:
        raise ValueError(f"episode {episode.id}: {name}: expected shape {shape}, got {array.shape}")


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))
