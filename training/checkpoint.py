"""Checkpoints: one file with everything that a run needs to continue, replaced atomically."""

import errno
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldtokens.common.atomic import replacing
from worldtokens.common.digests import DamagedFile, add_digest, check_digest

FORMAT = 1


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Writes `state` (tensors, numbers, strings, lists and dicts of them) to `path`.

    A crash or a full disk while writing leaves the former checkpoint in place. A digest at the
    file's end shows later changes.

    Raises:
        OSError: The file could not be written.
    """
    try:
        with replacing(path) as partial:
            torch.save({"format": FORMAT, "state": state}, partial)
            add_digest(partial)
    except RuntimeError as error:
        # torch reports a failed write as a RuntimeError of its zip writer.
        if "PytorchStreamWriter" in str(error) or "inline_container" in str(error):
            raise OSError(
                errno.ENOSPC, "could not write the checkpoint; is the disk full?", str(path)
            ) from error
        raise


def load_checkpoint(path: str | Path) -> dict[str, Any] | None:
    """Reads what `save_checkpoint` wrote, on the CPU; None where there is no file.

    Raises:
        ValueError: The file is not a whole checkpoint of this format.
        OSError: It cannot be read.
    """
    if not Path(path).exists():
        return None
    try:
        check_digest(path)
        _check_sizes(Path(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except DamagedFile as error:
        raise _damaged(path, str(error)) from error
    # torch raises exceptions of many types for damaged files.
    except Exception as error:
        raise _damaged(path, "a damaged or foreign file") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {path}: expected format {FORMAT}, got another; another version wrote it: "
            "use that one, or choose another folder with run=NAME"
        )
    if not isinstance(content.get("state"), dict):
        raise _damaged(path, "a damaged or foreign file")
    return content["state"]


def find_nonfinite(state: Any) -> str | None:
    """Returns the dotted name of a tensor that holds NaN or infinity, or None."""
    for name, value in _tensors(state):
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return None


def _tensors(tree: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield prefix, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _tensors(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from _tensors(value, f"{prefix}.{index}")


def _check_sizes(path: Path) -> None:
    """Checks that a file holds what it declares, before memory is taken for that."""
    with zipfile.ZipFile(path) as file:
        declared = sum(member.file_size for member in file.infolist())
    if declared > path.stat().st_size:
        raise ValueError(f"declares {declared} bytes")


def _damaged(path: str | Path, got: str) -> ValueError:
    return ValueError(
        f"checkpoint {path}: expected a whole checkpoint, got {got}; copy it again, or delete it "
        "to train from the start, or choose another folder with run=NAME"
    )
