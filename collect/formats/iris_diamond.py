"""Episodes that IRIS or DIAMOND saved: one .pt file each, a dict of tensors.

IRIS: observations (T, 3, H, W), actions, rewards, ends. DIAMOND: obs (T, 3, H, W), act, rew, end,
trunc, and perhaps info["final_observation"]. Both hold T observations for T actions: the frame
after the last action is missing. The last observation is repeated in its place, so that the last
action's reward and end are kept, unless the final observation was saved.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens.collect.formats.importing import ImportedEpisode, Source

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
    if not files:
        raise ValueError(f"source: expected a .pt file per episode in {folder}, got none")
    return Source(None, None, None, lossy=False, episodes=map(_read_episode, files))


def _read_episode(path: Path) -> ImportedEpisode:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        arrays = {name: _find(content, keys) for name, keys in _NAMES.items()}
    except Exception as error:  # torch raises exceptions of many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is not an episode of IRIS or DIAMOND ({reason})") from None
    frames = _to_frames(arrays["frames"])
    final = content.get("info", {}).get("final_observation") if "info" in content else None
    last = frames[-1:] if final is None else _to_frames(np.asarray(final)[None])
    terminated = arrays["terminated"].astype(np.bool_)
    truncated = np.asarray(content.get("trunc", np.zeros_like(terminated))).astype(np.bool_)
    return ImportedEpisode(
        frames=np.concatenate([frames, last]),
        actions=arrays["actions"],
        rewards=arrays["rewards"],
        terminated=terminated,
        truncated=truncated,
    )


def _find(content: dict[str, Any], keys: tuple[str, ...]) -> np.ndarray:
    for key in keys:
        if key in content:
            return np.asarray(content[key])
    raise ValueError(f"expected a key {' or '.join(keys)}, got none")


def _to_frames(observations: np.ndarray) -> np.ndarray:
    """Returns uint8 (T, H, W, 3) from (T, 3, H, W), uint8 or in [0, 1] or [-1, 1]."""
    if observations.ndim != 4 or observations.shape[1] != 3:
        raise ValueError(f"observations: expected shape (T, 3, H, W), got {observations.shape}")
    if observations.dtype != np.uint8:
        scaled = observations.astype(np.float32)
        if scaled.min() < 0:
            scaled = (scaled + 1) / 2
        observations = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(observations.transpose(0, 2, 3, 1))
