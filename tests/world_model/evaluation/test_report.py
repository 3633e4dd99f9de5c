import csv
import dataclasses
import json

import pytest

from worldtokens.world_model.evaluation.metrics import Fidelity
from worldtokens.world_model.evaluation.report import (
    FidelityReport,
    read_comparable,
    read_report,
    summarize_for_card,
    with_current_names,
    write_report,
)

ROW = Fidelity(8, "dream", -1, 5, 20.0, 0.5, 0.9, 0.25, 3.0)
REPORT = FidelityReport(
    world_model="abc", tokenizer="def", dataset="123",
    settings={"starts": 4, "context": 4, "seed": 0},
    metrics={"nats_per_frame": 3.5, "sideways_action_following": 0.75},
    fidelity=[ROW, dataclasses.replace(ROW, predictor="copy", psnr=18.0)],
)  # fmt: skip


def test_a_report_is_read_as_it_was_written(tmp_path):
    write_report(tmp_path, REPORT)
    assert read_report(tmp_path) == REPORT
    with open(tmp_path / "evaluation" / "fidelity.csv") as file:
        lines = list(csv.DictReader(file))
    assert [(line["predictor"], line["psnr"]) for line in lines] == [
        ("dream", "20.0"), ("copy", "18.0"),
    ]  # fmt: skip
    tree = json.loads((tmp_path / "evaluation" / "fidelity.json").read_text())
    assert list(tree) == [
        "world_model", "tokenizer", "dataset", "settings", "metrics", "fidelity",
    ]  # fmt: skip


def test_a_report_of_an_earlier_version_is_read(tmp_path):
    row = dataclasses.asdict(ROW)
    row = {"guess" if name == "predictor" else name: value for name, value in row.items()}
    row |= {"reward_accuracy": 1.0, "end_accuracy": 1.0}
    old = {
        "world_model": "abc", "tokenizer": "def", "dataset": "123",
        "settings": {"starts": 4, "context": 4, "seed": 0, "tokens_per_second": 1},
        "figures": {
            "nats_per_frame": 3.5, "reward_accuracy": 1.0, "end_accuracy": 1.0,
            "sideways_runs": 9.0, "sideways_right_way": 0.8,
            "sideways_followed": 0.75, "sideways_followed_in_true_frames": 0.9,
        },
        "fidelity": [row],
    }  # fmt: skip
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "fidelity.json").write_text(json.dumps(old))
    report = read_report(tmp_path)
    assert report.fidelity == [ROW]
    assert report.metrics == {
        "nats_per_frame": 3.5, "sideways_runs": 9.0, "sideways_direction_correct": 0.8,
        "sideways_action_following": 0.75, "sideways_action_following_in_true_frames": 0.9,
    }  # fmt: skip
    assert read_comparable(tmp_path, REPORT.settings, "123") == [ROW]


def test_runs_are_compared_if_they_were_evaluated_alike(tmp_path):
    folder = tmp_path / "other"
    with pytest.raises(ValueError, match="compare: expected runs that were evaluated, got other;"):
        read_comparable(folder, REPORT.settings, "123")
    write_report(folder, REPORT)
    assert read_comparable(folder, REPORT.settings, "123") == REPORT.fidelity
    with pytest.raises(ValueError, match="with starts=5, as this one, got other with starts=4"):
        read_comparable(folder, {**REPORT.settings, "starts": 5}, "123")
    with pytest.raises(ValueError, match="on this dataset, got other on another"):
        read_comparable(folder, REPORT.settings, "456")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"metrics": {}, "fidelity": [{"horizon": 1}]}'])
def test_a_damaged_report_is_named(tmp_path, text):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "fidelity.json").write_text(text)
    with pytest.raises(ValueError, match="compare: expected the report .* got the damaged"):
        read_report(tmp_path)


def test_the_card_shows_all_rooms_together():
    rows = [*REPORT.fidelity, dataclasses.replace(ROW, room=3, psnr=1.0)]
    assert summarize_for_card(rows) == [
        {
            "horizon": 8, "PSNR, dream": 20.0, "PSNR, copy": 18.0, "recall, dream": 0.5,
            "recall, copy": 0.5,
        }
    ]  # fmt: skip


def test_metrics_of_every_version_have_one_name():
    old = {
        "followed_climbing": 1, "followed_climbing_by_true_frames": 2, "climbing_runs": 3,
        "nats_per_frame": 4, "jumping_right_way": 5,
    }  # fmt: skip
    current = {
        "climbing_action_following": 1, "climbing_action_following_in_true_frames": 2,
        "climbing_runs": 3, "nats_per_frame": 4, "jumping_direction_correct": 5,
    }  # fmt: skip
    assert with_current_names(old) == with_current_names(current) == current
