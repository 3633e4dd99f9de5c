"""Where dreams on a page begin: a few known frames of each room, as tokens."""

from dataclasses import dataclass

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.envs import ram_labels
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode


@dataclass(frozen=True)
class Start:
    """Known frames to dream on from.

    Attributes:
        name: What a player reads, such as "room 3".
        episode: Of the dataset.
        first_frame: First of the known frames, in the episode.
        lives: That were left at the last of them.
        tokens: Of the frames, (T, K).
        actions: Between them, T - 1.
    """

    name: str
    episode: str
    first_frame: int
    lives: int
    tokens: list[list[int]]
    actions: list[int]


def choose_starts(
    dataset: EpisodeSource, tokens: TokenDataset, context: int, count: int
) -> list[Start]:
    """Chooses starts in as many scenes (rooms) as there are, then in others of their episodes.

    Args:
        dataset: The episodes.
        tokens: The same as tokens.
        context: Known frames of a start.
        count: At most so many.

    Raises:
        ValueError: No episode has that many frames.
    """
    by_scene: dict[int, list[tuple[TokenEpisode, int]]] = {}
    for episode in tokens.episodes:
        for first, scene in _visits(episode, context):
            by_scene.setdefault(scene, []).append((episode, first))
    if not by_scene:
        longest = max(len(episode) for episode in tokens.episodes) + 1
        raise ValueError(
            f"context: expected at most {longest} frames, those of the longest episode, got "
            f"{context}"
        )
    # Those that end a step earlier than their room is left show little of it.
    rounds = max(len(visits) for visits in by_scene.values())
    drawn = [
        (scene, *by_scene[scene][number])
        for number in range(rounds)
        for scene in sorted(by_scene)
        if number < len(by_scene[scene])
    ][:count]
    has_rooms = "room" in ram_labels(dataset.game)
    drawn.sort(key=lambda start: start[0])
    seen: dict[int, int] = {}
    starts = []
    for number, (scene, episode, first) in enumerate(drawn):
        seen[scene] = seen.get(scene, 0) + 1
        name = f"room {scene}" if has_rooms else f"start {number + 1}"
        if has_rooms and seen[scene] > 1:
            name += f", {seen[scene]}"
        starts.append(_start(dataset, episode, first, context, name))
    return starts


def _visits(episode: TokenEpisode, context: int) -> list[tuple[int, int]]:
    """Returns the first window of each visit to a scene that lies in it, and the scene."""
    scenes, visits = episode.scenes, []
    changed = np.flatnonzero(np.diff(scenes)) + 1
    bounds = [0, *changed.tolist(), len(scenes)]
    for first, end in zip(bounds, bounds[1:], strict=False):
        if end - first >= context:
            visits.append((first, int(scenes[first])))
    return visits


def _start(
    dataset: EpisodeSource, episode: TokenEpisode, first: int, context: int, name: str
) -> Start:
    last = episode.first_frame + first + context - 1
    return Start(
        name=name,
        episode=episode.name,
        first_frame=first,
        lives=int(dataset.read("lives", last, last + 1)[0]),
        tokens=episode.tokens[first : first + context].astype(int).tolist(),
        actions=episode.actions[first : first + context - 1].astype(int).tolist(),
    )
