"""Makes a dataset of episodes of other projects, or adds them to one.

python collect/import_episodes.py env=Pong format=minari source=~/.minari/datasets/atari/pong/v0
python collect/import_episodes.py env=Pong format=images source=frames data=data/pong_images
python collect/import_episodes.py env=Pong format=peer source=outputs/dataset data=data/pong_iris
python collect/import_episodes.py format=dataset source=data/from_another_machine data=data/Pong
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from worldtokens.collect.dataset.description import (
    DatasetDescription,
    read_description,
    write_description,
)
from worldtokens.collect.dataset.episodes import SHARDS_FOLDER, EpisodeDataset
from worldtokens.collect.dataset.shards import ShardWriter
from worldtokens.collect.formats.image_files import read_images
from worldtokens.collect.formats.importing import ImportedEpisode, Source, to_episode
from worldtokens.collect.formats.iris_diamond import read_peer_episodes
from worldtokens.collect.formats.minari_format import read_minari
from worldtokens.envs import EnvConfig, make_env
from worldtokens.training.command_line import launch


@dataclass
class ImportConfig:
    """The keys of configs/import_episodes.yaml, explained there."""

    env: str | None
    format: str
    source: str
    data: str
    frame_height: int
    frame_width: int
    shard_steps: int


def read_dataset(folder: Path) -> Source:
    """Opens another dataset of this project, to merge it."""
    dataset = EpisodeDataset(folder)

    def episodes() -> Iterator[ImportedEpisode]:
        for episode in dataset.episodes:
            arrays = {
                name: getattr(episode, name)
                for name in ("frames", "actions", "rewards", "terminated", "truncated")
            }
            yield ImportedEpisode(**arrays, ram=episode.ram, lives=episode.lives, info=episode.info)

    return Source(
        game=dataset.game,
        num_actions=dataset.num_actions,
        action_meanings=dataset.action_meanings,
        lossy=dataset.description.lossy,
        episodes=episodes(),
    )


READERS: dict[str, Callable[[Path], Source]] = {
    "dataset": read_dataset,
    "images": read_images,
    "minari": read_minari,
    "peer": read_peer_episodes,
}


def main(config: ImportConfig) -> None:
    """Imports everything; what an earlier run imported counts once."""
    if config.format not in READERS:
        raise ValueError(f"format: expected one of {', '.join(READERS)}, got {config.format!r}")
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise ValueError(f"source: expected a folder, got {config.source}, which is none")
    source = READERS[config.format](folder)
    game = config.env or source.game
    if game is None:
        raise ValueError(
            "env: expected the name of a game, got null; the source does not say which it shows"
        )
    target = Path(config.data if config.env or config.data != "data/None" else f"data/{game}")
    size = (config.frame_height, config.frame_width)
    write_description(target, _describe(config, folder, source, game, size))
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    writer = ShardWriter(target / SHARDS_FOLDER, f"import-{digest}", (*size, 3))
    frames = 0
    for number, imported in enumerate(tqdm(source.episodes, unit="episode", mininterval=0.5)):
        episode = to_episode(imported, number, f"import-{digest}", size)
        writer.append(episode)
        frames += len(episode.frames)
        if writer.num_steps >= config.shard_steps:
            writer.flush()
    writer.flush()
    dataset = EpisodeDataset(target)
    print(f"imported   {frames} frames{' (lossy)' if source.lossy else ''}")
    print(f"dataset    {target}: {len(dataset)} episodes, {dataset.num_frames} frames")


def _describe(
    config: ImportConfig, folder: Path, source: Source, game: str, size: tuple[int, int]
) -> DatasetDescription:
    if config.format == "dataset":
        return read_description(folder)
    env_config = EnvConfig(game, frame_height=size[0], frame_width=size[1])
    meanings = source.action_meanings
    if meanings is None:
        meanings = make_env(game).action_meanings
        if source.num_actions not in (None, len(meanings)):
            meanings = make_env(game, full_action_space=True).action_meanings
            env_config = EnvConfig(**{**asdict(env_config), "full_action_space": True})
        if source.num_actions not in (None, len(meanings)):
            raise ValueError(
                f"env: expected a game with the {source.num_actions} actions of {folder}, "
                f"got {game} with {len(meanings)}; choose the right game with env=NAME"
            )
    return DatasetDescription(env_config, meanings, (*size, 3), lossy=source.lossy)


def cli() -> None:
    """Runs the command line."""
    launch(main, ImportConfig, "import_episodes")


if __name__ == "__main__":
    cli()
