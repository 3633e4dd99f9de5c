"""Payments as text, as bars and for the model's card."""

import math
from collections.abc import Sequence
from typing import Any

from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.game.payments import (
    ANYWHERE,
    NEAR,
    PaymentRow,
    measure_payments,
)
from worldtokens.world_model.evaluation.game.saved_states import SavedStates
from worldtokens.world_model.evaluation.sections import Section, text_table
from worldtokens.world_model.evaluation.setup import Setup

MOST_VALUES = 8


def payment_section(
    setup: Setup, states: SavedStates, policy: dict[str, Any], count: int, steps: int
) -> Section:
    """Measures payments; see `measure_payments`."""
    rows = measure_payments(setup, states, policy, count, steps)
    overall = [row for row in rows if row.room == -1]
    who = policy.get("name", "a policy")
    return Section(
        name="payments",
        title=f"{steps} steps of {who} from equal starts, in the game and in the drawn dream",
        rows=rows,
        table=_text(setup, overall) if rows else "left out: the game ends soon from all states",
        panels=[
            Panel(
                f"starts {name}",
                "outcome",
                [row.outcome for row in overall if row.starts == name],
                {
                    "game": [row.game for row in overall if row.starts == name],
                    "dream": [row.dream for row in overall if row.starts == name],
                    "both": [row.both for row in overall if row.starts == name],
                },
                bars=True,
            )
            for name in (NEAR, ANYWHERE)
            if any(row.starts == name for row in overall)
        ],
        card={"payments": [_card(row) for row in overall]} if overall else {},
    )


def _card(row: PaymentRow) -> dict[str, str | float]:
    return {
        "starts": row.starts,
        "outcome": row.outcome,
        "of": row.count,
        "in the game": row.game,
        "in the dream": row.dream,
        "in both": row.both,
        "dream / game": row.ratio,
    }


def _text(setup: Setup, rows: Sequence[PaymentRow]) -> str:
    header = [
        "starts", "outcome", "of", "game", "dream", "both", "both by chance", "dream / game",
        "95% interval",
    ]  # fmt: skip
    lines = []
    for row in rows:
        interval = "-" if math.isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}"
        ratio = "-" if math.isnan(row.ratio) else f"{row.ratio:.2f}"
        counts = [str(number) for number in (row.count, row.game, row.dream, row.both)]
        lines.append(
            [row.starts, row.outcome, *counts, f"{row.both_by_chance:.1f}", ratio, interval]
        )
    text = text_table(header, lines)
    if not any(row.starts == NEAR for row in rows):
        text += "\nno start near rewards was found"
    if not setup.model.config.predicts_lives:
        text += "\nlost lives: this model does not predict them"
    return text
