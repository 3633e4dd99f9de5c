"""Episodes as tokens in memory, and the windows of them that training draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from worldtokens.common.commands import stage_command


@dataclass(frozen=True)
class TokenEpisode:
    """One episode of T steps.

    Attributes:
        name: The episode's name in its dataset.
        tokens: Integers (T + 1, K), one row per frame.
        actions: int64 (T,); action t leads from frame t to frame t + 1.
        rewards: float32 (T,).
        terminated: bool (T,), whether the game ended with that step.
        truncated: bool (T,), whether recording stopped there without the game having ended.
        first_frame: Number of its first frame in its dataset.
        lives_lost: bool (T,), whether a life was lost in that step; None for nowhere.
        scenes: int64 (T + 1,), the scene (room) of each frame; None for one scene.
    """

    name: str
    tokens: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    first_frame: int = 0
    lives_lost: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    scenes: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]

    def __post_init__(self) -> None:
        """Fills in what is not known."""
        if self.lives_lost is None:
            object.__setattr__(self, "lives_lost", np.zeros(len(self.actions), bool))
        if self.scenes is None:
            object.__setattr__(self, "scenes", np.zeros(len(self.actions) + 1, np.int64))

    def __len__(self) -> int:
        """Steps T."""
        return len(self.actions)


@dataclass(frozen=True)
class TokenSegments:
    """A batch of windows of L frames, padded behind where their episode stops.

    Attributes:
        tokens: int64 (B, L, K).
        actions: int64 (B, L - 1).
        rewards: float32 (B, L - 1).
        terminated: bool (B, L - 1).
        truncated: bool (B, L - 1).
        mask: bool (B, L), True for frames that exist; step t exists if frame t + 1 does.
        lives_lost: bool (B, L - 1); None for nowhere.
    """

    tokens: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    mask: Tensor
    lives_lost: Tensor = field(default=None)  # pyright: ignore[reportAssignmentType]

    def __post_init__(self) -> None:
        """Fills in what is not known."""
        if self.lives_lost is None:
            object.__setattr__(self, "lives_lost", torch.zeros_like(self.terminated))

    def to(self, device: torch.device) -> "TokenSegments":
        """Returns the same segments on another device."""
        return TokenSegments(**{name: value.to(device) for name, value in vars(self).items()})

    def split(self, size: int) -> Iterator["TokenSegments"]:
        """Yields batches of at most so many of the windows, in their order."""
        for first in range(0, len(self.tokens), size):
            rows = slice(first, first + size)
            yield TokenSegments(**{name: value[rows] for name, value in vars(self).items()})


class TokenDataset:
    """Episodes of tokens, and segments of them."""

    def __init__(self, episodes: Sequence[TokenEpisode]):
        """Keeps the episodes that have at least one step.

        Raises:
            ValueError: There is none.
        """
        self.episodes = [episode for episode in episodes if len(episode)]
        if not self.episodes:
            raise ValueError(
                "episodes: expected one with at least one step, got none; collect more with "
                f"`{stage_command('collect')}`"
            )
        self._ends = np.cumsum([len(episode) for episode in self.episodes])

    @property
    def num_steps(self) -> int:
        """Steps of all episodes together."""
        return int(self._ends[-1])

    @property
    def longest_frames(self) -> int:
        """Frames of the longest episode."""
        return max(len(episode) for episode in self.episodes) + 1

    def sample(self, batch: int, length: int, rng: np.random.Generator) -> TokenSegments:
        """Draws windows of `length` frames that begin at any step with equal chance.

        A window may begin close to the end of its episode and be padded, so that the last steps,
        where games end, are seen as often as others.
        """
        owners, starts = self.sample_starts(batch, rng)
        return stack_windows([self.episodes[i] for i in owners], starts.tolist(), length)

    def sample_starts(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws steps with equal chance: episodes and steps in them, int64 (count,) each."""
        steps = rng.integers(self.num_steps, size=count)
        owners = np.searchsorted(self._ends, steps, side="right")
        return owners, steps - np.concatenate(([0], self._ends))[owners]

    def draw_step(self, rng: np.random.Generator) -> tuple[TokenEpisode, int]:
        """Draws a frame that has a step after it: its episode and its number in it."""
        step = int(rng.integers(self.num_steps))
        owner = int(np.searchsorted(self._ends, step, side="right"))
        return self.episodes[owner], step - int(self._ends[owner]) + len(self.episodes[owner])

    def starts(
        self, count: int, context: int, horizon: int, rng: np.random.Generator
    ) -> list[tuple[TokenEpisode, int]]:
        """Draws windows of context + horizon frames that lie whole in their episode.

        Returns:
            Up to `count` different (episode, first frame), in the order of the episodes.

        Raises:
            ValueError: No episode is long enough.
        """
        room = np.array([max(0, len(e) + 2 - context - horizon) for e in self.episodes])
        if not room.sum():
            raise ValueError(
                f"no episode has the {context + horizon} frames of context + horizon (the longest "
                f"has {self.longest_frames}); lower horizon or collect longer episodes"
            )
        chosen = np.sort(rng.choice(room.sum(), size=min(count, int(room.sum())), replace=False))
        ends = np.cumsum(room)
        owners = np.searchsorted(ends, chosen, side="right")
        first = chosen - np.concatenate(([0], ends))[owners]
        return [(self.episodes[i], int(t)) for i, t in zip(owners, first, strict=True)]

    def start(self, text: str, context: int, horizon: int) -> tuple[TokenEpisode, int]:
        """Returns the window of context + horizon frames at EPISODE:FRAME.

        Raises:
            ValueError: The text is something else, there is no such episode, or it has no such
                window.
        """
        name, first = parse_frame_id("start", text)
        matching = [episode for episode in self.episodes if episode.name == name]
        if not matching:
            raise ValueError(
                f"start: no episode {name!r} among the {len(self.episodes)}; the first is "
                f"{self.episodes[0].name!r}"
            )
        last = len(matching[0]) + 1 - context - horizon
        if first > last:
            raise ValueError(
                f"start: {name} has frames 0 to {len(matching[0])}; with context + horizon = "
                f"{context + horizon} expected at most {last}, got {first}"
            )
        return matching[0], first


