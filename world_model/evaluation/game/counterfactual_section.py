"""Counterfactuals as text, as curves and for the model's card."""

from collections.abc import Sequence

from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.game.counterfactuals import (
    ALL,
    HORIZONS,
    CounterfactualRow,
    measure_counterfactuals,
)
from worldtokens.world_model.evaluation.game.saved_states import SavedStates
from worldtokens.world_model.evaluation.sections import Section, percent, text_table
from worldtokens.world_model.evaluation.setup import Setup


def counterfactual_section(setup: Setup, states: SavedStates, count: int) -> Section:
    """Measures counterfactuals; see `measure_counterfactuals`."""
    rows = measure_counterfactuals(setup, states, count)
    overall = [row for row in rows if row.script == ALL]
    return Section(
        name="counterfactuals",
        title="greedy dreams under actions that nobody recorded, beside the game from saved states",
        rows=rows,
        table=_text(rows) if rows else "left out: the game ends soon from all states",
        panels=_panels(rows, overall),
        card={
            "counterfactuals": [
                {
                    "horizon": row.horizon,
                    "PSNR, dream": row.psnr,
                    "PSNR, copy": row.copy_psnr,
                    "own script nearest": row.nearest,
                    "chance": row.chance,
                }
                for row in overall
            ]
        }
        if overall
        else {},
    )


def _text(rows: Sequence[CounterfactualRow]) -> str:
    header = ["script", "states"]
    for horizon in HORIZONS:
        header += [f"dB +{horizon}", "copy", "recall", "copy", "nearest", "copy", "chance"]
    lines = []
    for script in dict.fromkeys(row.script for row in rows):
        ours = [row for row in rows if row.script == script]
        line = [script, str(ours[0].states)]
        for row in ours:
            line += [f"{row.psnr:.1f}", f"{row.copy_psnr:.1f}"]
            line += map(percent, (row.foreground_recall, row.copy_foreground_recall))
            line += map(percent, (row.nearest, row.copy_nearest, row.chance))
        lines.append(line)
    return text_table(header, lines)


def _panels(rows: Sequence[CounterfactualRow], overall: Sequence[CounterfactualRow]) -> list[Panel]:
    scripts = list(dict.fromkeys(row.script for row in rows))
    last = [row for row in rows if row.horizon == HORIZONS[-1]]
    return [
        Panel(
            "pooled PSNR, dB",
            "steps",
            HORIZONS,
            {
                "dream": [row.psnr for row in overall],
                "copy": [row.copy_psnr for row in overall],
                "tokenizer": [row.tokenizer_psnr for row in overall],
            },
        ),
        Panel(
            "own script's future is nearest",
            "steps",
            HORIZONS,
            {
                "dream": [row.nearest for row in overall],
                "copy": [row.copy_nearest for row in overall],
                "chance": [row.chance for row in overall],
            },
        ),
        Panel(
            f"nearest after {HORIZONS[-1]} steps",
            "script",
            [script.split(",")[0].strip("(") for script in scripts],
            {
                "dream": [row.nearest for row in last],
                "chance": [row.chance for row in last],
            },
            bars=True,
        ),
    ]
