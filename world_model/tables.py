"""Figures of dreams as text, CSV and JSON."""

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.atomic import replacing
from world_model.metrics import Fidelity

CSV = "fidelity.csv"
JSON = "fidelity.json"


def write_csv(path: Path, rows: Sequence[Fidelity]) -> None:
    """Writes one line per horizon, guess and room."""
    with replacing(path) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Fidelity)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


def read_fidelity(folder: Path) -> tuple[dict, list[Fidelity]]:
    """What an evaluation left in a run folder: everything, and the rows of its table.

    Raises:
        ValueError: There is no evaluation, or a damaged one.
    """
    path = folder / "evaluation" / JSON
    try:
        about = json.loads(path.read_text())
        return about, [Fidelity(**row) for row in about["fidelity"]]
    except FileNotFoundError:
        raise ValueError(
            f"compare: {folder} was not evaluated yet; run python world_model/evaluate.py with "
            f"run={folder.name} first"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"compare: {path} cannot be read; evaluate that run again") from error


def overall_table(rows: Sequence[Fidelity]) -> str:
    """All rooms together: a line per horizon, per figure dream | copy | tokenizer."""
    lines = [
        f"{'':>8}{'':>9}  {'pooled PSNR, dB':^21}{'foreground recall':^21}{'token accuracy':^14}"
        f"{'reward acc.':^14}{'end acc.':^14}{'player x error':^21}",
        f"{'horizon':>8}{'starts':>9}  "
        + f"{'dream':>7}{'copy':>7}{'token.':>7}" * 2
        + f"{'dream':>7}{'copy':>7}" * 3
        + f"{'dream':>7}{'copy':>7}{'token.':>7}",
    ]
    for horizon in sorted({row.horizon for row in rows}):
        of = {row.guess: row for row in rows if row.horizon == horizon and row.room == -1}
        dream, copy, ceiling = of["dream"], of["copy"], of["tokenizer"]
        line = f"{horizon:>8}{dream.rollouts:>9}  "
        line += "".join(f"{row.psnr:>7.2f}" for row in (dream, copy, ceiling))
        line += "".join(f"{row.foreground_recall:>7.3f}" for row in (dream, copy, ceiling))
        for name in ("token_accuracy", "reward_accuracy", "end_accuracy"):
            line += f"{getattr(dream, name):>7.3f}{getattr(copy, name):>7.3f}"
        line += "".join(f"{row.player_error:>7.1f}" for row in (dream, copy, ceiling))
        lines.append(line)
    return "\n".join(lines)


def room_table(rows: Sequence[Fidelity], wanted: int = 8) -> str:
    """One horizon, room by room; "" where the starts lie in one room."""
    rooms = sorted({row.room for row in rows} - {-1})
    if not rooms:
        return ""
    horizon = min({row.horizon for row in rows}, key=lambda h: abs(h - wanted))
    lines = [
        f"by room of the start, horizon {horizon}: pooled PSNR and foreground recall, dream | copy"
    ]
    for room in rooms:
        of = {row.guess: row for row in rows if (row.horizon, row.room) == (horizon, room)}
        if not of:
            continue
        dream, copy = of["dream"], of["copy"]
        lines.append(
            f"{room:>8}{dream.rollouts:>9}  {dream.psnr:>7.2f}{copy.psnr:>7.2f}"
            f"{dream.foreground_recall:>9.3f}{copy.foreground_recall:>7.3f}"
        )
    return "\n".join(lines)


def comparison_table(runs: Mapping[str, Sequence[Fidelity]]) -> str:
    """Dreams of several runs side by side: pooled PSNR, then foreground recall, by horizon."""
    width = max(12, *(len(name) + 2 for name in runs))
    shared = set.intersection(*({row.horizon for row in rows} for rows in runs.values()))
    lines = ["horizon  " + "".join(f"{name:>{width}}" for name in runs) + "   (dB | recall)"]
    for horizon in sorted(shared):
        cells = []
        for rows in runs.values():
            (row,) = (r for r in rows if (r.horizon, r.room, r.guess) == (horizon, -1, "dream"))
            cells.append(f"{row.psnr:.2f} {row.foreground_recall:.3f}".rjust(width))
        lines.append(f"{horizon:>7}  " + "".join(cells))
    return "\n".join(lines)
