"""Events: the steps that an agent cares about, and where a dataset has them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from worldtokens.collect.dataset.source import EpisodeSource

Kind = Literal["reward", "life_lost", "end", "scene"]
KINDS: tuple[Kind, ...] = ("reward", "life_lost", "end", "scene")


@dataclass(frozen=True)
class Event:
    """One kind of event at one place.

    Attributes:
        kind: "reward" (other than 0), "life_lost", "end" (of the game) or "scene" (it changed).
        value: The reward; the lives that are left; 0 for an end; the scene after the step.
        scene: The scene before the step, 0 in games without labelled rooms.
        cell: Name of the cell before the step.
    """

    kind: Kind
    value: float
    scene: int
    cell: str

    @property
    def name(self) -> str:
        """The event in one word, as in `EpisodeInfo.start_cell`: "reward:100@0100000e0b"."""
        return f"{self.kind}:{self.value:g}@{self.cell}"


@dataclass(frozen=True)
class Moment:
    """What an event is read from: the game before or after a step.

    Attributes:
        lives: Lives that are left.
        scene: The scene, 0 in games without labelled rooms.
        cell: Name of the cell.
    """

    lives: int
    scene: int
    cell: str


def step_events(
    before: Moment, reward: float, terminated: bool, lives: int, scene: int
) -> list[Event]:
    """Returns the events of one step.

    Args:
        before: The game before the step.
        reward: The step's reward.
        terminated: Whether the step ended the game.
        lives: Lives after the step.
        scene: The scene after the step.
    """
    happened: dict[Kind, float] = {}
    if reward != 0:
        happened["reward"] = reward
    if lives < before.lives:
        happened["life_lost"] = lives
    if terminated:
        happened["end"] = 0
    if scene != before.scene:
        happened["scene"] = scene
    return [
        Event(kind, float(value), before.scene, before.cell) for kind, value in happened.items()
    ]


@dataclass(frozen=True)
class EventSteps:
    """The events of one kind in a dataset, E of them, in the order of their frames.

    Attributes:
        frames: int64 (E,), global index of the frame before the step.
        values: float64 (E,), see `Event.value`.
    """

    frames: np.ndarray
    values: np.ndarray


def event_masks(
    rewards: np.ndarray, lives_lost: np.ndarray, terminated: np.ndarray, scene_changed: np.ndarray
) -> dict[Kind, np.ndarray]:
    """Returns in which of n steps each kind of event happens, bool (n,); a step may have several.

    Args:
        rewards: Float (n,).
        lives_lost: bool (n,), whether a life was lost.
        terminated: bool (n,), whether the game ended.
        scene_changed: bool (n,), whether the scene after the step is another.
    """
    return {
        "reward": rewards != 0,
        "life_lost": lives_lost,
        "end": terminated,
        "scene": scene_changed,
    }


def find_events(source: EpisodeSource) -> dict[Kind, EventSteps]:
    """Finds the events of a dataset, by kind; a step may have several."""
    steps = source.steps
    frames = np.flatnonzero(steps.action_mask)
    rewards = steps.rewards[frames].astype(np.float64)
    lives = source.read("lives", 0, source.num_frames).astype(np.float64)
    scene = source.scene.astype(np.float64)
    before, after = frames, frames + 1
    masks = event_masks(
        rewards, lives[after] < lives[before], steps.terminated[frames],
        scene[after] != scene[before],
    )  # fmt: skip
    values: dict[Kind, np.ndarray] = {
        "reward": rewards, "life_lost": lives[after], "end": np.zeros(len(frames)),
        "scene": scene[after],
    }  # fmt: skip
    return {kind: EventSteps(frames[mask], values[kind][mask]) for kind, mask in masks.items()}
