"""Where a trained tokenizer lies, and how its files are written and read."""

import dataclasses
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tokenizer.model_config import TokenizerConfig

MODEL = "worldtokens.tokenizer"
FORMAT = 1


def write_config(folder: Path, config: TokenizerConfig) -> None:
    """Writes config.json, which says that the folder holds a tokenizer, and which."""
    tree = {"model": MODEL, "format": FORMAT, **dataclasses.asdict(config)}
    (folder / constants.CONFIG_NAME).write_text(json.dumps(tree, indent=2) + "\n")


def read_folder(folder: Path) -> tuple[TokenizerConfig, dict[str, Tensor]]:
    """The config and the weights, on the CPU, of an export folder.

    Raises:
        ValueError: A file is missing, damaged or of something else than a tokenizer.
    """
    weights_path = folder / constants.SAFETENSORS_SINGLE_FILE
    if not weights_path.is_file():
        raise ValueError(f"tokenizer {folder}: {weights_path.name} is missing; export it again")
    config = read_config(folder / constants.CONFIG_NAME)
    try:
        return config, load_file(weights_path)
    except SafetensorError as error:
        raise ValueError(f"tokenizer {folder}: {weights_path.name} is damaged ({error})") from error


def read_config(path: Path) -> TokenizerConfig:
    """The config that `write_config` wrote.

    Raises:
        ValueError: The file is damaged or not a tokenizer's.
    """
    try:
        tree = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"tokenizer {path.parent}: {path.name} is not JSON ({error})") from error
    found = tree.get("model") if isinstance(tree, dict) else None
    if found != MODEL:
        raise ValueError(
            f"{path.parent} is not a tokenizer: {path.name} says model {found!r}, not {MODEL!r}"
        )
    if tree.get("format") != FORMAT:
        raise ValueError(
            f"tokenizer {path.parent}: expected format {FORMAT}, got {tree.get('format')!r}; "
            "it was written by another version"
        )
    fields = {key: value for key, value in tree.items() if key not in ("model", "format")}
    _check_fields(path, fields)
    return TokenizerConfig(**fields)


def _check_fields(path: Path, fields: dict[str, Any]) -> None:
    hints = typing.get_type_hints(TokenizerConfig)
    if wrong := sorted(fields.keys() ^ hints.keys()):
        raise ValueError(f"tokenizer {path.parent}: {path.name} has other keys: {', '.join(wrong)}")
    for name, value in fields.items():
        if not _fits(value, hints[name]):
            raise ValueError(
                f"tokenizer {path.parent}: {path.name} has {name}={value!r}, expected {hints[name]}"
            )


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is list:
        (item,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(element, item) for element in value)
    if origin is types.UnionType:
        return any(_fits(value, choice) for choice in typing.get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def locate(
    place: str | Path, *, revision: str | None, token: str | bool | None, local_files_only: bool
) -> Path:
    """The export folder that `place` means: itself, a run folder's export/, or a Hub download.

    Raises:
        ValueError: There is no such folder or repository, or it holds no exported model.
    """
    folder = Path(place)
    if folder.is_dir():
        for candidate in (folder, folder / "export"):
            if (candidate / constants.CONFIG_NAME).is_file():
                return candidate
        if (folder / "config.yaml").is_file():
            raise ValueError(
                f"run folder {folder} has no export/ yet: its training did not reach a checkpoint"
            )
        raise ValueError(
            f"{folder} is neither a run folder nor an export folder: it has no export/ and no "
            f"{constants.CONFIG_NAME}"
        )
    if folder.exists():
        raise ValueError(f"tokenizer {place}: expected a folder, got a file")
    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", str(place)):
        raise ValueError(
            f"tokenizer {place}: no such folder; train one with python tokenizer/train.py, or give "
            "a Hub repo id (owner/name)"
        )
    return _download(str(place), revision, token, local_files_only)


def _download(
    repo: str, revision: str | None, token: str | bool | None, local_files_only: bool
) -> Path:
    paths = []
    for name in (constants.SAFETENSORS_SINGLE_FILE, constants.CONFIG_NAME):
        try:
            paths.append(
                hf_hub_download(
                    repo, name, revision=revision, token=token, local_files_only=local_files_only
                )
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise ValueError(
                f"tokenizer {repo}: no such folder, and the Hub gave no {name} "
                f"({type(error).__name__})"
            ) from error
    return Path(paths[0]).parent
