"""Excerpts of held-out episodes: short episodes to dream on from, small enough to ship."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    ShardWriter,
    write_description,
)
from worldtokens.world_model.data.segments import parse_frame_id


def choose_excerpts(
    dataset: EpisodeDataset, count: int, steps: int, include: Sequence[str], seed: int
) -> list[Episode]:
    """Cuts excerpts out of episodes, spread over the scenes (rooms) that they begin in.

    Args:
        dataset: Held-out episodes.
        count: Number of excerpts, fewer if there are no more.
        steps: Steps of each.
        include: Excerpts that come first, as EPISODE:FRAME; the others are drawn.
        seed: Seed of the draw.

    Raises:
        ValueError: No episode is long enough, or one of `include` does not exist.
    """
    included = [find_excerpt(dataset, text, steps) for text in include]
    rng = np.random.default_rng(seed)
    by_scene: dict[int, list[tuple[int, int]]] = {}
    for index in rng.permutation(len(dataset)).tolist():
        last_start = dataset.infos[index].num_steps - steps
        if last_start >= 0:
            first = int(rng.integers(last_start + 1))
            scene = int(dataset.scene[dataset.frame_starts[index] + first])
            by_scene.setdefault(scene, []).append((index, first))
    if not by_scene:
        longest = max(info.num_steps for info in dataset.infos)
        raise ValueError(
            f"start_steps: expected at most {longest}, the steps of the longest held-out episode, "
            f"got {steps}"
        )
    # The first of every scene, then the second of every scene, and so on.
    rounds = max(len(starts) for starts in by_scene.values())
    drawn = [
        by_scene[scene][number]
        for number in range(rounds)
        for scene in sorted(by_scene)
        if number < len(by_scene[scene])
    ]
    starts = included + [start for start in drawn if start not in included]
    return [cut(dataset.episodes[index], first, steps) for index, first in starts[:count]]


def add_excerpts(shipped: EpisodeDataset, excerpts: Sequence[Episode]) -> list[Episode]:
    """Returns excerpts that were saved before, then the new ones that are not among them.

    Args:
        shipped: The held-out episodes of what `save_excerpts` wrote.
        excerpts: What `choose_excerpts` returned.
    """
    known = {info.id for info in shipped.infos}
    return [*shipped.episodes, *(e for e in excerpts if e.id not in known)]


def find_excerpt(dataset: EpisodeDataset, frame_id: str, steps: int) -> tuple[int, int]:
    """Finds the number of the episode and the first frame of an excerpt at EPISODE:FRAME.

    Raises:
        ValueError: There is no such excerpt among the episodes.
    """
    name, first = parse_frame_id("include", frame_id)
    index = {info.id: index for index, info in enumerate(dataset.infos)}.get(name)
    if index is None or first + steps > dataset.infos[index].num_steps:
        raise ValueError(
            f"include: expected EPISODE:FRAME of a held-out episode with {steps} steps after it, "
            f"got {frame_id!r}"
        )
    return index, first


def cut(episode: Episode, first: int, steps: int) -> Episode:
    """Cuts out steps [first, first + steps) as an episode, truncated unless the game ended."""
    rows, frames = slice(first, first + steps), slice(first, first + steps + 1)
    rewards, terminated = episode.rewards[rows], episode.terminated[rows]
    return Episode(
        info=dataclasses.replace(
            episode.info, id=f"{episode.id}-from-{first:06d}", num_steps=steps,
            total_reward=float(rewards.sum()),
        ),
        frames=episode.frames[frames],
        actions=episode.actions[rows],
        rewards=rewards,
        terminated=terminated,
        truncated=~terminated & (np.arange(steps) == steps - 1),
        ram=episode.ram[frames],
        lives=episode.lives[frames],
    )  # fmt: skip


def save_excerpts(
    folder: Path, description: DatasetDescription, excerpts: Sequence[Episode], training: Episode
) -> None:
    """Writes excerpts of held-out episodes as a dataset.

    Args:
        folder: The dataset's folder.
        description: Of the dataset that they come from.
        excerpts: What `choose_excerpts` returned.
        training: Any training episode. A dataset without one would hold out one episode only, so
            its first step goes along.
    """
    write_description(folder, description)
    writer = ShardWriter(folder / "shards", "starts", description.frame_shape)
    for excerpt in (*excerpts, cut(training, 0, 1)):
        writer.append(excerpt)
    writer.flush()
