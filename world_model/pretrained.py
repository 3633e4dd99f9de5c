"""Where a trained world model lies, and how its files are written and read."""

import dataclasses
import json
import re
from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from world_model.configuration import WorldModelConfig

KIND = "worldtokens.world_model"
FORMAT = 1
WEIGHTS = constants.SAFETENSORS_SINGLE_FILE
CONFIG = constants.CONFIG_NAME


def write_config(folder: Path, config: WorldModelConfig) -> None:
    """Writes config.json, which says that the folder holds a world model, and which."""
    tree = {"model": KIND, "format": FORMAT, **dataclasses.asdict(config)}
    (folder / CONFIG).write_text(json.dumps(tree, indent=2) + "\n")


def read_config(folder: Path) -> WorldModelConfig:
    """The config that `write_config` wrote.

    Raises:
        ValueError: The file is missing, damaged or not a world model's.
    """
    path = folder / CONFIG
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"world model {folder}: cannot read {CONFIG} ({error})") from error
    kind = tree.pop("model", None) if isinstance(tree, dict) else None
    if kind != KIND:
        raise ValueError(f"{folder} is not a world model: {CONFIG} says model {kind!r}")
    if (found := tree.pop("format", None)) != FORMAT:
        raise ValueError(
            f"world model {folder}: expected format {FORMAT}, got {found!r}; "
            "it was written by another version"
        )
    names = {field.name for field in dataclasses.fields(WorldModelConfig)}
    if wrong := sorted(names ^ tree.keys()):
        raise ValueError(f"world model {folder}: {CONFIG} has other keys: {', '.join(wrong)}")
    return WorldModelConfig(**tree)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Loads model.safetensors, every tensor of it and no other.

    Raises:
        ValueError: The file is damaged or of another architecture.
    """
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"world model {folder}: {WEIGHTS} is damaged or does not fit its {CONFIG}"
        ) from error


def locate(
    place: str | Path, revision: str | None, token: str | bool | None, local_files_only: bool
) -> Path:
    """The export folder that `place` means: itself, a run folder's export/, or a Hub download.

    Raises:
        ValueError: There is no such folder or repository, or it holds no exported model.
    """
    folder = Path(place)
    for candidate in (folder, folder / "export"):
        if (candidate / CONFIG).is_file() and (candidate / WEIGHTS).is_file():
            return candidate
    if folder.exists():
        raise ValueError(
            f"{folder} holds no exported world model; train one with python world_model/train.py"
        )
    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", str(place)):
        raise ValueError(
            f"world model {place}: no such folder; train one with python world_model/train.py, or "
            "give a Hub repo id (owner/name)"
        )
    try:
        paths = [
            hf_hub_download(
                str(place), name, revision=revision, token=token, local_files_only=local_files_only
            )
            for name in (WEIGHTS, CONFIG)
        ]
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"world model {place}: no such folder, and no such model on the Hub "
            f"({type(error).__name__})"
        ) from error
    return Path(paths[0]).parent
