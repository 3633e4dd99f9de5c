from dataclasses import replace

from worldtokens.world_model.evaluation.events.section import event_card, event_section, event_text
from worldtokens.world_model.evaluation.events.table import EventRow

NAN = float("nan")
ROW = EventRow(
    kind="reward", value="all", scene=-1, lead=1, sampling="greedy", windows=40, recall=0.5,
    value_right=0.75, quiet_windows=60, false_alarms=0.02, near_misses=7, near_misses_paid=0.125,
    average_precision=0.66, base_rate=0.4, recall_in_true_frames=NAN,
)  # fmt: skip
ROWS = [
    ROW,
    replace(ROW, lead=8, recall=0.25, average_precision=NAN),
    replace(ROW, sampling="drawn", recall=0.45),
    replace(ROW, value="100", windows=30),
    replace(ROW, value="3000", windows=9),
    replace(ROW, value="100", scene=1, windows=12),
    replace(ROW, kind="lost life", lead=2, recall=NAN, value_right=NAN, false_alarms=NAN),
]


def test_the_table_has_kinds_and_frequent_values():
    lines = event_text(ROWS).splitlines()
    assert [line.split("  ")[0] for line in lines[1:-1]] == [
        "reward", "reward 100", "reward 100 in 1", "lost life",
    ]  # fmt: skip
    #   windows, recall at 1, 2, 4, 8, drawn at 1 and 8, read in true frames, value right
    assert lines[1].split()[1:10] == ["40", "50%", "-", "-", "25%", "45%", "-", "-", "75%"]
    assert lines[1].split()[10:] == ["2.0%", "-", "12%", "-", "66%", "40%"]
    assert lines[4].split()[2:5] == ["40", "-", "-"]
    assert lines[-1].endswith("a model that foresees nothing: 0% recall, 0% false alarms")
    assert event_text([]) == "events: none happen in these episodes"


def test_the_card_has_a_line_per_kind_and_sampling():
    lines = event_card(ROWS)
    assert [(line["event"], line["dreams"]) for line in lines] == [
        ("reward", "greedy"), ("reward", "drawn"), ("lost life", "greedy"),
    ]  # fmt: skip
    assert lines[0]["recall +1"] == 0.5 and lines[0]["recall +8"] == 0.25
    assert lines[0]["windows"] == 40 and lines[0]["false alarms"] == 0.02


def test_the_section_draws_every_kind(setup):
    section = event_section(setup, 50, samples=1)
    assert [panel.title for panel in section.panels] == ["reward", "lost life", "scene"]
    lines = section.panels[2].lines
    assert lines["recall, greedy"][:2] == [0.0, 0.0] and section.name == "events"
