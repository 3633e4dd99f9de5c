import pytest

from worldtokens.world_model.prior.config import FramePriorConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"condition": "sound"}, "condition: expected one of"),
        ({"classes": ["a", "a"]}, "classes: expected different names"),
        ({"width": 33}, "width 33 over 2 heads"),
        ({"dropout": 1.0}, "dropout: expected a share"),
        ({"positions": "none"}, "positions: expected one of"),
    ],
)
def test_wrong_configs_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        FramePriorConfig(**{"width": 32, "heads": 2, **changes})


def test_the_transformer_sees_the_other_image_as_a_block_before():
    config = FramePriorConfig(grid=[3, 4], condition="previous")  # pyright: ignore
    assert config.conditioned and config.transformer.context == 2
    assert config.grid == (3, 4) and config.tokens_per_frame == 12
    assert FramePriorConfig().transformer.context == 1
