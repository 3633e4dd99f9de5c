import csv
import json
from dataclasses import dataclass

from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.sections import (
    Section,
    percent,
    text_table,
    write_section,
)

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    kind: str
    share: float


PANEL = Panel("share", "kind", ["a", "b"], {"dream": [0.5, NAN]}, bars=True)


def test_a_section_goes_to_three_files(tmp_path):
    section = Section("things", "title", [Row("a", 0.5), Row("b", NAN)], "table", [PANEL])
    paths = write_section(tmp_path, section, {"seed": 7})
    assert [path.name for path in paths] == ["things.csv", "things.json", "things.png"]
    with open(paths[0]) as file:
        assert list(csv.DictReader(file))[0] == {"kind": "a", "share": "0.5"}
    assert json.loads(paths[1].read_text()) == {
        "seed": 7,
        "rows": [{"kind": "a", "share": 0.5}, {"kind": "b", "share": None}],
    }
    assert paths[2].stat().st_size > 5_000


def test_a_section_without_rows_writes_nothing(tmp_path):
    assert write_section(tmp_path, Section("things", "title", [], "left out", []), {}) == []
    assert list(tmp_path.iterdir()) == []


def test_text_is_laid_out_in_columns():
    assert text_table(["name", "n"], [["a", "100"], ["longer", "2"]]).splitlines() == [
        "name      n",
        "a       100",
        "longer    2",
    ]
    assert [percent(value) for value in (1.0, 0.256, 0.042, 0.0, NAN)] == [
        "100%", "26%", "4.2%", "0.0%", "-",
    ]  # fmt: skip
