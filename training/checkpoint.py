"""Checkpoints: one file with everything that a run needs to continue, replaced atomically."""

import pickle
from pathlib import Path
from typing import Any

import torch

from worldtokens.common.atomic import replacing

FORMAT = 1


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Writes `state` (tensors, numbers, strings, lists and dicts of them) to `path`.

    A crash or a full disk while writing leaves the former checkpoint in place.

    Raises:
        OSError: The file could not be written.
    """
    try:
        with replacing(path) as partial:
            torch.save({"format": FORMAT, "state": state}, partial)
    except RuntimeError as error:
        # torch reports a failed write as a RuntimeError of its zip writer.
        if "PytorchStreamWriter" in str(error) or "inline_container" in str(error):
            raise OSError(28, "could not write the checkpoint; is the disk full?", path) from error
        raise


def load_checkpoint(path: str | Path) -> dict[str, Any] | None:
    """Reads what `save_checkpoint` wrote, on the CPU; None where there is no file.

    Raises:
        ValueError: The file is not a whole checkpoint of this format.
    """
    if not Path(path).exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"checkpoint {path}: expected a whole checkpoint, got a damaged or foreign file; "
            "delete it to train from the start, or choose another folder with run=NAME"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {path}: expected format {FORMAT}, got another; delete it to start afresh"
        )
    return content["state"]
