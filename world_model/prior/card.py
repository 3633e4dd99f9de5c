"""What the card says of every prior over frames."""

from worldtokens.hub.model_card import CardModel
from worldtokens.world_model.prior.config import FramePriorConfig

METRICS = {"nats_per_frame": ("nats per frame", "{:.2f}")}
USAGE = """from tokenizer import Tokenizer
from worldtokens.world_model import FramePrior

tokenizer = Tokenizer.from_pretrained("the tokenizer of the fingerprint above")
prior = FramePrior.from_pretrained("this folder, its name or repository")
tokens = prior.sample(prior.class_numbers([None] * 8))  # int64 (8, K)
frames = tokenizer.decode(tokens)  # uint8 (8, height, width, 3)"""


def prior_card(config: FramePriorConfig) -> CardModel:
    """The card of a prior."""
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
        evaluation="python world_model/train_prior.py",
        limits=["It works with the tokenizer of that fingerprint only."],
    )
