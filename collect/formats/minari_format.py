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
from gymnasium.envs.registration import EnvSpec

from worldtokens.collect.dataset.episode import RAM_BYTES, EpisodeInfo
from worldtokens.collect.dataset.shard_reading import is_stored
from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.collect.formats.importing import FrameSize, ImportedEpisode, Loader, Source
from worldtokens.collect.formats.minari_ids import DATA, find_minari, minari_id
from worldtokens.collect.formats.minari_spaces import FlatActions, Pictures
from worldtokens.common.env_names import GYMNASIUM
from worldtokens.envs import EnvConfig, usual_name
from worldtokens.envs.registration import make_registered

_INFO = "worldtokens_episode"
_ENV = "worldtokens_env"


def export_minari(source: EpisodeSource, folder: Path, id: str | None = None) -> None:
    """Writes all episodes as a Minari dataset, frames as they are (no JPEG).

    RAM and lives become `infos`; id, start and cell become metadata of each episode. With the
    environment's spec, `recover_environment()` makes the environment with its settings.

    Args:
        source: What to write.
        folder: The dataset's folder, in which data/ will lie; must not exist, or be empty.
        id: Its id, see `minari_id`; it is found by it where `folder` is ROOT/ID.

    Raises:
        ValueError: The package minari is not installed.
    """
    minari = _import_minari()
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    folder.mkdir(parents=True, exist_ok=True)
    storage = MinariStorage.new(
        folder / DATA,
        observation_space=gymnasium.spaces.Box(0, 255, source.frame_shape, np.uint8),
        action_space=gymnasium.spaces.Discrete(source.num_actions),
        env_spec=_spec(source.env_config),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata(
        {
            "dataset_id": minari_id(source.game, id),
            "minari_version": minari.__version__,
            "description": f"Episodes of {source.game}; settings {source.env_config.stored()}.",
            "worldtokens_game": source.game,
            _ENV: json.dumps(source.env_config.stored()),
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


def _spec(config: EnvConfig) -> EnvSpec:
    """Returns what gymnasium makes the environment from, with the settings that differ."""
    usual = EnvConfig(config.name).stored() if config._target_ is None else {}
    kwargs = {k: v for k, v in config.stored().items() if k == "name" or usual.get(k) != v}
    return EnvSpec(
        id=minari_id(config.name).removesuffix("-v0"),
        entry_point=f"{make_registered.__module__}:{make_registered.__name__}",
        kwargs=kwargs,
    )


def read_minari(folder: Path) -> Source:
    """Opens a Minari dataset of pictures with discrete actions.

    Pictures may be a key of a Dict, grey, floats or stacked, as in environments (see
    `PictureRule`); actions may be MultiDiscrete.

    Raises:
        ValueError: The package minari is not installed, or the dataset is of another kind.
    """
    _import_minari()
    from minari.dataset.minari_storage import MinariStorage

    folder = find_minari(str(folder))
    try:
        storage = MinariStorage.read(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"source: {folder} is not a Minari dataset ({reason:.200})") from None
    for file in sorted(folder.rglob("*.hdf5")):
        _check_links(file)
    pictures = Pictures(storage.observation_space, folder)
    actions = FlatActions(storage.action_space, folder)
    metadata: dict[str, Any] = storage.metadata
    meanings = metadata.get("worldtokens_action_meanings")
    return Source(
        game=metadata.get("worldtokens_game") or _game_of_spec(metadata),
        num_actions=actions.count,
        action_meanings=tuple(meanings) if meanings else None,
        # Minari encodes images as JPEG by default.
        lossy=bool(metadata.get("jpeg_encoding", True)),
        loaders=_loaders(storage, pictures, actions),
        env=_settings(metadata),
    )


def _settings(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the settings of the environment that an export of this project holds."""
    try:
        settings = json.loads(metadata[_ENV])
    except (KeyError, TypeError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def _game_of_spec(metadata: dict[str, Any]) -> str | None:
    """Returns the name of the environment that a dataset was recorded in, where it says so."""
    try:
        id = str(json.loads(metadata["env_spec"])["id"])
    except (KeyError, TypeError, ValueError):
        return None
    try:
        return usual_name(id)
    except ValueError:
        return GYMNASIUM + id


def _loaders(storage: Any, pictures: Pictures, actions: FlatActions) -> Iterator[Loader]:
    for index in range(int(storage.total_episodes)):
        yield partial(_load, storage, index, pictures, actions)


def _load(
    storage: Any, index: int, pictures: Pictures, actions: FlatActions, size: FrameSize | None
) -> ImportedEpisode:
    """Reads an episode; its actions are counted from 0, whatever number the space begins with."""
    try:
        (episode,) = storage.get_episodes([index])
        (metadata,) = storage.get_episode_metadata([index])
        frames = pictures.to_frames(episode["observations"])
        infos = episode["infos"] or {}
        info = metadata.get(_INFO)
        return ImportedEpisode(
            frames=frames,
            actions=actions.flatten(np.asarray(episode["actions"])),
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
