"""Approaches and ways as arrays, for the archive's file."""

import json
from collections.abc import Mapping

import numpy as np

from worldtokens.collect.dataset.events import Event
from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.paths import Path


def paths_to_arrays(approaches: list[Approach], ways: dict[str, Path]) -> dict[str, np.ndarray]:
    """Returns approaches, and ways to cells, as arrays; equal states are stored once."""
    paths = [*(approach.path for approach in approaches), *ways.values()]
    numbers: dict[bytes, int] = {}
    rows = []
    for path in paths:
        states = [[at, numbers.setdefault(state, len(numbers))] for at, state in path.checkpoints]
        rows.append([states, len(path.actions), path.seeds])
    events = [
        [a.event.kind, a.event.value, a.event.scene, a.event.cell, a.start, a.event_step]
        for a in approaches
    ]
    table = {"events": events, "ways": list(ways), "paths": rows}
    return {
        "path_table": np.frombuffer(json.dumps(table).encode(), np.uint8),
        "path_actions": np.frombuffer(b"".join(path.actions for path in paths), np.uint8),
        "path_state_sizes": np.array([len(state) for state in numbers], np.int64),
        "path_states": np.frombuffer(b"".join(numbers), np.uint8),
    }


def paths_from_arrays(
    content: Mapping[str, np.ndarray],
) -> tuple[list[Approach], dict[str, Path]]:
    """Reads what `paths_to_arrays` returned; archives of earlier versions have neither."""
    if "path_table" not in content:
        return [], {}
    table = json.loads(content["path_table"].tobytes())
    states = _cut(content["path_states"].tobytes(), content["path_state_sizes"].tolist())
    actions = _cut(content["path_actions"].tobytes(), [row[1] for row in table["paths"]])
    paths = [
        Path(
            tuple((at, states[number]) for at, number in checkpoints),
            played,
            tuple((step, seed) for step, seed in seeds),
        )
        for (checkpoints, _, seeds), played in zip(table["paths"], actions, strict=True)
    ]
    approaches = [
        Approach(Event(kind, float(value), scene, cell), start, path, step)
        for (kind, value, scene, cell, start, step), path in zip(
            table["events"], paths, strict=False
        )
    ]
    ways = dict(zip(table["ways"], paths[len(approaches) :], strict=True))
    return approaches, ways


def _cut(content: bytes, sizes: list[int]) -> list[bytes]:
    ends = np.cumsum(sizes).tolist()
    return [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
