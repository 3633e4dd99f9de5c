"""The files of a trained model: config.json, model.safetensors and the card."""

import copy
import dataclasses
import hashlib
import json
import struct
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from worldtokens.common.atomic import read_text, write_bytes, write_text
from worldtokens.common.commands import stage_command
from worldtokens.common.json_files import (
    DIGEST,
    check_tree_digest,
    to_json,
    tree_digest,
    without_nan,
)
from worldtokens.hub.model_card import CardFacts

CONFIG = constants.CONFIG_NAME
WEIGHTS = constants.SAFETENSORS_SINGLE_FILE
CARD = constants.REPOCARD_NAME
FORMAT = 1
# Types of a file that may stand for float32.
_SHORT = (torch.float16, torch.bfloat16, torch.int8)
# Keys of config.json that are no fields of the model's config.
_MODEL, _FORMAT, _FACTS = "model", "format", "facts"
# The key of the weights' digest in the metadata of model.safetensors.
_SHA256 = "sha256"


@dataclass(frozen=True)
class Kind:
    """One kind of model, and how its files differ from those of another kind.

    Attributes:
        name: Of the kind: tokenizer, world_model or frame_prior.
        config: Its config dataclass.
        stage: The stage that trains one, see worldtokens.common.commands.
        legacy_values: Fields of the config that exports of earlier versions lack, and the values
            that those versions meant. A model with these values keeps its files and fingerprint.
    """

    name: str
    config: type
    stage: str
    legacy_values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name in prose."""
        return self.name.replace("_", " ")

    @property
    def command(self) -> str:
        """The command that trains one, as the user can type it where he is."""
        return stage_command(self.stage)

    @property
    def model_type(self) -> str:
        """The value of "model" in config.json."""
        return f"worldtokens.{self.name}"


def write_config(folder: Path, kind: Kind, config: Any, facts: CardFacts) -> None:
    """Writes config.json: the kind of model, its config, the facts of its card, and a digest.

    The digest lies among the facts, where versions that know nothing of it do not look.
    """
    tree = {_MODEL: kind.model_type, _FORMAT: FORMAT, **config_tree(config, kind)}
    tree[_FACTS] = without_nan(dataclasses.asdict(facts))
    tree[_FACTS][DIGEST] = tree_digest(tree)
    write_text(folder / CONFIG, to_json(tree) + "\n")


def config_tree(config: Any, kind: Kind) -> dict[str, Any]:
    """Returns the fields of a config that identify the model: those without their legacy value."""
    tree = dataclasses.asdict(config)
    legacy = kind.legacy_values
    return {k: value for k, value in tree.items() if k not in legacy or value != legacy[k]}


def read_config(folder: Path, kind: Kind) -> tuple[Any, CardFacts]:
    """Reads what `write_config` wrote; facts are unknown where the file has none.

    Raises:
        ValueError: The file is missing, damaged or of another kind of model.
    """
    label = f"{kind.label} {folder}"
    try:
        tree = json.loads(read_text(folder / CONFIG))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{label}: {CONFIG} is not JSON ({error})") from error
    except OSError as error:
        raise _unreadable(label, CONFIG, error) from error
    model_type = tree.pop(_MODEL, None) if isinstance(tree, dict) else None
    if model_type != kind.model_type:
        raise ValueError(
            f"{label}: expected model {kind.model_type!r} in {CONFIG}, got {model_type!r}; this "
            "folder holds something else"
        )
    if (version := tree.pop(_FORMAT, None)) != FORMAT:
        raise ValueError(
            f"{label}: expected format {FORMAT}, got {version!r}; it was written by another version"
        )
    facts = tree.pop(_FACTS, None)
    if isinstance(facts, dict):
        # All versions wrote every fact: where one is gone, the digest may be gone with it.
        if lost := {fact.name for fact in dataclasses.fields(CardFacts)} - set(facts):
            raise ValueError(
                f"{label}: {CONFIG} is damaged (its facts lack {', '.join(sorted(lost))}); copy it "
                "again or export it again"
            )
        digest = facts.pop(DIGEST, None)
        written = {_MODEL: model_type, _FORMAT: version, **tree, _FACTS: facts}
        check_tree_digest(written, digest, f"{label}: {CONFIG}")
    facts = CardFacts.from_tree(facts)
    _check_fields(label, tree, kind)
    return kind.config(**{**copy.deepcopy(dict(kind.legacy_values)), **tree}), facts


def read_weights(folder: Path, kind: Kind) -> dict[str, Tensor]:
    """Reads the tensors of model.safetensors by name, on the CPU, as they are stored.

    Files have a digest of their tensors, but for those of earlier versions and other programs.

    Raises:
        ValueError: The file is missing, not to be read, or damaged.
    """
    label = f"{kind.label} {folder}"
    try:
        content = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{label}: {WEIGHTS} is missing; export it again") from error
    except OSError as error:
        raise _unreadable(label, WEIGHTS, error) from error
    try:
        weights = load(content)
        (size,) = struct.unpack("<Q", content[:8])
        expected = json.loads(content[8 : 8 + size]).get("__metadata__", {}).get(_SHA256)
    except (SafetensorError, ValueError, KeyError, struct.error, AttributeError) as error:
        raise ValueError(
            f"{label}: {WEIGHTS} is damaged ({error}); copy it again or export it again"
        ) from error
    if expected is not None and expected != _digest(weights):
        raise ValueError(
            f"{label}: {WEIGHTS} is damaged (its weights changed since they were written, SHA-256 "
            f"is not {expected:.12}); copy it again or export it again"
        )
    return weights


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes model.safetensors, with a digest of the tensors in its metadata.

    Raises:
        OSError: It cannot be written.
    """
    stored = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    metadata = {"format": "pt", _SHA256: _digest(stored)}
    # Through bytes: safetensors' own file is readable for its owner alone.
    write_bytes(folder / WEIGHTS, save(stored, metadata))


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unreadable(label: str, name: str, error: OSError) -> ValueError:
    return ValueError(
        f"{label}: {name} cannot be read ({error.strerror}); ask its owner for the permission, or "
        "copy the folder again"
    )


