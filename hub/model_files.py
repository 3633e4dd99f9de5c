"""The files of a trained model: config.json, model.safetensors and the card."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from worldtokens.hub.model_card import CardFacts

CONFIG = constants.CONFIG_NAME
WEIGHTS = constants.SAFETENSORS_SINGLE_FILE
CARD = constants.REPOCARD_NAME
FORMAT = 1
# What may stand for float32 in a file.
_SHORT = (torch.float16, torch.bfloat16, torch.int8)
# Keys of config.json that are no fields of the model's config.
_MODEL, _FORMAT, _FACTS = "model", "format", "facts"


@dataclass(frozen=True)
class Kind:
    """What tells the files of one kind of model from those of another.

    Attributes:
        name: Of the kind: tokenizer, world_model or frame_prior.
        config: Its config dataclass.
        added: Fields of it that exports of earlier versions lack; their defaults are what those
            versions did. A model whose fields have these defaults keeps its files and fingerprint.
        script: What trains it; "" for train.py in the package of the name.
    """

    name: str
    config: type
    added: frozenset[str] = frozenset()
    script: str = ""

    @property
    def words(self) -> str:
        """The name in prose."""
        return self.name.replace("_", " ")

    @property
    def command(self) -> str:
        """What trains one."""
        return f"python {self.script or f'{self.name}/train.py'}"

    @property
    def mark(self) -> str:
        """What config.json says that its folder holds."""
        return f"worldtokens.{self.name}"


def write_config(folder: Path, kind: Kind, config: Any, facts: CardFacts) -> None:
    """Writes config.json: what the folder holds, the config, and what the card tells of it."""
    tree = {_MODEL: kind.mark, _FORMAT: FORMAT, **config_tree(config, kind)}
    tree[_FACTS] = _without_nan(dataclasses.asdict(facts))
    (folder / CONFIG).write_text(json.dumps(tree, indent=2) + "\n")


def config_tree(config: Any, kind: Kind) -> dict[str, Any]:
    """The fields of a config that say which model it is: all but added ones at their default."""
    tree = dataclasses.asdict(config)
    for field in dataclasses.fields(config):
        if field.name in kind.added:
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            if tree[field.name] == default:
                del tree[field.name]
    return tree


def read_config(folder: Path, kind: Kind) -> tuple[Any, CardFacts]:
    """What `write_config` wrote; facts are unknown where the file has none.

    Raises:
        ValueError: The file is missing, damaged or of another kind of model.
    """
    place = f"{kind.words} {folder}"
    try:
        tree = json.loads((folder / CONFIG).read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: {CONFIG} is not JSON ({error})") from error
    except OSError as error:
        raise ValueError(f"{place}: {CONFIG} cannot be read ({error.strerror})") from error
    found = tree.pop(_MODEL, None) if isinstance(tree, dict) else None
    if found != kind.mark:
        raise ValueError(
            f"{folder} is not a {kind.words}: {CONFIG} says model {found!r}, not {kind.mark!r}"
        )
    if (version := tree.pop(_FORMAT, None)) != FORMAT:
        raise ValueError(
            f"{place}: expected format {FORMAT}, got {version!r}; it was written by another version"
        )
    facts = CardFacts.from_tree(tree.pop(_FACTS, None))
    _check_fields(place, tree, kind)
    return kind.config(**tree), facts


def read_weights(folder: Path, kind: Kind) -> dict[str, Tensor]:
    """The tensors of model.safetensors by name, on the CPU, as they are stored.

    Raises:
        ValueError: The file is missing or damaged.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{kind.words} {folder}: {WEIGHTS} is missing; export it again")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{kind.words} {folder}: {WEIGHTS} is damaged ({error})") from error


def check_weights(
    place: str, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compares the tensors of a file with those of the model that its config describes.

    Args:
        place: Named in the errors.
        weights: Of the file. A float16, bfloat16 or int8 weight may stand for a float32 one.
        expected: Of the model; only shapes and types matter.

    Raises:
        ValueError: A tensor is missing, unknown, of another shape or type, or not finite.
    """
    wrong = f"{place}: the weights do not fit its {CONFIG}"
    if names := sorted(weights.keys() ^ expected.keys()):
        raise ValueError(f"{wrong}: {names[0]} is {'not ' * (names[0] in expected)}in {WEIGHTS}")
    for name, value in weights.items():
        like = expected[name]
        if value.shape != like.shape:
            raise ValueError(f"{wrong}: {name} is {tuple(value.shape)}, not {tuple(like.shape)}")
        is_short = value.dtype in _SHORT and like.is_floating_point()
        if value.dtype != like.dtype and not is_short:
            raise ValueError(f"{wrong}: {name} is {value.dtype}, not {like.dtype}")
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{place}: {WEIGHTS} holds NaN or infinity in {name}")


def write_half_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes model.safetensors with every floating tensor as float16, or exactly as int8.

    The grey levels of a dictionary are whole numbers, so one byte keeps them.

    Raises:
        ValueError: A weight is beyond float16's range.
    """
    halves = {}
    for name, value in weights.items():
        halves[name] = value.half() if value.is_floating_point() else value
        if value.is_floating_point() and torch.equal(value, value.round().clamp(-128, 127)):
            halves[name] = value.to(torch.int8)
        if value.is_floating_point() and not halves[name].isfinite().all():
            raise ValueError(f"{name}: {value.abs().max():.3g} is beyond float16; store float32")
        halves[name] = halves[name].contiguous()
    save_file(halves, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)


@torch.no_grad()
def round_to_half(weights: Mapping[str, Tensor]) -> None:
    """Rounds floating tensors, in place, to what `write_half_weights` keeps of them."""
    for value in weights.values():
        if value.is_floating_point():
            value.copy_(value.half() + 0.0)  # a negative zero has no int8


def _check_fields(place: str, fields: dict[str, Any], kind: Kind) -> None:
    hints = typing.get_type_hints(kind.config)
    unknown, missing = fields.keys() - hints.keys(), hints.keys() - fields.keys() - kind.added
    if wrong := sorted(unknown | missing):
        raise ValueError(
            f"{place}: {CONFIG} has other keys: {', '.join(wrong)} (unknown: {len(unknown)}, "
            f"missing: {len(missing)}); another version wrote it, or it was edited"
        )
    for name, value in fields.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{place}: {CONFIG} has {name}={value!r}, expected {hints[name]}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON, which knows no tuples, is of a type."""
    origin, items = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return isinstance(value, list) and all(_fits(element, items[0]) for element in value)
    if origin is tuple:
        fits = isinstance(value, list) and len(value) == len(items)
        return fits and all(map(_fits, value, items))
    if origin is types.UnionType:
        return any(_fits(value, choice) for choice in items)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _without_nan(tree: Any) -> Any:
    """The same tree with None where a number is not finite, which JSON cannot say."""
    if isinstance(tree, Mapping):
        return {str(key): _without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_nan(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
