"""What the card says of every world model."""

from collections.abc import Sequence
from typing import Protocol

from worldtokens.hub.model_card import CardModel
from worldtokens.world_model.config import WorldModelConfig

# Names of the metrics of world_model/evaluate.py, and how they are written.
METRICS = {
    "nats_per_frame": ("nats per frame, one step ahead", "{:.2f}"),
    "token_accuracy": ("token accuracy, one step ahead", "{:.4f}"),
    "copy_accuracy": ("the same of copying the last frame", "{:.4f}"),
    "changed_accuracy": ("token accuracy where tokens change", "{:.4f}"),
    "fidelity": ("dreams from held-out starts under the true actions, by horizon", ""),
}
USAGE = """from tokenizer import Tokenizer
from worldtokens.world_model import WorldModel

tokenizer = Tokenizer.from_pretrained("the tokenizer of the fingerprint above")
world_model = WorldModel.from_pretrained("this folder, its name or repository")
tokens = tokenizer.encode(frames)  # uint8 (B, T, height, width, 3) -> int64 (B, T, K)
rollout = world_model.imagine(tokens, actions_between, actions_to_come)
dream = tokenizer.decode(rollout.tokens)  # uint8 (B, horizon, height, width, 3)"""


class FidelityRow(Protocol):
    """The fields of world_model.metrics.Fidelity that the card shows."""

    @property
    def horizon(self) -> int:
        """Steps after the last known frame."""
        ...

    @property
    def guess(self) -> str:
        """Whose frames: dream, copy or tokenizer."""
        ...

    @property
    def room(self) -> int:
        """-1 for all rooms together."""
        ...

    @property
    def psnr(self) -> float:
        """Pooled, in dB."""
        ...

    @property
    def foreground_recall(self) -> float:
        """A share."""
        ...


def world_model_card(config: WorldModelConfig) -> CardModel:
    """The card of a world model."""
    rows = [
        ("predicts", f"{config.tokens_per_frame} tokens of {config.vocab_size}, reward and end"),
        ("tokenizer", f"`{config.tokenizer}`"),
        ("actions", str(config.num_actions)),
        ("context", f"{config.context} frames"),
        (
            "architecture",
            f"{config.prediction} prediction, {config.attention} attention, {config.layers} "
            f"layers, {config.width} wide",
        ),
    ]
    return CardModel(
        title="World model",
        summary="Imagines how a game goes on under given actions, in the tokens of a tokenizer.",
        rows=rows,
        usage=USAGE,
        metrics=METRICS,
        evaluation="python world_model/evaluate.py",
        limits=[
            "It works with the tokenizer of that fingerprint only, on frames of the same "
            "preprocessing.",
            "Dreams drift away from the game with every step; how fast, the table above says.",
            "What its training data does not show, it cannot imagine: rooms never entered, rewards "
            "never found.",
        ],
    )


def fidelity_summary(rows: Sequence[FidelityRow]) -> list[dict[str, float]]:
    """The rows of all rooms together, one per horizon, as the card shows them."""
    table = []
    for horizon in sorted({row.horizon for row in rows}):
        of = {row.guess: row for row in rows if row.horizon == horizon and row.room == -1}
        line: dict[str, float] = {"horizon": horizon}
        for words, name in (("PSNR", "psnr"), ("recall", "foreground_recall")):
            for guess, row in of.items():
                line[f"{words}, {guess}"] = getattr(row, name)
        table.append(line)
    return table