def parse_frame_id(key: str, text: str) -> tuple[str, int]:
    """Returns the episode's name and the frame's number of EPISODE:FRAME.

    Raises:
        ValueError: The text is something else; `key` names where it was given.
    """
    name, _, number = text.rpartition(":")
    if not name or not number.isdecimal():
        raise ValueError(f"{key}: expected EPISODE:FRAME, got {text!r}")
    return name, int(number)


def stack_windows(
    episodes: Sequence[TokenEpisode], starts: Sequence[int], length: int
) -> TokenSegments:
    """Cuts a window of `length` frames out of each episode and pads it with zeros behind."""
    batch, k = len(episodes), episodes[0].tokens.shape[1]
    tokens = np.zeros((batch, length, k), np.int64)
    mask = np.zeros((batch, length), bool)
    steps = {
        "actions": np.zeros((batch, length - 1), np.int64),
        "rewards": np.zeros((batch, length - 1), np.float32),
        "terminated": np.zeros((batch, length - 1), bool),
        "truncated": np.zeros((batch, length - 1), bool),
        "lives_lost": np.zeros((batch, length - 1), bool),
    }
    for row, (episode, start) in enumerate(zip(episodes, starts, strict=True)):
        frames = episode.tokens[start : start + length]
        tokens[row, : len(frames)] = frames
        mask[row, : len(frames)] = True
        for name, array in steps.items():
            window = getattr(episode, name)[start : start + length - 1]
            array[row, : len(window)] = window
    return TokenSegments(
        tokens=torch.from_numpy(tokens),
        mask=torch.from_numpy(mask),
        **{name: torch.from_numpy(array) for name, array in steps.items()},
    )
