"""How many events a model expects, and how many happen, in held-out steps as they come."""

from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.sections import Section, text_table
from worldtokens.world_model.evaluation.setup import Setup
from worldtokens.world_model.training.calibration import EventRate, measure_rates


def rate_section(setup: Setup) -> Section:
    """Measures how often events are expected one step ahead of true frames, beside the truth.

    A model that knows only how frequent events are has a ratio near 1, too: this says whether a
    dream pays and kills as often as the game, not whether it does so at the right time.

    Args:
        setup: Has the model and the held-out episodes.
    """
    rows = measure_rates(setup.model, setup.tokens)
    lines = [
        [row.kind, f"{row.steps:,}", str(row.happened), f"{row.expected:.1f}", _ratio(row)]
        for row in rows
    ]
    bars = {
        "happened": [float(row.happened) for row in rows],
        "expected": [row.expected for row in rows],
    }
    return Section(
        name="event_rates",
        title="events in held-out steps, and the sum of their predicted probabilities",
        rows=rows,
        table=text_table(["event", "steps", "happened", "expected", "ratio"], lines),
        panels=[Panel("events", "", [row.kind for row in rows], bars, bars=True)],
        card={
            "event_rates": [
                {"event": row.kind, "happened": row.happened, "expected": row.expected}
                for row in rows
            ]
        },
    )


def _ratio(row: EventRate) -> str:
    return f"{row.expected / row.happened:.2f}" if row.happened else "-"
