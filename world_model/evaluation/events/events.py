"""Events of held-out episodes: rewards, lost lives, ends of the game and changes of scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.world_model.data.event_windows import find_events
from worldtokens.world_model.data.segments import TokenEpisode

REWARD, LOST_LIFE, END, SCENE = KINDS = ("reward", "lost life", "end", "scene")
# Steps by which a dreamt event may be early or late.
TOLERANCE = {REWARD: 1, LOST_LIFE: 2, END: 2, SCENE: 2}
LEADS = (1, 2, 4, 8)
# Frames that a scene is shown before and after a change that counts: doors flicker.
STAY = 3
# Steps that windows without events are dreamt on.
SPAN = max(LEADS) + max(TOLERANCE.values())


@dataclass(frozen=True, eq=False)
class EventStep:
    """A step of an episode at which something happens, or narrowly does not.

    Attributes:
        kind: Of `KINDS`.
        value: The reward; the scene after the step for a change of scene; else 0.
        scene: The scene before the step.
        episode: The episode.
        step: Number of the step.
    """

    kind: str
    value: float
    scene: int
    episode: TokenEpisode
    step: int

    def start(self, lead: int, context: int) -> int:
        """Returns the first frame of a window that knows `context` frames, `lead` steps before.

        It is negative where the episode begins too late for that.
        """
        return self.step + 2 - lead - context


def list_events(episodes: Sequence[TokenEpisode]) -> dict[str, list[EventStep]]:
    """Lists all events by kind; changes of scene only where both scenes stay for some frames."""
    events: dict[str, list[EventStep]] = {kind: [] for kind in KINDS}
    for episode in episodes:
        for name, steps in find_events(episode).items():
            # Rewards come by value, "reward 100".
            kind = REWARD if name.startswith(REWARD) else name
            values = {REWARD: episode.rewards, SCENE: episode.scenes[1:]}.get(kind)
            for step in steps.tolist():
                if kind == SCENE and not _lasts(episode.scenes, step):
                    continue
                value = 0.0 if values is None else float(values[step])
                scene = int(episode.scenes[step])
                events[kind].append(EventStep(kind, value, scene, episode, step))
    return events


def _lasts(scenes: np.ndarray, step: int) -> bool:
    before, after = scenes[max(0, step + 1 - STAY) : step + 1], scenes[step + 1 : step + 1 + STAY]
    return len(after) == STAY and len(set(before.tolist())) == len(set(after.tolist())) == 1


def group_events(events: Sequence[EventStep]) -> Mapping[tuple[str, int], np.ndarray]:
    """Groups events into the rows of a table.

    Returns:
        Their numbers int64 (n,) by value and scene: ("all", -1); where there are several values
        one group each, (value, -1); of rewards one of each value and scene, too.
    """
    values = np.array([f"{event.value:g}" for event in events])
    scenes = np.array([event.scene for event in events])
    groups = {("all", -1): np.arange(len(events))}
    if not events or events[0].kind != REWARD:
        return groups
    for value in sorted(set(values.tolist()), key=float):
        groups[value, -1] = np.flatnonzero(values == value)
        known = np.unique(scenes[values == value]).tolist()
        for scene in known if len(np.unique(scenes)) > 1 else []:
            groups[value, scene] = np.flatnonzero((values == value) & (scenes == scene))
    return groups
