"""Datasets of episodes, on disk or copied into memory."""

import hashlib
import os
import sys
from dataclasses import dataclass

import numpy as np

from worldtokens.collect.dataset.checks import check_steps
from worldtokens.collect.dataset.description import find_dataset, read_description
from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.dataset.open_shards import OpenShards
from worldtokens.collect.dataset.segments import StepArrays
from worldtokens.collect.dataset.shard_reading import (
    STEP_ARRAYS,
    ForeignShard,
    ShardInfo,
    list_shards,
    read_shard_info,
)
from worldtokens.collect.dataset.source import EpisodeSource, Split
from worldtokens.common.commands import stage_command

SHARDS_FOLDER = "shards"
_HELDOUT_ONE_IN = 10
# Below this share of an episode's frames, single reads cost less than the whole episode.
_SPARSE = 1 / 16


def is_heldout_seed(seed: int) -> bool:
    """Tells whether episodes of a seed are held out: those whose seed ends in 9.

    The collector gives the k-th episode of a job a seed that ends in k's last digit, so any ten
    consecutive episodes hold exactly one that is held out.
    """
    return seed % _HELDOUT_ONE_IN == _HELDOUT_ONE_IN - 1


@dataclass(frozen=True)
class _Location:
    """Where an episode lies: in which shard, from which row of frames and of steps."""

    info: EpisodeInfo
    shard: int
    frame_row: int
    step_row: int


