"""Where a run's metrics go: metrics.jsonl, Weights & Biases, both or nowhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

from worldtokens.common.atomic import write_text

WandbMode = Literal["online", "offline", "disabled"]


@dataclass
class WandbConfig:
    """What Weights & Biases gets.

    Attributes:
        mode: online; offline, which writes beside the run and sends nothing; or disabled.
        project: The project's name there.
    """

    mode: str
    project: str

    def __post_init__(self) -> None:
        """Checks the mode."""
        if self.mode not in get_args(WandbMode):
            raise ValueError(
                f"wandb.mode: expected one of {', '.join(get_args(WandbMode))}, got {self.mode!r}"
            )


class MetricWriter(Protocol):
    """Takes named metrics and pictures of a training step."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics, each under its name, as of `step`."""
        ...

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Records a picture that lies at `path`."""
        ...

    def close(self) -> None:
        """Flushes; nothing is written afterwards."""
        ...


class NullWriter:
    """Does nothing, for ranks other than the first, and for tests."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Does nothing."""

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class JsonlWriter:
    """Writes one JSON object a line: {"step": 100, "loss": 0.12}.

    Lines after `step` (of a run that was killed between checkpoints) are dropped on opening, so a
    resumed run writes each step once.
    """

    def __init__(self, path: Path, step: int):
        """Opens `path` for appending from `step` on."""
        rows = [row for row in read_metrics(path) if row["step"] <= step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._path = path

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line."""
        # Opened for each line, so that a killed run loses none.
        with open(self._path, "a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Does nothing: the picture already lies in the run folder."""

    def close(self) -> None:
        """Does nothing: each line is on disk already."""


class WandbWriter:
    """Sends a copy of the metrics and pictures to Weights & Biases."""

    def __init__(self, folder: Path, config: WandbConfig, name: str, run_config: dict[str, Any]):
        """Starts a wandb run whose files lie under `folder`."""
        import wandb  # Slow to import, and not needed when disabled.

        self._image = wandb.Image
        self._run = wandb.init(
            dir=folder,
            project=config.project,
            name=name,
            mode=cast(WandbMode, config.mode),
            config=run_config,
            settings=wandb.Settings(silent=True),
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics."""
        self._run.log(dict(metrics), step=step)

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Logs the picture."""
        self._run.log({name: self._image(str(path))}, step=step)

    def close(self) -> None:
        """Ends the wandb run."""
        self._run.finish()


class WriterGroup:
    """Passes everything on to several writers."""

    def __init__(self, writers: Sequence[MetricWriter]):
        """Keeps the writers in order."""
        self._writers = list(writers)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Passes the metrics to each writer."""
        for writer in self._writers:
            writer.write(step, metrics)

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Passes the picture to each writer."""
        for writer in self._writers:
            writer.write_picture(step, name, path)

    def close(self) -> None:
        """Closes each writer."""
        for writer in self._writers:
            writer.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Returns the rows of a metrics.jsonl but a last one that was cut off; [] if there is none."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