def check_weights(
    label: str, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compares the tensors of a file with those of the model that its config describes.

    Args:
        label: The model in the errors.
        weights: Tensors of the file by name. A float16, bfloat16 or int8 weight may stand for a
            float32 one.
        expected: Tensors of the model by name; only shapes and types matter.

    Raises:
        ValueError: A tensor is missing, unknown, of another shape or type, or not finite.
    """
    wrong = f"{label}: the weights do not fit its {CONFIG}"
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
            raise ValueError(f"{label}: {WEIGHTS} holds NaN or infinity in {name}")


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
    write_weights(folder, halves)


@torch.no_grad()
def round_to_half(weights: Mapping[str, Tensor]) -> None:
    """Rounds floating tensors, in place, to what `write_half_weights` keeps of them."""
    for value in weights.values():
        if value.is_floating_point():
            value.copy_(value.half() + 0.0)  # a negative zero has no int8


def _check_fields(label: str, fields: dict[str, Any], kind: Kind) -> None:
    hints = typing.get_type_hints(kind.config)
    unknown, missing = (
        fields.keys() - hints.keys(),
        hints.keys() - fields.keys() - kind.legacy_values.keys(),
    )
    if wrong := sorted(unknown | missing):
        raise ValueError(
            f"{label}: {CONFIG} has other keys: {', '.join(wrong)} (unknown: {len(unknown)}, "
            f"missing: {len(missing)}); another version wrote it, or it was edited"
        )
    for name, value in fields.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{label}: {name} in {CONFIG}: expected {hints[name]}, got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    """Tells whether a value of JSON, which knows no tuples, is of a type."""
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
