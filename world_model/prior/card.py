"""The part of the model card that all priors over frames share."""

from worldtokens.common.commands import stage_command
from worldtokens.hub.model_card import CardModel
from worldtokens.world_model.prior.config import FramePriorConfig

METRICS = {"nats_per_frame": ("nats per frame", "{:.2f}")}
USAGE = """from worldtokens import FramePrior, Tokenizer

tokenizer = Tokenizer.from_pretrained("the tokenizer of the fingerprint above")
prior = FramePrior.from_pretrained("this folder, its name or repository")
tokens = prior.sample(prior.class_numbers([None] * 8))  # int64 (8, K)
frames = tokenizer.decode(tokens)  # uint8 (8, height, width, 3)"""


def prior_card(config: FramePriorConfig) -> CardModel:
    """Returns the card of priors of this config."""
    rows = [
        ("draws", f"{config.grid[0]} x {config.grid[1]} tokens of {config.vocab_size}"),
        ("tokenizer", f"`{config.tokenizer}`"),
        ("classes", ", ".join(config.classes[:24]) or "none"),
        ("other image", config.condition.replace("_", " ")),
        ("architecture", f"{config.layers} layers, {config.width} wide"),
    ]
    return CardModel(
        title="Frame prior",
        summary="Draws single frames in the tokens of a tokenizer, one token after another.",
        rows=rows,
        usage=USAGE,
        metrics=METRICS,
        evaluation=stage_command("train-prior"),
        limits=["It works with the tokenizer of that fingerprint only."],
    )
