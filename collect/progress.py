"""Progress bars that show the figures that matter."""

from tqdm import tqdm

from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.workers import Progress


class RecordingBar:
    """Shows recorded steps, steps/s, rooms and the best score."""

    def __init__(self, done: int, total: int) -> None:
        """Start at `done` of `total` steps."""
        self._bar = tqdm(
            desc="recording", total=total, initial=min(done, total), unit="frame", mininterval=0.5
        )
        self._rooms: set[int] = set()
        self._best_score = 0.0

    def add(self, progress: Progress) -> None:
        """Show a worker's report."""
        self._rooms |= progress.rooms
        self._best_score = max(self._best_score, progress.best_score)
        figures = {"rooms": len(self._rooms)} if self._rooms else {}
        self._bar.set_postfix({**figures, "score": f"{self._best_score:g}"}, refresh=False)
        self._bar.update(progress.recorded_steps)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class ExploringBar:
    """Shows explored steps, steps/s, rooms, cells and the best score."""

    def __init__(self, archive: Archive, total: int) -> None:
        """Start where the archive stands."""
        self._bar = tqdm(
            desc="exploring",
            total=total,
            initial=archive.explored_steps,
            unit="frame",
            mininterval=0.5,
        )

    def show(self, archive: Archive) -> None:
        """Show the archive as it is now."""
        figures = {"rooms": len(archive.rooms)} if len(archive.rooms) > 1 else {}
        self._bar.set_postfix(
            {**figures, "cells": len(archive), "score": f"{archive.best_score:g}"}, refresh=False
        )
        self._bar.update(archive.explored_steps - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
