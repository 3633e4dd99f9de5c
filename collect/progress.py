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
    """Shows explored steps, steps/s, rooms, cells and the best score."""

    def __init__(self, archive: Archive, total: int) -> None:
        """Starts at the steps that the archive has."""
        self._bar = tqdm(
            desc="exploring",
            total=total,
            initial=archive.explored_steps,
            unit="frame",
            mininterval=0.5,
        )

    def show(self, archive: Archive) -> None:
        """Shows the archive as it is now."""
        metrics = {"rooms": len(archive.rooms)} if len(archive.rooms) > 1 else {}
        self._bar.set_postfix(
            {**metrics, "cells": len(archive), "score": f"{archive.best_score:g}"}, refresh=False
        )
        self._bar.update(archive.explored_steps - self._bar.n)

    def close(self) -> None:
        """Ends the bar; its last state stays on the screen."""
        self._bar.close()