class EpisodeDataset(EpisodeSource):
    """The union of a folder's shards, read lazily and without locks.

    Episodes are ordered by id, whatever shard they lie in. Shards that are written later are not
    seen: open the dataset again.

    Splits: an episode is held out where `is_heldout_seed` says so of its seed. Where that leaves
    one side empty and there are two episodes or more, the one with the smallest seed is held out
    alone.

    Objects may be pickled and used after a fork: every process opens the files for itself.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: Split | None = None,
        *,
        check_values: bool = True,
    ) -> None:
        """Reads the tables of all shards; frames are read when asked for.

        Args:
            path: The dataset's folder, for example "data/MontezumaRevenge"; or a name such as
                "montezuma_revenge", for the start frames beside the weights of that name.
            split: None for everything, "train" or "heldout".
            check_values: Whether `steps` refuses actions and rewards that are impossible.

        Raises:
            ValueError: No dataset there, a bad shard, an unknown split or an empty split.
            OSError: A shard cannot be read.
        """
        if split is not None and not (isinstance(split, str) and split in ("train", "heldout")):
            raise ValueError(f"split: expected None, 'train' or 'heldout', got {split!r}")
        # Absolute, so that the working folder may change.
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ValueError(f"path: expected the folder of a dataset, got {path!r}")
        path = find_dataset(path).absolute()
        description = read_description(path)
        shards = [read_shard_info(shard) for shard in list_shards(path / SHARDS_FOLDER)]
        _check_frames(shards, description.frame_shape)
        self._shards = OpenShards([shard.path for shard in shards])
        everything = _locate(shards)
        self._locations = _choose(everything, split)
        if not self._locations:
            where = f"the {split} split of {path}" if split else str(path)
            raise ValueError(
                f"{where} has no episodes ({len(everything)} in all); collect more with "
                f"`{stage_command('collect')} env={description.env.name} data={path}`"
            )
        super().__init__(
            path,
            split,
            description,
            tuple(location.info for location in self._locations),
            _fingerprint(shards),
        )
        self._steps: StepArrays | None = None
        self._checks_values = check_values

    def in_memory(self) -> "InMemoryDataset":
        """Returns a copy that holds every frame in memory (12 kB each) and is much faster."""
        return InMemoryDataset(self)

    @property
    def steps(self) -> StepArrays:
        """See `EpisodeSource.steps`; read once."""
        if self._steps is None:
            self._steps = self._read_steps()
        return self._steps

    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """See `EpisodeSource.gather_frames`."""
        indices = self._check_indices("indices", indices)
        frames = np.zeros((len(indices), *self.frame_shape), np.uint8)
        episodes = np.searchsorted(self.frame_starts, indices, side="right") - 1
        for episode in np.unique(episodes).tolist():
            chosen = np.flatnonzero(episodes == episode)
            start, stop = (int(row) for row in self.frame_starts[episode : episode + 2])
            if len(chosen) > (stop - start) * _SPARSE:
                frames[chosen] = self.read_frames(start, stop)[indices[chosen] - start]
                continue
            for row in chosen.tolist():
                index = int(indices[row])
                frames[row] = self.read_frames(index, index + 1)[0]
        return frames

    def _read_frame_array(self, name: str, start: int, stop: int) -> np.ndarray:
        episode = int(np.searchsorted(self.frame_starts, start, side="right")) - 1
        pieces = []
        while start < stop:
            location = self._locations[episode]
            first = int(self.frame_starts[episode])
            end = min(stop, int(self.frame_starts[episode + 1]))
            offset = location.frame_row - first
            pieces.append(self._shards.read(location.shard, name, start + offset, end + offset))
            start, episode = end, episode + 1
        if len(pieces) == 1:
            return pieces[0]
        if not pieces:
            return self._shards.read(self._locations[0].shard, name, 0, 0)
        return np.concatenate(pieces)

    def _read_steps(self) -> StepArrays:
        arrays = StepArrays(
            actions=np.zeros(self.num_frames, np.int64),
            rewards=np.zeros(self.num_frames, np.float32),
            terminated=np.zeros(self.num_frames, np.bool_),
            truncated=np.zeros(self.num_frames, np.bool_),
            action_mask=np.ones(self.num_frames, np.bool_),
        )
        arrays.action_mask[self.frame_starts[1:] - 1] = False
        columns: dict[int, dict[str, np.ndarray]] = {}
        for episode, location in enumerate(self._locations):
            if location.shard not in columns:
                columns[location.shard] = {
                    name: self._shards.read(location.shard, name, 0, None) for name in STEP_ARRAYS
                }
            first, count = int(self.frame_starts[episode]), location.info.num_steps
            for name, values in columns[location.shard].items():
                rows = values[location.step_row : location.step_row + count]
                getattr(arrays, name)[first : first + count] = rows
        if self._checks_values:
            self._check_values(arrays)
        return arrays

    def _check_values(self, steps: StepArrays) -> None:
        """Checks actions and rewards; shards of other programs may hold anything."""
        self._note_ends_inside(steps)
        actions = steps.actions[steps.action_mask]
        is_known = len(actions) == 0 or (actions.min() >= 0 and actions.max() < self.num_actions)
        if is_known and np.isfinite(steps.rewards).all():
            return
        for episode, (first, end) in enumerate(
            zip(self.frame_starts[:-1].tolist(), self.frame_starts[1:].tolist(), strict=True)
        ):
            try:
                check_steps(
                    self.infos[episode].id,
                    steps.actions[first : end - 1],
                    steps.rewards[first : end - 1],
                    self.num_actions,
                )
            except ValueError as error:
                raise ValueError(
                    f"{self.path}: {error}; make a dataset without such episodes: "
                    f"`{stage_command('import-episodes')} format=dataset source={self.path} "
                    "data=NEW`"
                ) from None

    def _note_ends_inside(self, steps: StepArrays) -> None:
        """Says which episodes go on after an end; imports of earlier versions let them pass."""
        over = steps.terminated | steps.truncated
        over[self.frame_starts[1:] - 2] = False
        if not over.any():
            return
        rows = np.searchsorted(self.frame_starts, np.flatnonzero(over), side="right") - 1
        episodes = np.unique(rows)
        print(
            f"note: {self.path}: {len(episodes)} of {len(self)} episodes go on after an end, the "
            f"first is {self.infos[episodes[0]].id}; make a dataset without them: "
            f"`{stage_command('import-episodes')} format=dataset source={self.path} data=NEW`",
            file=sys.stderr,
        )


class InMemoryDataset(EpisodeSource):
    """A dataset whose arrays are all in memory; the same methods and order as its source.

    Attributes:
        frames: uint8 (num_frames, H, W, 3).
        ram: uint8 (num_frames, 128).
        lives: uint8 (num_frames,).
    """

    def __init__(self, source: EpisodeDataset) -> None:
        """Copies a dataset."""
        super().__init__(
            source.path, source.split, source.description, source.infos, source.fingerprint
        )
        self._steps = source.steps
        self.frames = np.empty((self.num_frames, *self.frame_shape), np.uint8)
        for start, stop in zip(
            self.frame_starts[:-1].tolist(), self.frame_starts[1:].tolist(), strict=True
        ):
            self.frames[start:stop] = source.read_frames(start, stop)
        self.ram = source.read("ram", 0, self.num_frames)
        self.lives = source.read("lives", 0, self.num_frames)

    @property
    def steps(self) -> StepArrays:
        """See `EpisodeSource.steps`."""
        return self._steps

    def in_memory(self) -> "InMemoryDataset":
        """Returns this dataset itself."""
        return self

    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """See `EpisodeSource.gather_frames`."""
        return self.frames[self._check_indices("indices", indices)]

    def _read_frame_array(self, name: str, start: int, stop: int) -> np.ndarray:
        return getattr(self, name)[start:stop]


def _check_frames(shards: list[ShardInfo], frame_shape: tuple[int, int, int]) -> None:
    for shard in shards:
        if shard.frame_shape != tuple(frame_shape):
            raise ForeignShard(
                f"shard {shard.path}: expected frames of shape {tuple(frame_shape)}, as "
                f"dataset.json says, got {shard.frame_shape}; move it out of the dataset"
            )


def _fingerprint(shards: list[ShardInfo]) -> str:
    digest = hashlib.sha256()
    for shard in sorted(shards, key=lambda shard: shard.path.name):
        digest.update(f"{shard.path.name} {shard.size}\n".encode())
    return digest.hexdigest()[:16]


def _locate(shards: list[ShardInfo]) -> list[_Location]:
    """Finds every episode; an id that was recorded twice, by two jobs at once, counts once."""
    locations: dict[str, _Location] = {}
    for number, shard in enumerate(shards):
        frame_row = step_row = 0
        for info in shard.episodes:
            locations.setdefault(info.id, _Location(info, number, frame_row, step_row))
            frame_row += info.num_steps + 1
            step_row += info.num_steps
    return sorted(locations.values(), key=lambda location: location.info.id)


def _choose(locations: list[_Location], split: Split | None) -> list[_Location]:
    if split is None:
        return locations
    is_heldout = [is_heldout_seed(location.info.seed) for location in locations]
    if len(locations) >= 2 and len(set(is_heldout)) == 1:
        smallest = min(range(len(locations)), key=lambda index: locations[index].info.seed)
        is_heldout = [index == smallest for index in range(len(locations))]
    return [
        location
        for location, held in zip(locations, is_heldout, strict=True)
        if held == (split == "heldout")
    ]
