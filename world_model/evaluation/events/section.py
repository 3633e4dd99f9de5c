"""The events table as text, as curves and for the model's card."""

import math
from collections.abc import Sequence

from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.events.events import KINDS, LEADS
from worldtokens.world_model.evaluation.events.table import EventRow, measure_events
from worldtokens.world_model.evaluation.sections import Section, percent, text_table
from worldtokens.world_model.evaluation.setup import DRAWN, GREEDY, SAMPLINGS, Setup

# Windows that a value, or a value in one scene, needs for a line of its own.
SHOWN_WINDOWS = 10
MOST_LINES = 12
Key = tuple[str, str, int]


def event_section(setup: Setup, count: int, samples: int) -> Section:
    """Measures the events table; see `measure_events`."""
    rows = measure_events(setup, count, samples)
    return Section(
        name="events",
        title="events that dreams foresee, by steps ahead",
        rows=rows,
        table=event_text(rows),
        panels=_panels(rows),
        card={"events": event_card(rows)} if rows else {},
    )


def event_text(rows: Sequence[EventRow]) -> str:
    """Makes a table of kinds and of values with enough windows."""
    if not rows:
        return "events: none happen in these episodes"
    table = {((row.kind, row.value, row.scene), row.sampling, row.lead): row for row in rows}
    keys = list(dict.fromkeys(key for key, _, _ in table))
    lines = [_line(key, table) for key in _shown(keys, table)]
    header = [
        "event", "windows", *(f"+{lead}" for lead in LEADS), "drawn +1", f"+{LEADS[-1]}",
        "in true frames", "value right", "false alarms", "drawn", "near misses paid", "drawn",
        "av. precision", "base rate",
    ]  # fmt: skip
    return (
        f"{text_table(header, lines)}\n"
        "recall by steps ahead; a model that foresees nothing: 0% recall, 0% false alarms"
    )


def _shown(keys: Sequence[Key], table: dict) -> list[Key]:
    """Chooses all kinds, and the most frequent values and places of rewards."""
    frequent = [
        key
        for key in keys
        if key[1] != "all" and _first(key, table).windows >= SHOWN_WINDOWS
    ]  # fmt: skip
    frequent.sort(key=lambda key: -_first(key, table).windows)
    return [key for key in keys if key[1] == "all" or key in frequent[:MOST_LINES]]


def _first(key: Key, table: dict) -> EventRow:
    """Returns the greedy row with the shortest lead that there is."""
    return next(row for lead in LEADS if (row := table.get((key, GREEDY, lead))))


def _line(key: Key, table: dict) -> list[str]:
    def cell(sampling: str, lead: int, field: str) -> str:
        row = table.get((key, sampling, lead))
        return percent(getattr(row, field)) if row else "-"

    kind, value, scene = key
    name = kind + ("" if value == "all" else f" {value}") + ("" if scene < 0 else f" in {scene}")
    first, last = LEADS[0], LEADS[-1]
    row = _first(key, table)
    return [
        name,
        str(row.windows),
        *(cell(GREEDY, lead, "recall") for lead in LEADS),
        cell(DRAWN, first, "recall"),
        cell(DRAWN, last, "recall"),
        percent(row.recall_in_true_frames),
        percent(row.value_right),
        cell(GREEDY, last, "false_alarms"),
        cell(DRAWN, last, "false_alarms"),
        cell(GREEDY, last, "near_misses_paid"),
        cell(DRAWN, last, "near_misses_paid"),
        percent(row.average_precision),
        percent(row.base_rate),
    ]


def _panels(rows: Sequence[EventRow]) -> list[Panel]:
    panels = []
    for kind in KINDS:
        ours = [row for row in rows if (row.kind, row.value) == (kind, "all")]
        lines = {}
        for sampling in SAMPLINGS:
            by_lead = {row.lead: row for row in ours if row.sampling == sampling}
            for field, name in (("recall", "recall"), ("false_alarms", "false alarms")):
                lines[f"{name}, {sampling}"] = [
                    getattr(by_lead[lead], field) if lead in by_lead else math.nan for lead in LEADS
                ]
        if ours:
            panels.append(Panel(kind, "steps ahead", LEADS, lines))
    return panels


def event_card(rows: Sequence[EventRow]) -> list[dict[str, str | float]]:
    """Returns a line per kind and sampling for the model's card."""
    lines = []
    for kind in KINDS:
        for sampling in SAMPLINGS:
            ours = [
                row
                for row in rows
                if (row.kind, row.value, row.sampling) == (kind, "all", sampling)
            ]
            by_lead = {row.lead: row for row in ours}
            if not by_lead:
                continue
            line: dict[str, str | float] = {"event": kind, "dreams": sampling}
            line["windows"] = max(row.windows for row in ours)
            for lead in LEADS:
                line[f"recall +{lead}"] = by_lead[lead].recall if lead in by_lead else math.nan
            last = ours[-1]
            line["value right"] = ours[0].value_right
            line["false alarms"] = last.false_alarms
            line["near misses paid"] = last.near_misses_paid
            lines.append(line)
    return lines
