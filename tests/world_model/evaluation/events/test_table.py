import numpy as np
import pytest

from worldtokens.world_model.evaluation.events import table
from worldtokens.world_model.evaluation.events.dreams import Happenings, true_happenings
from worldtokens.world_model.evaluation.events.table import measure_events, share, with_samples


def test_an_untrained_model_is_as_good_as_one_that_never_foresees_anything(setup):
    rows = measure_events(setup, 50, samples=1)
    greedy = [row for row in rows if row.sampling == "greedy"]
    assert {(row.kind, row.value, row.scene) for row in greedy} == {
        ("reward", "all", -1), ("reward", "100", -1), ("lost life", "all", -1),
        ("scene", "all", -1),
    }  # fmt: skip
    scenes = [row for row in greedy if row.kind == "scene"]
    assert {row.recall for row in scenes} == {0.0} == {row.false_alarms for row in scenes}
    assert {row.recall_in_true_frames for row in scenes} == {1.0}
    # Step 5 has six frames before it: with four known ones at most a lead of two.
    assert [row.lead for row in greedy if (row.kind, row.value) == ("reward", "100")] == [1, 2]
    (one, *_) = (row for row in greedy if row.kind == "reward" and row.lead == 1)
    assert one.windows == 1 and one.near_misses == 1 and one.quiet_windows == 21
    assert one.base_rate == pytest.approx(1 / 22)


def test_a_dream_of_the_truth_foresees_everything(setup, monkeypatch):
    def dream(setup, starts, horizon, sampling, samples):
        true = true_happenings(setup, starts, horizon)
        repeated = {name: value.repeat(samples, axis=0) for name, value in vars(true).items()}
        return Happenings(**repeated)

    monkeypatch.setattr(table, "dream", dream)
    rows = measure_events(setup, 50, samples=3)
    assert {row.sampling for row in rows} == {"greedy", "drawn"}
    assert {row.recall for row in rows} == {1.0} and {row.false_alarms for row in rows} == {0.0}
    paying = [row for row in rows if row.kind == "reward"]
    assert {row.value_right for row in paying} == {1.0}
    assert {row.near_misses_paid for row in paying} == {0.0}
    assert all(np.isnan(row.value_right) for row in rows if row.kind == "lost life")


def test_a_dream_that_always_pays_pays_near_misses_too(setup, monkeypatch):
    def dream(setup, starts, horizon, sampling, samples):
        true = true_happenings(setup, starts, horizon)
        return Happenings(true.tokens, np.full_like(true.rewards, 100), true.lives_lost, true.ends)

    monkeypatch.setattr(table, "dream", dream)
    rows = [row for row in measure_events(setup, 50, samples=1) if row.kind == "reward"]
    assert {row.recall for row in rows} == {1.0} == {row.false_alarms for row in rows}
    assert {row.near_misses_paid for row in rows} == {1.0}


def test_lost_lives_that_are_neither_predicted_nor_visible_are_unknown(new_setup):
    setup = new_setup(predicts_lives=False)
    setup.__dict__["lives_reader"] = None
    rows = [row for row in measure_events(setup, 50, samples=1) if row.kind == "lost life"]
    assert rows and all(np.isnan(row.recall) and np.isnan(row.false_alarms) for row in rows)


def test_dreams_of_windows_and_shares():
    assert with_samples(np.array([0, 2]), 3).tolist() == [0, 1, 2, 6, 7, 8]
    assert share(np.array([1.0, float("nan"), 0.0])) == 0.5
    assert share(np.array([True, False, False, False])) == 0.25
    assert np.isnan(share(np.zeros(0, bool)))
