"""The model card: README.md beside the weights, which the Hub shows as the repository's page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from huggingface_hub import ModelCard, ModelCardData

UNKNOWN = "not recorded"
# Names of the figures of tokenizer/evaluate.py, and how they are written.
FIGURES = {
    "psnr": ("PSNR", "{:.2f} dB"),
    "ssim": ("SSIM", "{:.4f}"),
    "lpips": ("LPIPS", "{:.4f}"),
    "foreground_recall": ("foreground recall", "{:.3f}"),
    "flicker": ("flicker", "{:.4f}"),
    "perplexity": ("code perplexity", "{:.1f}"),
    "codes_used": ("share of codes used", "{:.3f}"),
}


@dataclass(frozen=True)
class CardFacts:
    """What the weights alone do not tell; None where it is not known.

    Attributes:
        game: What the frames show.
        data: What it was trained on, in words or as a path.
        command: The command that trained it.
        training: How long, in words ("12,000 steps in 600 s").
        metrics: Figures on held-out frames, by their names in metrics.json; others than FIGURES
            are left out.
    """

    game: str | None = None
    data: str | None = None
    command: str | None = None
    training: str | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class CardModel:
    """What the weights tell.

    Attributes:
        architecture: Network and quantizer, in words.
        frame_shape: (height, width, 3).
        grid: (rows, columns) of the tokens.
        tokens_per_frame: K.
        vocab_size: Number of codes.
        parameters: Number of weights.
        fingerprint: Hash over config and weights.
    """

    architecture: str
    frame_shape: tuple[int, int, int]
    grid: tuple[int, int]
    tokens_per_frame: int
    vocab_size: int
    parameters: int
    fingerprint: str


def make_card(header: ModelCardData, model: CardModel, facts: CardFacts) -> ModelCard:
    """The card.

    Args:
        header: Licence, library and tags, for the Hub.
        model: What the weights tell.
        facts: What they do not.
    """
    height, width, _ = model.frame_shape
    bits = (model.vocab_size - 1).bit_length()
    rows = [
        ("frames", f"uint8, {height} x {width} x 3"),
        (
            "tokens per frame",
            f"{model.tokens_per_frame} ({model.grid[0]} x {model.grid[1]}), "
            f"{model.vocab_size} codes: {model.tokens_per_frame * bits} bits",
        ),
        ("architecture", model.architecture),
        ("weights", f"{model.parameters:,}"),
        ("fingerprint", f"`{model.fingerprint}`"),
        ("game", facts.game or UNKNOWN),
        ("trained on", facts.data or UNKNOWN),
        ("trained for", facts.training or UNKNOWN),
        ("trained by", f"`{facts.command}`" if facts.command else UNKNOWN),
    ]
    game = f" of {facts.game}" if facts.game else ""
    sections = [
        f"# Frame tokenizer{game}",
        "Turns a frame of an Atari game into a few tokens and back. Made with worldtokens.",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]),
        "## Use",
        "```python\nfrom tokenizer import Tokenizer\n\n"
        'tokenizer = Tokenizer.from_pretrained("this folder or repository")\n'
        "tokens = tokenizer.encode(frames)  # uint8 (..., height, width, 3) -> int64 (..., K)\n"
        "frames = tokenizer.decode(tokens)\n```",
        "## Figures on held-out frames",
        _figures(facts.metrics),
        "## Limits",
        "It knows the frames that it was trained on: another game, another preprocessing or a part"
        " of the game that the training data does not show will come back wrong.",
    ]
    return ModelCard(f"---\n{header.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")


def _figures(metrics: Mapping[str, object]) -> str:
    rows = []
    for name, (words, written) in FIGURES.items():
        value = metrics.get(name)
        if isinstance(value, int | float):
            rows.append(f"| {words} | {written.format(value)} |")
    if not rows:
        return "Not measured yet; `python tokenizer/evaluate.py` does."
    return "\n".join(["| | |", "|---|---|", *rows])
