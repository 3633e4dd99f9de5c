"""Progress bars of exploring and recording."""

from tqdm import tqdm

from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.tasks import Progress


class RecordingBar:
    """Shows recorded steps, steps/s, rooms and the best score."""

    def __init__(self, done: int, total: int) -> None:
        """Starts at `done` of `total` steps."""
        self._bar = tqdm(
            desc="recording", total=total, initial=min(done, total), unit="frame", mininterval=0.5
        )
        self._rooms: set[int] = set()
        self._best_score = 0.0

    def add(self, progress: Progress) -> None:
        """Shows a worker's report."""
        self._rooms |= progress.rooms
        self._best_score = max(self._best_score, progress.best_score)
        metrics = {"rooms": len(self._rooms)} if self._rooms else {}
        self._bar.set_postfix({**metrics, "score": f"{self._best_score:g}"}, refresh=False)
        self._bar.update(progress.recorded_steps)

    def close(self) -> None:
        """Ends the bar; its last state stays on the screen."""
        self._bar.close()


class ExploringBar:
    """Shows explored steps, steps/s, rooms, cells, events and the best score."""

    def __init__(self, archives: list[Archive], total: int) -> None:
        """Starts at the steps that the archives have together."""
        self._archives = archives
        self._bar = tqdm(
            desc="exploring",
            total=total,
            initial=sum(archive.explored_steps for archive in archives),
            unit="frame",
            mininterval=0.5,
        )

    def show(self) -> None:
        """Shows the archives as they are now."""
        archives = self._archives
        rooms = frozenset[int]().union(*(archive.rooms for archive in archives))
        metrics = {
            **({"rooms": len(rooms)} if len(rooms) > 1 else {}),
            "cells": sum(len(archive) for archive in archives),
            "score": f"{max(archive.best_score for archive in archives):g}",
        }
        if approaches := sum(len(archive.approaches) for archive in archives):
            metrics["approaches"] = approaches
        self._bar.set_postfix(metrics, refresh=False)
        self._bar.update(sum(archive.explored_steps for archive in archives) - self._bar.n)

    def close(self) -> None:
        """Ends the bar; its last state stays on the screen."""
        self._bar.close()
