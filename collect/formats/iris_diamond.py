"""Episodes that IRIS or DIAMOND saved: one .pt file each, a dict of tensors.

IRIS: observations (T, 3, H, W), actions, rewards, ends. DIAMOND: obs (T, 3, H, W), act, rew, end,
trunc, and perhaps info["final_observation"]. Both hold T observations for T actions: the frame
after the last action is missing. The last observation is repeated in its place, so that the last
action's reward and end are kept, unless the final observation was saved. Other .pt files beside
them (info.pt, for example) are skipped.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from worldtokens.collect.formats.importing import (
    FrameSize,
    ImportedEpisode,
    NoEpisode,
    Source,
    resize_frame,
)

_NAMES = {
    "frames": ("observations", "obs"),
    "actions": ("actions", "act"),
    "rewards": ("rewards", "rew"),
    "terminated": ("ends", "end"),
}


def read_peer_episodes(folder: Path) -> Source:
    """Opens the .pt files in a folder and below it; they are read without pickled code.

    Raises:
        ValueError: There are no such files.
    """
    files = sorted(folder.rglob("*.pt"), key=lambda path: (len(path.name), str(path)))
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise ValueError(f"source: expected a .pt file per episode in {folder}, got none")
    return Source(None, None, None, lossy=False, loaders=(partial(_load, path) for path in files))


def _load(path: Path, size: FrameSize | None) -> ImportedEpisode:
    content = _read(path)
    found = {name: _find(content, keys) for name, keys in _NAMES.items()}
    missing = [" or ".join(_NAMES[name]) for name, value in found.items() if value is None]
    if missing:
        raise NoEpisode(f"{path} is not an episode of IRIS or DIAMOND: it has no {missing[0]}")
    try:
        arrays = {name: np.asarray(value) for name, value in found.items()}
        frames = _to_frames(arrays["frames"], size)
        info = content.get("info")
        final = info.get("final_observation") if isinstance(info, Mapping) else None
        last = frames[-1:] if final is None else _to_frames(np.asarray(final)[None], size)
        truncated = np.asarray(content.get("trunc", np.zeros(arrays["terminated"].shape, bool)))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: {_line(error)}") from None
    return ImportedEpisode(
        frames=np.concatenate([frames, last]),
        actions=arrays["actions"],
        rewards=arrays["rewards"],
        terminated=arrays["terminated"],
        truncated=truncated,
    )


def _read(path: Path) -> Mapping[str, Any]:
    """Reads a file; frames stay on the disk until they are looked at."""
    import torch  # Slow to import, and imports of other formats do without.

    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except OSError:
        raise
    except Exception as error:  # torch raises exceptions of many types
        raise NoEpisode(f"{path} is not an episode of IRIS or DIAMOND ({_line(error)})") from None
    if not isinstance(content, Mapping):
        raise NoEpisode(f"{path} is not an episode of IRIS or DIAMOND: it holds no dict")
    return content


def _line(error: Exception) -> str:
    """Returns the first sentence of an error, without torch's codes for colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.split("\n")[0].split(". ")[0][:200] or type(error).__name__


def _find(content: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((content[key] for key in keys if key in content), None)


def _to_frames(observations: np.ndarray, size: FrameSize | None) -> np.ndarray:
    """Returns uint8 (T, H, W, 3) from (T, 3, H, W), uint8 or in [0, 1] or [-1, 1], resized."""
    if observations.ndim != 4 or observations.shape[1] != 3 or 0 in observations.shape:
        raise ValueError(f"observations: expected shape (T, 3, H, W), got {observations.shape}")
    kind = observations.dtype
    if kind == np.uint8:
        low, scale = 0.0, 0.0
    elif kind.kind == "f":
        low, high = (float(bound(observations)) for bound in (np.min, np.max))
        if not -1.0 <= low <= high <= 1.0:
            raise ValueError(
                "observations: expected uint8, or numbers in [0, 1] or [-1, 1], got numbers from "
                f"{low:g} to {high:g}"
            )
        low = -1.0 if low < 0 else 0.0
        scale = 255.0 / (1.0 - low)
    else:
        raise ValueError(f"observations: expected uint8 or floats, got {kind}")
    if size is None:
        size = observations.shape[2], observations.shape[3]
    frames = np.zeros((len(observations), *size, 3), np.uint8)
    # One by one: files of large frames do not fit in memory.
    for number, observation in enumerate(observations):
        frame = observation.transpose(1, 2, 0)
        if scale:
            frame = np.rint((frame.astype(np.float32) - low) * scale)
        frames[number] = resize_frame(np.ascontiguousarray(frame, dtype=np.uint8), size)
    return frames
