"""Episodes as folders of images.

Export: `<folder>/<episode id>/000000.png, 000001.png, ...` and beside them episode.npz with the
actions, rewards, ends, RAM and lives. Import reads these back without loss, and also any folder
of images, or of folders of images, without actions.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.collect.formats.importing import (
    FrameSize,
    ImportedEpisode,
    Loader,
    Source,
    resize_frame,
)
from worldtokens.common.arrays import load_arrays
from worldtokens.common.images import LOSSY_ENDINGS, describe_lack, list_images, read_image

_ARRAYS = "episode.npz"
_NAMES = ("actions", "rewards", "terminated", "truncated", "ram", "lives")


def export_images(source: EpisodeSource, folder: Path) -> None:
    """Writes every frame as a PNG, and the rest of each episode beside them.

    Args:
        source: What to write.
        folder: Must not exist.
    """
    for episode in source.episodes:
        # Ids never leave the folder: the dataset checks them when it is opened.
        target = folder / episode.id
        target.mkdir(parents=True)
        for number, frame in enumerate(episode.frames):
            Image.fromarray(frame).save(target / f"{number:06d}.png")
        header = {
            "info": asdict(episode.info),
            "game": source.game,
            "action_meanings": source.action_meanings,
        }
        np.savez_compressed(
            target / _ARRAYS,
            facts=np.frombuffer(json.dumps(header).encode(), np.uint8),
            actions=episode.actions,
            rewards=episode.rewards,
            terminated=episode.terminated,
            truncated=episode.truncated,
            ram=episode.ram,
            lives=episode.lives,
        )


def read_images(folder: Path) -> Source:
    """Opens a folder of images (one episode) or of folders of images (an episode each).

    Images follow each other in the natural order of their names; they may differ in size. Without
    episode.npz every action is 0 and every reward 0, and the episode is truncated at its end.

    Raises:
        ValueError: There are no images, or the first episode.npz is damaged.
    """
    inner = sorted(path for path in folder.glob("*/") if not path.name.startswith("."))
    images = {path: list_images(path, recursive=False) for path in [folder, *inner]}
    episodes = {path: files for path, files in images.items() if len(files) > 1}
    if not episodes:
        raise ValueError(f"source: {describe_lack(folder, recursive=True)}, two or more an episode")
    header = _read_header(next(iter(episodes)))
    files = [file for files in episodes.values() for file in files]
    meanings = header.get("action_meanings")
    return Source(
        game=header.get("game"),
        num_actions=len(meanings) if meanings else None,
        action_meanings=tuple(map(str, meanings)) if meanings else None,
        lossy=any(file.suffix.lower() in LOSSY_ENDINGS for file in files),
        loaders=_loaders(episodes),
    )


def _loaders(episodes: dict[Path, list[Path]]) -> Iterator[Loader]:
    for folder, files in episodes.items():
        yield partial(_load, folder, files)


def _load(folder: Path, files: list[Path], size: FrameSize | None) -> ImportedEpisode:
    """Reads an episode; each picture is shrunk when it is read, so that few lie in memory."""
    if size is None:
        first = read_image(files[0])
        size = first.height, first.width
    frames = np.zeros((len(files), *size, 3), np.uint8)
    for number, file in enumerate(files):
        frames[number] = resize_frame(np.asarray(read_image(file)), size)
    num_steps = len(frames) - 1
    if not (folder / _ARRAYS).exists():
        no = np.zeros(num_steps, np.bool_)
        return ImportedEpisode(frames, np.zeros(num_steps, np.int64), no.astype(float), no, no)
    arrays = load_arrays(folder / _ARRAYS)
    info = _read_header(folder).get("info")
    if not isinstance(info, dict) or not set(_NAMES) <= arrays.keys():
        raise ValueError(f"{folder / _ARRAYS}: expected {', '.join(_NAMES)} and the episode's id")
    return ImportedEpisode(
        frames=frames,
        actions=arrays["actions"],
        rewards=arrays["rewards"],
        terminated=arrays["terminated"],
        truncated=arrays["truncated"],
        ram=arrays["ram"],
        lives=arrays["lives"],
        info=EpisodeInfo(**info),
    )


def _read_header(folder: Path) -> dict:
    if not (folder / _ARRAYS).exists():
        return {}
    facts = load_arrays(folder / _ARRAYS).get("facts")
    try:
        header = json.loads(facts.tobytes()) if facts is not None else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ValueError(
            f"{folder / _ARRAYS}: expected an export of this project, got another file"
        )
    return header
