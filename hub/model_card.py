"""The model card: README.md beside the weights, which the Hub shows as the repository's page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from huggingface_hub import ModelCard, ModelCardData

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class CardFacts:
    """Facts that the weights do not hold; None or empty where they are not known.

    Attributes:
        game: The game that the frames show.
        data: The training data, in words.
        command: The command that trained the model.
        training: Length of the training, in words ("12,000 steps in 600 s").
        metrics: Metrics on held-out episodes by name. A value is a number, a mapping of numbers
            (by room, say) or a list of rows, each a mapping from column to number or word.
        limits: Sentences on what it cannot do, beside those that hold for all models of its kind.
    """

    game: str | None = None
    data: str | None = None
    command: str | None = None
    training: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    limits: Sequence[str] = ()

    @classmethod
    def from_tree(cls, tree: object) -> Self:
        """Reads the facts of config.json; values of another form count as unknown."""
        if not isinstance(tree, Mapping):
            return cls()
        known = {name: tree.get(name) for name in ("game", "data", "command", "training")}
        metrics, limits = tree.get("metrics"), tree.get("limits")
        return cls(
            **{name: value for name, value in known.items() if isinstance(value, str)},
            metrics=metrics if isinstance(metrics, Mapping) else {},
            limits=tuple(map(str, limits)) if isinstance(limits, list) else (),
        )


@dataclass(frozen=True)
class CardModel:
    """The part of a card that is the same for every model of a kind and config.

    Attributes:
        title: Title of the card, without the game.
        summary: One sentence or two.
        rows: Names and values that describe the architecture.
        usage: Python code.
        metrics: Names of known metrics, and how they are written: ("PSNR", "{:.2f} dB").
        evaluation: The command that measures them.
        limits: Sentences.
    """

    title: str
    summary: str
    rows: Sequence[tuple[str, str]]
    usage: str
    metrics: Mapping[str, tuple[str, str]]
    evaluation: str
    limits: Sequence[str]


def make_card(header: ModelCardData, model: CardModel, facts: CardFacts) -> ModelCard:
    """Makes the card.

    Args:
        header: Licence, library and tags, for the Hub.
        model: The part that depends on kind and config only.
        facts: The facts of this one model.
    """
    rows = [
        *model.rows,
        ("game", facts.game or UNKNOWN),
        ("trained on", facts.data or UNKNOWN),
        ("trained for", facts.training or UNKNOWN),
        ("trained by", f"`{facts.command}`" if facts.command else UNKNOWN),
    ]
    game = f" of {facts.game}" if facts.game else ""
    sections = [
        f"# {model.title}{game}",
        f"{model.summary} Made with worldtokens.",
        _table([("", ""), *rows]),
        "## Use",
        f"```python\n{model.usage}\n```",
        "## Metrics on held-out episodes",
        _metrics(facts.metrics, model),
        "## Limits",
        "\n".join(f"- {limit}" for limit in (*model.limits, *facts.limits)),
    ]
    return ModelCard(f"---\n{header.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")


def _metrics(metrics: Mapping[str, Any], model: CardModel) -> str:
    """Makes a table of the numbers, those with known names first, and a table per list of rows."""
    names = [name for name in model.metrics if name in metrics]
    names += [name for name in metrics if name not in model.metrics]
    rows = []
    for name in names:
        label, written = model.metrics.get(name, (name.replace("_", " "), "{:.4g}"))
        value = metrics[name]
        if _is_number(value):
            rows.append((label, written.format(value)))
        elif isinstance(value, Mapping):
            rows += _spread(label, value)
    parts = [_table([("", ""), *rows])] if rows else []
    for name, value in metrics.items():
        if isinstance(value, list | tuple) and value:
            label = model.metrics.get(name, (name.replace("_", " "), ""))[0]
            columns = list(value[0])
            cells = [[_cell(row.get(column)) for column in columns] for row in value]
            parts.append(f"{label[:1].upper()}{label[1:]}:\n\n" + _table([columns, *cells]))
    return "\n\n".join(parts) or f"Not measured yet; `{model.evaluation}` does."


def _spread(label: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Makes one row of a mapping of numbers, their mean and the lowest; several of nested ones."""
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _spread(f"{label}, {name.replace('_', ' ')}", value)
    numbers = {name: value for name, value in values.items() if _is_number(value)}
    if numbers:
        lowest = min(numbers, key=numbers.__getitem__)
        mean = sum(numbers.values()) / len(numbers)
        rows.append(
            (label, f"mean of {len(numbers)} {mean:.3f}, lowest {numbers[lowest]:.3f} ({lowest})")
        )
    return rows


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if isinstance(value, int | str):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) and not math.isnan(value) else "-"


def _table(rows: Sequence[Sequence[str]]) -> str:
    first, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([first, "|" + "---|" * len(rows[0]), *rest])
