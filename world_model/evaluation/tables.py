"""Figures of dreams as text, CSV and JSON."""

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from worldtokens.common.atomic import replacing
from worldtokens.world_model.evaluation.metrics import Fidelity

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
    """All rooms together: a line per horizon, per figure dream | copy | tokenizer.

    Where several dreams were drawn of each start, `dream` is their mean, and the best of each
    start's dreams stands between it and `copy`.
    """
    best = ("best",) if any(row.guess == "best" for row in rows) else ()
    foreseen, all_guesses = ("dream", *best, "copy"), ("dream", *best, "copy", "tokenizer")
    columns = (
        ("psnr", "pooled PSNR, dB", all_guesses, ".2f"),
        ("foreground_recall", "foreground recall", all_guesses, ".3f"),
        ("token_accuracy", "token accuracy", foreseen, ".3f"),
        ("reward_accuracy", "reward acc.", foreseen, ".3f"),
        ("end_accuracy", "end acc.", foreseen, ".3f"),
        ("player_seen", "player seen", all_guesses, ".2f"),
        ("player_error", "player x error", all_guesses, ".1f"),
    )
    title, names = f"{'':>8}{'':>8} ", f"{'horizon':>8}{'starts':>8} "
    for _, label, guesses, _ in columns:
        title += f"{label:^{7 * len(guesses)}} "
        names += "".join(f"{'token.' if g == 'tokenizer' else g:>7}" for g in guesses) + " "
    lines = [title.rstrip(), names.rstrip()]
    for horizon in sorted({row.horizon for row in rows}):
        of = {row.guess: row for row in rows if row.horizon == horizon and row.room == -1}
        line = f"{horizon:>8}{of['copy'].rollouts:>8} "
        for field, _, guesses, form in columns:
            line += "".join(f"{getattr(of[guess], field):>7{form}}" for guess in guesses) + " "
        lines.append(line.rstrip())
    return "\n".join(lines)


def copying_beaten(rows: Sequence[Fidelity], horizons: int = 20) -> str:
    """At how many of the first horizons dreams are better than the last frame repeated."""
    lines = []
    for guess in ("dream", "best"):
        parts = []
        for field, label in (("psnr", "pooled PSNR"), ("foreground_recall", "foreground recall")):
            of = {(row.horizon, row.guess): row for row in rows if row.room == -1}
            asked = [h for h, name in of if name == guess and h <= horizons]
            won = [h for h in asked if getattr(of[h, guess], field) > getattr(of[h, "copy"], field)]
            parts.append(f"{len(won)} of {len(asked)} in {label}")
        if asked:
            subject = "dreams beat" if guess == "dream" else "the best of each start's beat"
            lines.append(f"{subject} copying at horizons 1 to {max(asked)}: {', '.join(parts)}")
    return "\n".join(lines)


def room_table(rows: Sequence[Fidelity], wanted: Sequence[int] = (1, 8, 20)) -> str:
    """Some horizons, room by room; "" where the starts lie in one room. The CSV has them all."""
    rooms = sorted({row.room for row in rows} - {-1})
    if not rooms:
        return ""
    there = {row.horizon for row in rows}
    horizons = sorted({min(there, key=lambda h, w=w: abs(h - w)) for w in wanted})
    lines = [
        "by room of the start: pooled PSNR dream, copy | foreground recall dream, copy",
        f"{'room':>8}" + "".join(f"{f'horizon {horizon}':^38}" for horizon in horizons).rstrip(),
    ]
    for room in rooms:
        line = f"{room:>8}"
        for horizon in horizons:
            of = {row.guess: row for row in rows if (row.horizon, row.room) == (horizon, room)}
            if not of:
                line += " " * 38
                continue
            dream, copy = of["dream"], of["copy"]
            line += f"{f'({copy.rollouts})':>8}{dream.psnr:>7.2f}{copy.psnr:>7.2f}"
            line += f"{dream.foreground_recall:>9.3f}{copy.foreground_recall:>7.3f}"
        lines.append(line.rstrip())
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
