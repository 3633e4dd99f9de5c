"""A part of an evaluation: its rows, and the files that they go to."""

import csv
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worldtokens.common.atomic import replacing, write_text
from worldtokens.world_model.evaluation.curves import Panel, save_panels


@dataclass(frozen=True)
class Section:
    """What one part of an evaluation measured.

    Attributes:
        name: Of the part and of its files.
        title: Of its table.
        rows: Instances of one dataclass.
        table: The most important numbers as text, with the trivial baselines beside them.
        panels: The same as curves.
        card: What the model's card shows of it, by name of the metric.
    """

    name: str
    title: str
    rows: Sequence[Any]
    table: str
    panels: Sequence[Panel]
    card: Mapping[str, Any] = field(default_factory=dict)


def write_section(folder: Path, section: Section, facts: Mapping[str, Any]) -> list[Path]:
    """Writes NAME.csv, NAME.json and NAME.png.

    Args:
        folder: Where they go.
        section: What was measured; without rows nothing is written.
        facts: What the JSON says beside the rows: fingerprints and settings.

    Returns:
        The files.
    """
    if not section.rows:
        return []
    table, tree, picture = (folder / f"{section.name}.{end}" for end in ("csv", "json", "png"))
    rows = [dataclasses.asdict(row) for row in section.rows]
    with replacing(table) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {**facts, "rows": [{name: known(value) for name, value in r.items()} for r in rows]}
    write_text(tree, json.dumps(content, indent=2) + "\n")
    save_panels(picture, section.title, section.panels)
    return [table, tree, picture]


def known(value: Any) -> Any:
    """Returns None for NaN, which JSON has no word for, and everything else as it is."""
    return None if isinstance(value, float) and math.isnan(value) else value


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a table with columns of equal width; the first column is flush left."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def percent(value: float) -> str:
    """Writes a share as a percentage; - where it is not known."""
    return (
        "-"
        if math.isnan(value)
        else f"{100 * value:.0f}%"
        if value >= 0.1
        else f"{100 * value:.1f}%"
    )
