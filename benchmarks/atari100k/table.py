"""The files of benchmarks/games.py: games.csv, games.md and games.png."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from atari100k.rows import NAN, SHORT, Row, picture_path, row_key
from atari100k.stages import HORIZONS
from PIL import Image, ImageDraw

from worldtokens.common.atomic import replacing, write_text

CSV, MARKDOWN, SHEET = "games.csv", "games.md", "games.png"
_TEXT = ("game", "design", "version", "command")
_BY_HORIZON = tuple(
    f"{predictor}_{metric}"
    for predictor in ("dream", "copy", "tokenizer")
    for metric in ("psnr", "recall")
)
TILES = ("true", "reconstruction", "8 steps on", "dreamt")
_SCALE, _MARGIN, _COLUMNS = 2, 16, 3


def read_rows(folder: Path) -> list[Row]:
    """Reads games.csv; a folder without it has no rows.

    Raises:
        ValueError: A column is missing, or a value is no number.
    """
    path = folder / CSV
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        return [_row(line) for line in lines]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: expected the columns that this version writes, got others ({error}); move "
            "the file away"
        ) from None


def merge_rows(known: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Returns all rows in the order of game, design and seed; new ones replace known ones."""
    return sorted({row_key(row): row for row in [*known, *new]}.values(), key=row_key)


def write_tables(folder: Path, rows: Sequence[Row], root: Path) -> None:
    """Writes the three files.

    Args:
        folder: Where they go.
        rows: All rows.
        root: Has the pictures of the rows that were measured here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns())
    writer.writerows([_cell(row, name) for name in _columns()] for row in rows)
    write_text(folder / CSV, text.getvalue())
    write_text(folder / MARKDOWN, "\n\n".join(filter(None, _sections(rows))) + "\n")
    shown = [row for row in rows if row.design == "default" and row.seed == 0]
    pictures = {row.game: picture_path(root, row) for row in shown}
    write_sheet(folder / SHEET, {game: p for game, p in pictures.items() if p.is_file()})


def _columns() -> list[str]:
    names = []
    for entry in fields(Row):
        name = entry.name
        names += [f"{name}_{h}" for h in HORIZONS] if name in _BY_HORIZON else [name]
    return names


def _cell(row: Row, column: str) -> str | int | float:
    name, _, horizon = column.rpartition("_")
    value = getattr(row, name).get(int(horizon), NAN) if name in _BY_HORIZON else (
        getattr(row, column)
    )  # fmt: skip
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.6g}")
    return value


def _row(line: dict[str, str]) -> Row:
    values: dict = {}
    for entry in fields(Row):
        name = entry.name
        if name in _BY_HORIZON:
            values[name] = {h: _number(line[f"{name}_{h}"]) for h in HORIZONS}
        elif name == "seed":
            values[name] = int(line[name])
        else:
            values[name] = line[name] if name in _TEXT else _number(line[name])
    return Row(**values)


def _number(text: str) -> float:
    return float(text) if text else NAN


def _sections(rows: Sequence[Row]) -> list[str]:
    """Returns the Markdown tables: of each design its tokenizers, dreams, events and speed."""
    sections = [*_beside_each_other(rows)]
    for design in dict.fromkeys(row.design for row in rows):
        by_game: dict[str, list[Row]] = {}
        for row in rows:
            if row.design == design:
                by_game.setdefault(row.game, []).append(row)
        first = next(iter(by_game.values()))[0]
        sections.append(
            f"## {design}\n\n{first.tokens:.0f} tokens a frame. With several seeds: the mean, and "
            "half of the difference between the largest and the smallest."
        )
        sections += [_table(columns, by_game) for columns in (_TOKENIZER, _DREAMS, _COSTS)]
        sections.append(_verdict(by_game))
        commands = dict.fromkeys(
            row.command.replace(f"--games {row.game}", "--games GAME").replace(
                f"--seeds {row.seed}", "--seeds SEED"
            )
            for ours in by_game.values()
            for row in ours
        )
        sections += [f"```bash\n{command}\n```" for command in commands]
    return sections


def _beside_each_other(rows: Sequence[Row]) -> Iterator[str]:
    """Yields the tokenizers of all designs in one table, for the games that have several."""
    designs = list(dict.fromkeys(row.design for row in rows))
    cells: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        cells.setdefault(row.game, {}).setdefault(row.design, []).append(row)
    shared = {game: found for game, found in cells.items() if len(found) > 1}
    if not shared:
        return
    yield "## Designs beside each other"
    for title, cell in (
        ("PSNR, dB", _field("psnr", 1)),
        ("foreground recall", _field("recall", 3)),
        ("bits a frame", _field("bits")),
        ("encode, frames/s", _field("encode_rate")),
    ):
        columns = {name: lambda found, n=name, c=cell: c(found.get(n, [])) for name in designs}
        yield f"### {title}"
        yield _table(columns, shared)


def _table(columns: Mapping[str, Callable[[Any], str]], by_game: Mapping[str, Any]) -> str:
    """Writes a line per game, without the columns that are empty in all of them."""
    lines = {game: [cell(rows) for cell in columns.values()] for game, rows in by_game.items()}
    kept = [i for i in range(len(columns)) if any(line[i] for line in lines.values())]
    if not kept:
        return ""
    names = list(columns)
    head = [f"| game | {' | '.join(names[i] for i in kept)} |", "|---|" + "---:|" * len(kept)]
    body = [f"| {game} | {' | '.join(line[i] for i in kept)} |" for game, line in lines.items()]
    return "\n".join([*head, *body])


def _verdict(by_game: dict[str, list[Row]]) -> str:
    """Counts the games that reach what the table should show."""
    recalls = [_mean([row.recall for row in rows]) for rows in by_game.values()]
    beats = [_mean([row.beats_copying for row in rows]) for rows in by_game.values()]
    dreams = (
        " Dreams that beat copying in both metrics at all horizons from "
        f"{SHORT[0]} to {SHORT[-1]}: {sum(b >= len(SHORT) for b in beats)} of {len(beats)} games."
    )
    return (
        f"Foreground recall of at least 0.93: {sum(r >= 0.93 for r in recalls)} of {len(recalls)} "
        f"games; of at least 0.88: {sum(r >= 0.88 for r in recalls)}."
        f"{'' if all(map(math.isnan, beats)) else dreams}"
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else NAN


def _spread(values: Sequence[float], digits: int) -> str:
    """Writes the mean; with several values half of their range behind it."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    text = f"{_mean(known):,.{digits}f}"
    half = (max(known) - min(known)) / 2
    return f"{text} ± {half:,.{digits}f}" if len(known) > 1 else text


