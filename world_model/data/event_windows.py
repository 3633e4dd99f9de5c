"""Windows that training draws more often: around events, and where the loss is high.

What matters most to an agent is rare: rewards are 0.2% of the steps of an explored Montezuma's
Revenge, so uniform windows show each of them about ten times in a training run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldtokens.collect.dataset.events import event_masks
from worldtokens.common.checks import check_probability
from worldtokens.world_model.data.segments import (
    TokenDataset,
    TokenEpisode,
    TokenSegments,
    stack_windows,
)

# Windows whose loss is remembered; high ones are drawn from the upper quarter of them.
REMEMBERED = 4096
HIGH_SHARE = 0.25


@dataclass(frozen=True)
class WindowConfig:
    """Which windows are drawn.

    Attributes:
        event_share: Share of the windows that contain an event: a reward other than 0, a lost
            life, the end of the game or a change of scene, each kind as often; in [0, 1].
        high_loss_share: Share of the windows drawn again because their loss was high, in [0, 1].
    """

    event_share: float
    high_loss_share: float

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_probability(event_share=self.event_share, high_loss_share=self.high_loss_share)
        if self.event_share + self.high_loss_share > 1:
            raise ValueError(
                "high_loss_share: expected at most 1 together with event_share, got "
                f"{self.high_loss_share} and {self.event_share}"
            )


def find_events(episode: TokenEpisode) -> dict[str, np.ndarray]:
    """Finds the steps of an episode at which something happens, by kind.

    Returns:
        For each kind that occurs ("reward 100", "lost life", "end", "scene") its steps, int64 (n,).
    """
    masks = event_masks(
        episode.rewards, episode.lives_lost, episode.terminated,
        episode.scenes[1:] != episode.scenes[:-1],
    )  # fmt: skip
    events = {
        f"reward {value:g}": np.flatnonzero(episode.rewards == value)
        for value in np.unique(episode.rewards[masks["reward"]])
    }
    events["lost life"] = np.flatnonzero(masks["life_lost"])
    events["end"] = np.flatnonzero(masks["end"])
    events["scene"] = np.flatnonzero(masks["scene"])
    return {kind: steps for kind, steps in events.items() if len(steps)}


class WindowSampler:
    """Draws windows of a dataset: uniformly, around events, and where the loss was high.

    Its state is what it remembers of the losses, so that a resumed run draws the same windows.
    """

    def __init__(self, dataset: TokenDataset, length: int, config: WindowConfig):
        """Finds the events.

        Args:
            dataset: Whose windows are drawn.
            length: Frames of a window.
            config: Which windows.
        """
        self._dataset = dataset
        self._length = length
        self._config = config
        by_kind: dict[str, list[tuple[int, int]]] = {}
        for number, episode in enumerate(dataset.episodes):
            for kind, steps in find_events(episode).items():
                by_kind.setdefault(kind, []).extend((number, step) for step in steps.tolist())
        self.events = {kind: np.array(places, np.int64) for kind, places in by_kind.items()}
        self._groups = _group(self.events)
        self._windows = np.zeros((0, 2), np.int64)
        self._losses = np.zeros(0, np.float32)

    def draw(self, batch: int, rng: np.random.Generator) -> tuple[TokenSegments, np.ndarray]:
        """Draws a batch.

        Returns:
            The windows, and where they begin: episode and frame, int64 (batch, 2).
        """
        events = round(batch * self._config.event_share) if self._groups else 0
        high = round(batch * self._config.high_loss_share) if len(self._losses) else 0
        owners, starts = self._dataset.sample_starts(batch - events - high, rng)
        windows = list(zip(owners.tolist(), starts.tolist(), strict=True))
        windows += [self._draw_event(rng) for _ in range(events)]
        windows += [self._draw_high(rng) for _ in range(high)]
        episodes = [self._dataset.episodes[number] for number, _ in windows]
        starts = [start for _, start in windows]
        return stack_windows(episodes, starts, self._length), np.array(windows, np.int64)

    def remember(self, windows: np.ndarray, losses: Tensor) -> None:
        """Keeps the losses, float (batch,), of windows that `draw` gave."""
        if not self._config.high_loss_share:
            return
        values = losses.detach().float().cpu().numpy()
        self._windows = np.concatenate([self._windows, windows])[-REMEMBERED:]
        self._losses = np.concatenate([self._losses, values])[-REMEMBERED:]

    @property
    def parts(self) -> dict[str, "WindowSampler"]:
        """What a checkpoint needs of it, by name: nothing where no loss is remembered."""
        return {"windows": self} if self._config.high_loss_share else {}

    def state_dict(self) -> dict[str, Any]:
        """Returns what is remembered of the losses."""
        return {
            "windows": torch.from_numpy(self._windows.copy()),
            "losses": torch.from_numpy(self._losses.copy()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        self._windows, self._losses = state["windows"].numpy(), state["losses"].numpy()

    def _draw_event(self, rng: np.random.Generator) -> tuple[int, int]:
        group = self._groups[int(rng.integers(len(self._groups)))]
        # Between drawing values evenly and drawing events evenly.
        weights = np.sqrt([len(self.events[kind]) for kind in group])
        kind = group[int(rng.choice(len(group), p=weights / weights.sum()))]
        number, step = self.events[kind][int(rng.integers(len(self.events[kind])))].tolist()
        # The step leads to frame step + 1, which lies anywhere but at the window's first frame.
        start = step + 1 - int(rng.integers(1, self._length))
        last = max(0, len(self._dataset.episodes[number]) + 1 - self._length)
        return number, min(max(0, start), last)

    def _draw_high(self, rng: np.random.Generator) -> tuple[int, int]:
        count = max(1, round(HIGH_SHARE * len(self._losses)))
        highest = np.argpartition(-self._losses, count - 1)[:count]
        number, start = self._windows[highest[int(rng.integers(count))]].tolist()
        return number, start


def _group(kinds: Sequence[str] | dict[str, np.ndarray]) -> list[list[str]]:
    """Returns the kinds of events that are drawn equally often; all rewards are one kind."""
    rewards = [kind for kind in kinds if kind.startswith("reward ")]
    return [*([rewards] if rewards else []), *([kind] for kind in kinds if kind not in rewards)]
