import pytest

from worldtokens.training.command_line import compose
from worldtokens.world_model.training.config import TrainConfig


def config(*options: str) -> TrainConfig:
    return compose(TrainConfig, "world_model", ["env=FakeGame", *options])


def test_the_defaults_are_those_of_the_yaml():
    default = config()
    assert (default.windows.event_share, default.windows.high_loss_share) == (0.5, 0.0)
    assert default.context.scheduled_sampling_prob == 0.0 and default.calibrate


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("segment=1", "segment: expected a whole number of at least 2, got 1"),
        ("unchanged_sample_prob=0", r"unchanged_sample_prob: expected a number in \(0, 1\], got 0"),
        ("event_share=2", r"event_share: expected a number in \[0, 1\], got 2"),
        ("outcome_weight=0", "outcome_weight: expected a number above 0, got 0"),
        ("scheduled_sampling_prob=1.5", "scheduled_sampling_prob: expected a number in"),
    ],
)
def test_wrong_numbers_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        config(option)


def test_absolute_positions_limit_the_segment():
    options = ["world_model_preset=iris", "model.context=4", "segment=5"]
    with pytest.raises(ValueError, match="segment: expected at most model.context=4 frames"):
        config(*options)