def _field(name: str, digits: int = 0) -> Callable[[list[Row]], str]:
    return lambda rows: _spread([getattr(row, name) for row in rows], digits)


def _together(first: str, others: Sequence[str], digits: int) -> Callable[[list[Row]], str]:
    """Writes a metric and, in brackets, what stands beside it."""

    def cell(rows: list[Row]) -> str:
        text = _spread([getattr(row, first) for row in rows], digits)
        beside = [_mean([getattr(row, name) for row in rows]) for name in others]
        shown = ", ".join("-" if math.isnan(b) else f"{b:,.{digits}f}" for b in beside)
        return f"{text} ({shown})" if text else ""

    return cell


def _at(metric: str, horizon: int, digits: int) -> Callable[[list[Row]], str]:
    """Writes the dream's metric at a horizon and, in brackets, copying's and the tokenizer's."""

    def cell(rows: list[Row]) -> str:
        def values(predictor: str) -> list[float]:
            return [getattr(row, f"{predictor}_{metric}").get(horizon, NAN) for row in rows]

        text = _spread(values("dream"), digits)
        beside = (_mean(values(predictor)) for predictor in ("copy", "tokenizer"))
        shown = ", ".join("-" if math.isnan(b) else f"{b:,.{digits}f}" for b in beside)
        return f"{text} ({shown})" if text else ""

    return cell


_TOKENIZER = {
    "PSNR, dB": _field("psnr", 1),
    "SSIM": _field("ssim", 4),
    "foreground recall": _field("recall", 3),
    "worst room": _field("worst_recall", 3),
    "flicker": _field("flicker", 4),
    "perplexity": _field("perplexity"),
    "share of codes used": _field("codes_used", 2),
    "probe F1 (majority, random CNN)": _together(
        "probe_f1", ("probe_f1_majority", "probe_f1_random_cnn"), 2
    ),
    "labels": _field("labels"),
    "codes": _field("vocabulary"),
    "bits a frame": _field("bits"),
}
_DREAMS = {
    **{
        f"PSNR +{h} (copy, tokenizer)": _at("psnr", h, 1) for h in HORIZONS
    },
    **{
        f"recall +{h} (copy, tokenizer)": _at("recall", h, 2) for h in HORIZONS
    },
    f"beats copying, of {len(SHORT)}": _field("beats_copying"),
}  # fmt: skip
_COSTS = {
    "rewards foreseen at +1 (made up)": _together("rewards_foreseen", ("rewards_made_up",), 2),
    "of": _field("reward_windows"),
    "lost lives foreseen at +1": _field("lives_foreseen", 2),
    "of ": _field("life_windows"),
    "encode, frames/s": _field("encode_rate"),
    "decode, frames/s": _field("decode_rate"),
    "dream, frames/s": _field("dream_rate"),
    "steps of the tokenizer": _field("train_steps"),
    "core minutes, all stages": _field("core_minutes", 1),
}


def write_sheet(path: Path, pictures: dict[str, Path]) -> None:
    """Writes a PNG with the four tiles of each game, three games a line."""
    if not pictures:
        return
    images = {game: Image.open(file).convert("RGB") for game, file in pictures.items()}
    width = max(image.width for image in images.values()) * _SCALE
    height = max(image.height for image in images.values()) * _SCALE + _MARGIN
    lines = -(-len(images) // _COLUMNS)
    sheet = Image.new("RGB", ((width + _MARGIN) * _COLUMNS, (height + 4) * lines + _MARGIN))
    draw = ImageDraw.Draw(sheet)
    draw.text((4, 2), "each game: " + " | ".join(TILES), fill=(255, 255, 255))
    for number, (game, image) in enumerate(images.items()):
        left = number % _COLUMNS * (width + _MARGIN)
        top = number // _COLUMNS * (height + 4) + _MARGIN
        draw.text((left + 4, top + 2), game, fill=(255, 255, 255))
        size = (image.width * _SCALE, image.height * _SCALE)
        sheet.paste(image.resize(size, Image.Resampling.NEAREST), (left, top + _MARGIN))
    with replacing(path) as partial:
        sheet.save(partial, format="PNG")
