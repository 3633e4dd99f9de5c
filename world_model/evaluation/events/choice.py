"""Which windows the events table is measured on: events, windows without any, near misses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.collect.go_explore.cells import RamCells, make_cells
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.events.events import (
    KINDS,
    LOST_LIFE,
    REWARD,
    SCENE,
    SPAN,
    EventStep,
    list_events,
)
from worldtokens.world_model.evaluation.setup import Setup


@dataclass(frozen=True)
class Windows:
    """The windows of one kind of event.

    Attributes:
        kind: Of `KINDS`.
        events: At most as many as wanted, drawn.
        near_misses: Of rewards: as many visits to the same places without one.
        quiet: Windows without any event of the kind, by episode and first frame.
    """

    kind: str
    events: Sequence[EventStep]
    near_misses: Sequence[EventStep]
    quiet: Sequence[tuple[TokenEpisode, int]]


def choose_windows(setup: Setup, count: int) -> Iterator[Windows]:
    """Chooses the windows of every kind that happens.

    Args:
        setup: Has the held-out episodes.
        count: Draws at most so many events of a kind, and so many windows without.
    """
    rng = np.random.default_rng(setup.seed)
    try:
        quiet = setup.tokens.starts(count, setup.context, SPAN, rng)
    except ValueError:
        # Shorter episodes have events, but no such windows without.
        quiet = []
    events = list_events(setup.tokens.episodes)
    near = find_near_misses(setup.heldout, setup.tokens.episodes, events[REWARD])
    for kind in KINDS:
        chosen = choose(events[kind], count, rng)
        misses = _as_many(chosen, near, rng) if kind == REWARD else []
        if chosen:
            without = [window for window in quiet if not _happens(kind, *window, setup.context)]
            yield Windows(kind, chosen, misses, without)


def _as_many(
    events: Sequence[EventStep],
    near: Mapping[tuple[float, int], list[EventStep]],
    rng: np.random.Generator,
) -> list[EventStep]:
    """Draws as many near misses of each value and scene as there are events."""
    misses = []
    for (value, scene), candidates in near.items():
        count = sum((event.value, event.scene) == (value, scene) for event in events)
        misses += choose(candidates, count, rng)
    return misses


def _happens(kind: str, episode: TokenEpisode, first: int, context: int) -> bool:
    """Returns whether an event of the kind happens in the steps that a window is dreamt."""
    steps = slice(first + context - 1, first + context - 1 + SPAN)
    if kind == SCENE:
        return len(np.unique(episode.scenes[steps.start : steps.stop + 1])) > 1
    happens = {REWARD: episode.rewards != 0, LOST_LIFE: episode.lives_lost}
    return bool(happens.get(kind, episode.terminated)[steps].any())


def choose(events: Sequence[EventStep], count: int, rng: np.random.Generator) -> list[EventStep]:
    """Draws at most so many events, without repetition, in their order."""
    chosen = np.sort(rng.permutation(len(events))[:count])
    return [events[number] for number in chosen.tolist()]


def find_near_misses(
    dataset: EpisodeSource, episodes: Sequence[TokenEpisode], rewards: Sequence[EventStep]
) -> dict[tuple[float, int], list[EventStep]]:
    """Finds visits to the places of rewards that were not rewarded.

    A place is a cell of the collector: the room, what is carried, and the player's position to 8
    RAM units. Of each visit (the frames between entering and leaving it) one frame is taken, its
    middle; no step near it pays.

    Args:
        dataset: Has the RAM.
        episodes: Its episodes.
        rewards: The rewards among their events.

    Returns:
        Near misses by value and scene of the reward that they miss; nothing for games and data
        without labelled RAM.
    """
    cells = make_cells(dataset.game, "auto")
    ram = dataset.read("ram", 0, dataset.num_frames) if rewards else np.zeros((0, 128), np.uint8)
    if not isinstance(cells, RamCells) or not ram.any():
        return {}
    places: dict[tuple[float, int], set[str]] = {}
    for event in rewards:
        key = cells.key(ram[event.episode.first_frame + event.step], None)
        places.setdefault((event.value, event.scene), set()).add(key)
    wanted = set.union(*places.values())
    found: dict[tuple[float, int], list[EventStep]] = {group: [] for group in places}
    for episode in episodes:
        rows = ram[episode.first_frame : episode.first_frame + len(episode)]
        for cell, step in _visits(rows, cells):
            near = episode.rewards[max(0, step - SPAN) : step + SPAN]
            if cell not in wanted or near.any():
                continue
            scene = int(episode.scenes[step])
            for group, keys in places.items():
                if cell in keys:
                    found[group].append(EventStep(REWARD, group[0], scene, episode, step))
    return found


def _visits(ram: np.ndarray, cells: RamCells) -> list[tuple[str, int]]:
    """Lists an episode's visits: the cell, and the frame in the middle."""
    coarse = ram[:, cells.bytes_] // np.array(cells.divisors, np.uint8)
    enters = np.flatnonzero((coarse[1:] != coarse[:-1]).any(axis=1)) + 1
    bounds = np.concatenate(([0], enters, [len(ram)]))
    middles = (bounds[:-1] + bounds[1:]) // 2
    return [(cells.key(ram[middle], None), middle) for middle in middles.tolist()]
