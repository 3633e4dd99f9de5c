import dream_environment_speed
import numpy as np
import pytest
import torch
from dream_environment_speed import Dreams, RandomActions, Row, measure_in_turn, shares

from worldtokens import EpisodeDataset, Tokenizer, WorldModel, WorldModelConfig


@pytest.fixture
def folder(dataset, tokenizer_folder, tmp_path):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint,
        game="FakeGame",
        vocab_size=16,
        grid=(4, 4),
        num_actions=EpisodeDataset(dataset).num_actions,
        context=4,
        layers=1,
        heads=2,
        width=32,
    )
    tokenizer.save_pretrained(tmp_path / "models" / "tokenizer")
    WorldModel(config).save_pretrained(tmp_path / "models" / "world_model")
    return tmp_path / "models"


def test_actions_are_held_for_five_steps_on_average():
    actions = RandomActions(np.random.default_rng(0), num_actions=18, dreams=1000)
    before = actions()
    after = actions()
    assert set(after) == set(range(18))
    # One in five is drawn anew, one in eighteen of those the same again.
    assert (before != after).mean() == pytest.approx(0.2 * 17 / 18, abs=0.03)


def test_a_measurement_counts_its_own_steps_only(folder, dataset):
    dreams = Dreams(str(folder), str(dataset), 3, 20, "cpu")
    first, second = dreams.measure(4), dreams.measure(4)
    assert (first.model, first.dreams) == (str(folder), 3)
    assert 0.0 < first.changing < 1.0 and first.rate > 0
    assert len(dreams._changes) == 4 and second.rate > 0


def test_models_are_measured_in_turn_and_the_median_counts():
    order = []

    class Timed:
        def __init__(self, name, rates):
            self.name, self.rates = name, iter(rates)

        def measure(self, steps):
            order.append(self.name)
            return Row(self.name, 8, next(self.rates), 0.1)

    rows = measure_in_turn([Timed("a", [1.0, 9.0, 2.0]), Timed("b", [4.0, 5.0, 3.0])], 4, 3)
    assert order == ["a", "b"] * 3
    assert [(row.model, row.rate) for row in rows] == [("a", 2.0), ("b", 4.0)]


def test_shares_of_the_operations_are_those_of_all_time(folder, dataset):
    dreams = Dreams(str(folder), str(dataset), 2, 20, "cpu")
    every = list(shares(dreams, steps=2, most=1000))
    assert sum(share for _, share, _ in every) == pytest.approx(1.0)
    assert [share for _, share, _ in every] == sorted((s for _, s, _ in every), reverse=True)
    assert {"aten::addmm", "aten::mm"} & {name for name, _, _ in every}


def test_main_prints_a_row_per_model_and_number_of_dreams(folder, dataset, run_script, capsys):
    run_script(
        dream_environment_speed.main, "--models", folder, folder, "--starts", dataset,
        "--dreams", 1, 2, "--steps", 2, "--repeats", 1, "--device", "cpu", "--profile",
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ")[:2] for line in lines if line.startswith(f"| {folder}")]
    assert rows == [[f"| {folder}", count] for count in ("1", "1", "2", "2")]
    assert lines.count("| operation | share of the time | calls per step |") == 4


def test_bad_numbers_are_refused(run_script):
    with pytest.raises(ValueError, match="--dreams: expected a whole number of at least 1, got 0"):
        run_script(dream_environment_speed.main, "--dreams", 0)
    with pytest.raises(ValueError, match="--steps: expected a whole number of at least 1, got 0"):
        run_script(dream_environment_speed.main, "--steps", 0)
