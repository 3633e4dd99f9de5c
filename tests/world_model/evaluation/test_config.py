import pytest

from worldtokens.training.command_line import compose
from worldtokens.world_model.evaluation.config import EvaluateConfig


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("events=-1", "events: expected a whole number of at least 0, got -1"),
        ("drawn_samples=0", "drawn_samples: expected a whole number of at least 1, got 0"),
        ("split=test", "split: expected heldout or all, got 'test'"),
        ("policy=go_explore", "policy: expected random, held_random, .* got go_explore"),
    ],
)
def test_wrong_sizes_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        compose(EvaluateConfig, "world_model_evaluate", ["env=FakeGame", option])
