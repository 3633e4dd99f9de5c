"""The part of the model card that all world models share."""

from worldtokens.common.commands import stage_command
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
USAGE = """from worldtokens import Tokenizer, WorldModel

tokenizer = Tokenizer.from_pretrained("the tokenizer of the fingerprint above")
world_model = WorldModel.from_pretrained("this folder, its name or repository")
tokens = tokenizer.encode(frames)  # uint8 (B, T, height, width, 3) -> int64 (B, T, K)
rollout = world_model.imagine(tokens, actions_between, actions_to_come)
dream = tokenizer.decode(rollout.tokens)  # uint8 (B, horizon, height, width, 3)"""


def world_model_card(config: WorldModelConfig) -> CardModel:
    """Returns the card of world models of this config."""
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
        evaluation=stage_command("evaluate-world-model"),
        limits=[
            "It works with the tokenizer of that fingerprint only, on frames of the same "
            "preprocessing.",
            "Dreams drift away from the game with every step; how fast, the table above says.",
            "What its training data does not show, it cannot imagine: rooms never entered, rewards "
            "never found.",
        ],
    )
