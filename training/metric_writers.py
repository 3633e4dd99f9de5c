"""Where a run's metrics go: metrics.jsonl, Weights & Biases, both or nowhere."""

import json
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args
from zlib import crc32

from worldtokens.common.atomic import read_text, write_text
from worldtokens.common.json_files import to_json

# The key of a line's own checksum in metrics.jsonl.
CHECKSUM = "crc32"
_WANDB_SECONDS = 60
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
    """Writes one JSON object a line: {"step": 100, "loss": 0.12, "crc32": "1b2c3d4e"}.

    Lines after `step` (of a run that was killed between checkpoints) are dropped on opening, so a
    resumed run writes each step once. Where a line is damaged, the file is kept as
    metrics.damaged.jsonl, and all other lines go on.
    """

    def __init__(self, path: Path, step: int):
        """Opens `path` for appending from `step` on."""
        rows, damaged = _read_lines(path)
        if damaged:
            shutil.copyfile(path, path.with_suffix(f".damaged{path.suffix}"))
            _warn(path, damaged)
        kept = sorted((row for row in rows if row["step"] <= step), key=lambda row: row["step"])
        write_text(path, "".join(_line(row) for row in kept))
        self._path = path

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line."""
        # Opened for each line, so that a killed run loses none.
        with open(self._path, "a") as file:
            file.write(_line({"step": step, **metrics}))

    def write_picture(self, step: int, name: str, path: Path) -> None:
        """Does nothing: the picture already lies in the run folder."""

    def close(self) -> None:
        """Does nothing: each line is on disk already."""


class WandbWriter:
    """Sends a copy of the metrics and pictures to Weights & Biases."""

    def __init__(self, folder: Path, config: WandbConfig, name: str, run_config: dict[str, Any]):
        """Starts a wandb run whose files lie under `folder`, or goes on with the one from there.

        Raises:
            ValueError: wandb cannot start it, for lack of a key or a network, for example.
        """
        import wandb  # Slow to import, and not needed when disabled.

        self._image = wandb.Image
        try:
            self._run = wandb.init(
                dir=folder,
                project=config.project,
                name=name,
                id=_wandb_id(folder),
                resume="allow",
                mode=cast(WandbMode, config.mode),
                config=run_config,
                settings=wandb.Settings(silent=True, init_timeout=_WANDB_SECONDS),
            )
        except Exception as error:  # wandb has no common class for them
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(
                f"wandb.mode: expected a wandb that starts a run, got {reason:.300} with "
                f"wandb.mode={config.mode}; run `wandb login`, or use wandb.mode=offline and "
                "`wandb sync` later, or wandb.mode=disabled"
            ) from None

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
    """Returns the rows of a metrics.jsonl, [] if there is none.

    A last line that was cut off is left out; other damaged lines are left out with a note.
    """
    rows, damaged = _read_lines(path)
    if damaged:
        _warn(path, damaged)
    return rows


def _read_lines(path: Path) -> tuple[list[dict[str, float]], list[int]]:
    """Returns the rows, and the numbers of damaged lines, from 1, but for a last one cut off."""
    if not path.exists():
        return [], []
    rows, damaged = [], []
    lines = read_text(path).split("\n")
    # Either all lines have a checksum, or none, in files of earlier versions.
    checked = any(f'"{CHECKSUM}": "' in line for line in lines)
    for number, line in enumerate(lines, start=1):
        row = _row(line, checked)
        if row is not None:
            rows.append(row)
        elif line and number < len(lines):
            damaged.append(number)
    return rows, damaged


def _line(row: Mapping[str, float]) -> str:
    text = to_json(row, indent=None)
    return f'{text[:-1]}, "{CHECKSUM}": "{crc32(text.encode()):08x}"}}\n'


def _row(line: str, needs_checksum: bool) -> dict[str, float] | None:
    """Returns the row of a line, None if it is damaged."""
    try:
        row = json.loads(line)
        checksum = row.pop(CHECKSUM, None)
        if not isinstance(row["step"], int):
            return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if checksum is None:
        return None if needs_checksum else row
    if checksum != f"{crc32(to_json(row, indent=None).encode()):08x}":
        return None
    return row


def _warn(path: Path, damaged: list[int]) -> None:
    numbers = ", ".join(map(str, damaged[:5])) + (" ..." if len(damaged) > 5 else "")
    print(f"note: {path}: damaged lines are left out: {numbers}", file=sys.stderr)


def _wandb_id(folder: Path) -> str:
    """Returns the id of a run folder's wandb run, the same after each resumption."""
    path = folder / "wandb" / "run_id"
    if not path.is_file():
        write_text(path, secrets.token_hex(4) + "\n")
    return read_text(path).strip()
