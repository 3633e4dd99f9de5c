"""Episodes as folders of images.

Export: `<folder>/<episode id>/000000.png, 000001.png, ...` and beside them episode.npz with the
actions, rewards, ends, RAM and lives. Import reads these back without loss, and also any folder
of images, or of folders of images, without actions.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.collect.formats.importing import ImportedEpisode, Source

_LOSSY = (".jpg", ".jpeg")
_SUFFIXES = (".png", ".bmp", *_LOSSY)
_ARRAYS = "episode.npz"


def export_images(source: EpisodeSource, folder: Path) -> None:
    """Writes every frame as a PNG, and the rest of each episode beside them.

    Args:
        source: What to write.
        folder: Must not exist.
    """
    for episode in source.episodes:
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

    Images follow each other in the natural order of their names. Without episode.npz every
    action is 0 and every reward 0, and the episode is truncated at its end.

    Raises:
        ValueError: There are no images.
    """
    folders = [f for f in [folder, *sorted(folder.glob("*/"))] if len(_images_in(f)) > 1]
    if not folders:
        raise ValueError(
            f"source: expected two or more images ({', '.join(_SUFFIXES)}) per episode in "
            f"{folder} or in its folders, got none"
        )
    header = _read_header(folders[0])
    lossy = any(image.suffix.lower() in _LOSSY for f in folders for image in _images_in(f))
    meanings = header.get("action_meanings")
    return Source(
        game=header.get("game"),
        num_actions=len(meanings) if meanings else None,
        action_meanings=tuple(meanings) if meanings else None,
        lossy=lossy,
        episodes=_episodes_in(folders),
    )


def _episodes_in(folders: list[Path]) -> Iterator[ImportedEpisode]:
    for folder in folders:
        frames = np.stack([_read_image(path) for path in _images_in(folder)])
        num_steps = len(frames) - 1
        if not (folder / _ARRAYS).exists():
            no = np.zeros(num_steps, np.bool_)
            yield ImportedEpisode(frames, np.zeros(num_steps, np.int64), no.astype(float), no, no)
            continue
        with np.load(folder / _ARRAYS, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "facts"}
        yield ImportedEpisode(
            frames=frames, info=EpisodeInfo(**_read_header(folder)["info"]), **arrays
        )


def _read_header(folder: Path) -> dict:
    if not (folder / _ARRAYS).exists():
        return {}
    with np.load(folder / _ARRAYS, allow_pickle=False) as file:
        return json.loads(file["facts"].tobytes())


def _images_in(folder: Path) -> list[Path]:
    def natural(path: Path) -> list[int | str]:
        parts = re.split(r"(\d+)", path.name)
        return [int(part) if part.isdigit() else part for part in parts]

    images = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    return sorted(images, key=natural)


def _read_image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error})") from None
