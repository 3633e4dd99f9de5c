"""Demonstrations: whole ways from a reset to an event, put together from an archive's paths."""

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.collect.go_explore.paths import Path
from worldtokens.envs import EnvState


@dataclass(frozen=True)
class _Piece:
    """Actions from a saved state on; `seeds` are counted from there."""

    state: bytes
    actions: bytes
    seeds: tuple[tuple[int, int], ...]


def demonstrations(archive: Archive, value: float, scene: int) -> list[Path]:
    """Returns the known ways from a reset to a reward, the step that is paid included.

    An approach begins some steps before its event, at a state that other paths lead to; these lead
    back to a reset. Ways that lie in one exploration have most of their first steps in common.
    `Path.replay` plays them again; they may meet other rewards on the way.

    Args:
        archive: An exploration that kept events (`policy.event_share` above 0).
        value: Of the reward.
        scene: Scene (room) in which it is paid.

    Returns:
        Paths that begin at a reset, shortest first, without those of which a part is unknown.
    """
    before = _pieces_by_end(archive)
    ways = (
        _whole_way(approach, before)
        for approach in archive.approaches
        if (approach.event.kind, approach.event.value, approach.event.scene)
        == ("reward", value, scene)
    )
    return sorted((way for way in ways if way), key=lambda way: (len(way.actions), way.actions))


def known_ways(folder: pathlib.Path, game: str, value: float, scene: int, most: int) -> list[Path]:
    """Returns demonstrations of all explorations of a dataset, of each one in turn.

    Args:
        folder: Of the dataset.
        game: Its game.
        value: Of the reward.
        scene: Scene (room) in which it is paid.
        most: How many, at most.

    Raises:
        ValueError: There is none.
    """
    cells = make_cells(game, "auto")
    archives = [Archive.load(path, cells) for path in sorted(folder.glob("archives/*.npz"))]
    each = [demonstrations(archive, value, scene) for archive in archives]
    longest = max(map(len, each), default=0)
    ways = [ways[n] for n in range(longest) for ways in each if n < len(ways)]
    if not ways:
        raise ValueError(
            f"{folder}: expected archives that know ways to a reward of {value:g} in room {scene}, "
            "got none; explore for longer, with policy.event_share above 0"
        )
    return ways[:most]


def _pieces_by_end(archive: Archive) -> dict[bytes, _Piece]:
    """Returns, for each state that a path leads to, the last piece of the way to it."""
    pieces: dict[bytes, _Piece] = {}
    for approach in archive.approaches:
        for piece, end in _cut(approach.path, None):
            pieces.setdefault(end, piece)
    for route in archive.routes:
        for piece, end in _cut(route.way, route.state) if route.way else ():
            pieces.setdefault(end, piece)
    return pieces


def _cut(path: Path, last: bytes | None) -> Iterator[tuple[_Piece, bytes]]:
    """Cuts a path at its saved states; `last` is the state at its end, where it is known."""
    ends = [*path.checkpoints[1:], *([(len(path.actions), last)] if last else [])]
    for (first, state), (stop, end) in zip(path.checkpoints, ends, strict=False):
        yield _piece(path, first, state, stop), end


def _piece(path: Path, first: int, state: bytes, stop: int) -> _Piece:
    seeds = tuple((step - first, seed) for step, seed in path.seeds if first <= step < stop)
    return _Piece(state, path.actions[first:stop], seeds)


def _whole_way(approach: Approach, before: dict[bytes, _Piece]) -> Path | None:
    """Returns the way to an event, None if it cannot be followed back to a reset."""
    path = approach.path
    pieces = [_piece(path, 0, path.checkpoints[0][1], approach.lead)]
    while EnvState.from_bytes(pieces[-1].state).steps > 0:
        if pieces[-1].state not in before:
            return None
        pieces.append(before[pieces[-1].state])
    checkpoints, seeds, actions = [], [], b""
    for piece in reversed(pieces):
        checkpoints.append((len(actions), piece.state))
        seeds += [(len(actions) + step, seed) for step, seed in piece.seeds]
        actions += piece.actions
    return Path(tuple(checkpoints), actions, tuple(seeds))
