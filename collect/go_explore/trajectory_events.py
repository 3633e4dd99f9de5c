"""The events of one trajectory, and the ways to them."""

from worldtokens.collect.dataset.events import Event, Moment, step_events
from worldtokens.collect.go_explore.approaches import Approach, Wanted
from worldtokens.collect.go_explore.paths import PathRecorder

_STEPS_AFTER = 8


class TrajectoryEvents:
    """Watches one trajectory for events.

    Attributes:
        recorder: Its path.
    """

    def __init__(self, start: str, recorder: PathRecorder) -> None:
        """Watches a trajectory that begins at a cell, "" for a reset."""
        self.recorder = recorder
        self._start = start
        self._events: list[tuple[Event, int]] = []

    def add(
        self, action: int, before: Moment, reward: float, terminated: bool, lives: int, scene: int
    ) -> None:
        """Adds the next step, see `step_events`."""
        for event in step_events(before, reward, terminated, lives, scene):
            self._events.append((event, len(self.recorder)))
        self.recorder.add(action)

    def approaches(self, wanted: Wanted) -> list[Approach]:
        """Returns those that are wanted."""
        found = []
        for event, step in self._events:
            stop = min(step + 1 + _STEPS_AFTER, len(self.recorder))
            path = self.recorder.path(step + 1, stop)
            event_step = len(path.actions) - (stop - step)
            if wanted.take(event, self._start, event_step + 1)[0]:
                found.append(Approach(event, self._start, path, event_step))
        return found
