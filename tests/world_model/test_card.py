from worldtokens.common.commands import stage_command
from worldtokens.hub.model_card import CardFacts
from worldtokens.world_model import WorldModel
from worldtokens.world_model.card import world_model_card


def test_the_card_describes_the_config(loaded):
    config = loaded.model.config
    card = world_model_card(config)
    rows = dict(card.rows)
    assert rows["predicts"] == "8 tokens of 64, reward and end"
    assert rows["tokenizer"] == f"`{config.tokenizer}`" and rows["context"] == "4 frames"
    assert card.evaluation == stage_command("evaluate-world-model")


def test_metrics_of_any_version_are_shown(loaded):
    model: WorldModel = loaded.model
    model.facts = CardFacts(
        metrics={"nats_per_frame": 3.456, "sideways_action_following": 0.75,
                 "followed_sideways": 0.897119},
    )  # fmt: skip
    card = str(model.generate_model_card())
    assert "| nats per frame, one step ahead | 3.46 |" in card
    assert "| sideways action following | 0.75 |" in card
    # A name of an earlier version is written as it is.
    assert "| followed sideways | 0.8971 |" in card
