import dataclasses

from worldtokens.training.command_line import compose
from worldtokens.world_model.evaluation.config import PARTS, EvaluateConfig
from worldtokens.world_model.evaluation.parts import measure_parts

OFF = [f"{part}=0" for part in PARTS]


def config(*options: str) -> EvaluateConfig:
    return compose(EvaluateConfig, "world_model_evaluate", ["env=FakeGame", *OFF, *options])


def test_each_part_has_its_size(setup):
    assert list(measure_parts(config(), setup)) == []
    small = ["events=4", "lost_lives=4", "strange_tokens=2", "counterfactuals=2", "payments=2"]
    more = ["payment_steps=5", "long_dreams=1", "long_dream_steps=10"]
    sections = list(measure_parts(config(*small, *more), setup))
    assert [section.name for section in sections] == [
        "events", "event_rates", "lost_lives", "strange_tokens", "counterfactuals",
        "payments", "long_dreams",
    ]  # fmt: skip
    assert all(section.rows and section.panels for section in sections)


def test_data_without_saved_states_leave_out_what_plays_the_game(setup, tmp_path):
    elsewhere = dataclasses.replace(setup)
    elsewhere.heldout.path = tmp_path
    sections = list(measure_parts(config("counterfactuals=2", "payments=2"), elsewhere))
    assert [section.name for section in sections] == ["counterfactuals", "payments"]
    for section in sections:
        assert section.rows == [] and "has no archive of saved states" in section.table
