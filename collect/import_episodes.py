r"""Makes a dataset of episodes of other projects, or adds them to one.

python collect/import_episodes.py format=minari source=worldtokens/Pong-v0
python collect/import_episodes.py env=Pong format=minari source=~/.minari/datasets/atari/pong/v0
python collect/import_episodes.py env=Pong format=images source=frames data=data/pong_images
python collect/import_episodes.py env=Pong format=peer source=outputs/dataset data=data/pong_iris
python collect/import_episodes.py env=gymnasium:Crafter format=peer source=outputs/dataset \
    'action_names=[NOOP,LEFT,RIGHT,UP,DOWN]'
python collect/import_episodes.py format=dataset source=data/from_another_machine data=data/Pong
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from worldtokens.collect.dataset.checks import check_episode
from worldtokens.collect.dataset.description import (
    DatasetDescription,
    read_description,
    write_description,
)
from worldtokens.collect.dataset.episodes import SHARDS_FOLDER, EpisodeDataset
from worldtokens.collect.dataset.shards import ShardWriter
from worldtokens.collect.formats.image_files import read_images
from worldtokens.collect.formats.importing import (
    FrameSize,
    ImportedEpisode,
    NoEpisode,
    Source,
    to_episode,
)
from worldtokens.collect.formats.iris_diamond import read_peer_episodes
from worldtokens.collect.formats.minari_format import read_minari
from worldtokens.collect.formats.minari_ids import find_minari
from worldtokens.collect.formats.source_description import describe_source
from worldtokens.common.checks import check_at_least
from worldtokens.common.env_names import folder_name
from worldtokens.training.command_line import launch


@dataclass
class ImportConfig:
    """The keys of configs/import_episodes.yaml, explained there."""

    env: str | None
    game: str | None
    format: str
    source: str
    data: str
    frame_height: int
    frame_width: int
    shard_steps: int
    full_action_space: bool | None
    action_names: list[str] | None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        check_at_least(
            1,
            frame_height=self.frame_height,
            frame_width=self.frame_width,
            shard_steps=self.shard_steps,
        )


def read_dataset(folder: Path) -> Source:
    """Opens another dataset of this project, to merge it."""
    dataset = EpisodeDataset(folder, check_values=False)

    def load(index: int, size: FrameSize | None) -> ImportedEpisode:
        episode = dataset.episodes[index]
        arrays = {
            name: getattr(episode, name)
            for name in ("frames", "actions", "rewards", "terminated", "truncated")
        }
        return ImportedEpisode(**arrays, ram=episode.ram, lives=episode.lives, info=episode.info)

    return Source(
        game=dataset.game,
        num_actions=dataset.num_actions,
        action_meanings=dataset.action_meanings,
        lossy=dataset.description.lossy,
        loaders=(partial(load, index) for index in range(len(dataset))),
    )


READERS: dict[str, Callable[[Path], Source]] = {
    "dataset": read_dataset,
    "images": read_images,
    "minari": read_minari,
    "peer": read_peer_episodes,
}


def main(config: ImportConfig) -> None:
    """Imports everything; what an earlier run imported counts once.

    An episode with an impossible value is left out, all others are imported.
    """
    if config.format not in READERS:
        raise ValueError(f"format: expected one of {', '.join(READERS)}, got {config.format!r}")
    folder = Path(config.source).expanduser()
    if config.format == "minari":
        folder = find_minari(config.source)
    if not folder.is_dir():
        raise ValueError(f"source: expected a folder, got {config.source}, which is none")
    source = READERS[config.format](folder)
    game = config.game or source.game
    if game is None:
        raise ValueError(
            "env: expected the name of a game, got null; the source does not say which it shows"
        )
    is_named = config.env or config.data != "data/None"
    target = Path(config.data if is_named else f"data/{folder_name(game)}")
    size = (config.frame_height, config.frame_width)
    if config.format == "dataset":
        description = read_description(folder)
    else:
        description = describe_source(
            source, folder, game, size, config.full_action_space, config.action_names
        )
    importer = _Importer(config, folder, target, description)
    for number, loader in enumerate(tqdm(source.loaders, unit="episode", mininterval=0.5)):
        importer.add(number, lambda loader=loader: loader(size))
    importer.finish()
    dataset = EpisodeDataset(target)
    lossy = " (lossy)" if source.lossy else ""
    print(f"imported   {importer.frames} frames of {importer.imported} episodes{lossy}")
    importer.print_rest()
    print(f"dataset    {target}: {len(dataset)} episodes, {dataset.num_frames} frames")


class _Importer:
    """Writes episodes, and counts those that it leaves out.

    Attributes:
        imported: Episodes written.
        frames: Frames written.
    """

    def __init__(
        self, config: ImportConfig, folder: Path, target: Path, description: DatasetDescription
    ) -> None:
        self._config = config
        self._folder = folder
        self._target = target
        self._description = description
        self._job = f"import-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]}"
        self._writer: ShardWriter | None = None
        self._bad: list[str] = []
        self._others: list[str] = []
        self.imported = 0
        self.frames = 0

    def add(self, number: int, load: Callable[[], ImportedEpisode]) -> None:
        """Reads an episode and writes it, or notes why not."""
        height, width, _ = self._description.frame_shape
        try:
            episode = to_episode(load(), number, self._job, (height, width))
            check_episode(
                episode, self._description.frame_shape, len(self._description.action_meanings)
            )
        except NoEpisode as error:
            self._others.append(str(error))
            return
        except (ValueError, TypeError) as error:
            self._bad.append(str(error))
            return
        if self._writer is None:
            # Here, so that a source without a good episode leaves nothing behind.
            write_description(self._target, self._description)
            self._writer = ShardWriter(
                self._target / SHARDS_FOLDER, self._job, self._description.frame_shape
            )
        self._writer.append(episode)
        self.imported += 1
        self.frames += len(episode.frames)
        if self._writer.num_steps >= self._config.shard_steps:
            self._writer.flush()

    def finish(self) -> None:
        """Writes what is gathered.

        Raises:
            ValueError: No episode could be imported.
        """
        if self._writer is not None:
            self._writer.flush()
            return
        count = len(self._bad) + len(self._others)
        first = (self._bad or self._others or ["it has none"])[0]
        way_out = ""
        if "actions: expected numbers in" in first and self._config.full_action_space is None:
            way_out = "; set full_action_space=true if it was recorded with all 18 actions"
        raise ValueError(
            f"source: expected episodes, got {count} in {self._folder} that cannot be imported; "
            f"the first: {first}{way_out}"
        )

    def print_rest(self) -> None:
        """Prints how many files and episodes were left out, and the first of each."""
        if self._others:
            print(f"skipped    {len(self._others)} files that are no episodes: {self._others[0]}")
        if self._bad:
            print(f"left out   {len(self._bad)} bad episodes, the first: {self._bad[0]}")


def cli() -> None:
    """Runs the command line."""
    launch(main, ImportConfig, "import_episodes")


if __name__ == "__main__":
    cli()
