from worldtokens.common.commands import stage_command
from worldtokens.world_model.prior.card import prior_card
from worldtokens.world_model.prior.config import FramePriorConfig


def test_the_card_describes_the_config():
    config = FramePriorConfig(
        tokenizer="abc", vocab_size=16, grid=(3, 4), classes=["room 1", "room 2"],
        condition="low_resolution", layers=2, width=32,
    )  # fmt: skip
    card = prior_card(config)
    assert dict(card.rows) == {
        "draws": "3 x 4 tokens of 16", "tokenizer": "`abc`", "classes": "room 1, room 2",
        "other image": "low resolution", "architecture": "2 layers, 32 wide",
    }  # fmt: skip
    assert card.evaluation == stage_command("train-prior")
    assert dict(prior_card(FramePriorConfig()).rows)["classes"] == "none"
