"""Datasets of Minari: export without loss, and import.

Needs the package minari: pip install 'worldtokens[minari]'.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np

from worldtokens.collect.dataset.episode import RAM_BYTES, EpisodeInfo
from worldtokens.collect.dataset.shard_reading import is_stored
from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.collect.formats.importing import FrameSize, ImportedEpisode, Loader, Source

_INFO = "worldtokens_episode"


def export_minari(source: EpisodeSource, folder: Path) -> None:
    """Writes all episodes as a Minari dataset, frames as they are (no JPEG).

    RAM and lives become `infos`; id, start and cell become metadata of each episode.

    Args:
        source: What to write.
        folder: The dataset's folder; must not exist.

    Raises:
        ValueError: The package minari is not installed.
    """
    minari = _import_minari()
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(
        folder,
        observation_space=gymnasium.spaces.Box(0, 255, source.frame_shape, np.uint8),
        action_space=gymnasium.spaces.Discrete(source.num_actions),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata(
        {
            "dataset_id": f"worldtokens/{source.game}-v0",
            "minari_version": minari.__version__,
            "description": f"Episodes of {source.game}; settings {source.env_config.stored()}.",
            "worldtokens_game": source.game,
            "worldtokens_action_meanings": list(source.action_meanings),
        }
    )

    def buffers() -> Iterator[EpisodeBuffer]:
        for number, episode in enumerate(source.episodes):
            yield EpisodeBuffer(
                id=number,
                seed=episode.seed,
                observations=episode.frames,  # pyright: ignore[reportArgumentType]
                actions=episode.actions,  # pyright: ignore[reportArgumentType]
                rewards=episode.rewards,  # pyright: ignore[reportArgumentType]
                terminations=episode.terminated,  # pyright: ignore[reportArgumentType]
                truncations=episode.truncated,  # pyright: ignore[reportArgumentType]
                infos={"ram": episode.ram, "lives": episode.lives},
            )

    storage.update_episodes(buffers())
    storage.update_episode_metadata({_INFO: json.dumps(asdict(info))} for info in source.infos)


def read_minari(folder: Path) -> Source:
    """Opens a Minari dataset of images with discrete actions.

    Raises:
        ValueError: The package minari is not installed, or the dataset is of another kind.
    """
    _import_minari()
    from minari.dataset.minari_storage import MinariStorage

    try:
        storage = MinariStorage.read(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"source: {folder} is not a Minari dataset ({reason:.200})") from None
    for file in sorted(folder.rglob("*.hdf5")):
        _check_links(file)
    frames, actions = storage.observation_space, storage.action_space
    is_image = isinstance(frames, gymnasium.spaces.Box) and frames.dtype == np.uint8
    shape = frames.shape or ()
    if not is_image or len(shape) != 3 or shape[2] != 3:
        raise ValueError(
            f"source: expected observations that are uint8 images (height, width, 3), "
            f"got {frames} in {folder}"
        )
    if not isinstance(actions, gymnasium.spaces.Discrete):
        raise ValueError(f"source: expected actions of a Discrete space, got {actions} in {folder}")
    metadata: dict[str, Any] = storage.metadata
    meanings = metadata.get("worldtokens_action_meanings")
    return Source(
        game=metadata.get("worldtokens_game"),
        num_actions=int(actions.n),
        action_meanings=tuple(meanings) if meanings else None,
        # Minari encodes images as JPEG by default.
        lossy=bool(metadata.get("jpeg_encoding", True)),
        loaders=_loaders(storage, int(actions.start)),
    )


def _loaders(storage: Any, first_action: int) -> Iterator[Loader]:
    for index in range(int(storage.total_episodes)):
        yield partial(_load, storage, index, first_action)


def _load(storage: Any, index: int, first_action: int, size: FrameSize | None) -> ImportedEpisode:
    """Reads an episode; its actions are counted from 0, whatever number the space begins with."""
    try:
        (episode,) = storage.get_episodes([index])
        (metadata,) = storage.get_episode_metadata([index])
        frames = np.asarray(episode["observations"])
        infos = episode["infos"] or {}
        info = metadata.get(_INFO)
        return ImportedEpisode(
            frames=frames,
            actions=np.asarray(episode["actions"]) - first_action,
            rewards=np.asarray(episode["rewards"]),
            terminated=np.asarray(episode["terminations"]),
            truncated=np.asarray(episode["truncations"]),
            ram=_fitting(infos.get("ram"), (len(frames), RAM_BYTES)),
            lives=_fitting(infos.get("lives"), (len(frames),)),
            info=EpisodeInfo(**json.loads(info)) if info else None,
            seed=None if metadata.get("seed") is None else int(metadata["seed"]),
        )
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"episode {index}: expected an episode of Minari ({reason:.200})"
        ) from None


def _check_links(path: Path) -> None:
    """Checks that all arrays lie in the file itself, and that it holds what they declare.

    Raises:
        ValueError: One does not.
    """

    def walk(group: h5py.Group, prefix: str) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"source: {path}: {prefix}{name} is a link, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                walk(item, f"{prefix}{name}/")
            elif isinstance(item, h5py.Dataset) and not is_stored(item):
                raise ValueError(f"source: {path}: {prefix}{name} is not stored in the file")

    try:
        with h5py.File(path, "r", locking=False) as file:
            walk(file, "")
    except (RuntimeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"source: {path} is damaged ({reason:.200})") from None


def _fitting(values: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    array = None if values is None else np.asarray(values)
    return array if array is not None and array.shape == shape else None


def _import_minari() -> Any:
    try:
        import minari
    except ImportError:
        raise ValueError(
            "format=minari: expected the package minari, got none; "
            "pip install 'worldtokens[minari]'"
        ) from None
    return minari
