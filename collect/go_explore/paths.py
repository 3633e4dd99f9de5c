"""Paths: a saved state and the actions that lead on from it, sticky ones included."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worldtokens.envs import EnvState, FrameEnv

MAX_LEAD = 24
_CHECKPOINT_EVERY = 32
_LEAST_DISTANCE = 16


@dataclass(frozen=True)
class Path:
    """Actions from a saved state on, which `replay` plays again exactly.

    Attributes:
        checkpoints: (step, state): the environment's state before the action of a step, as
            `EnvState.to_bytes`; ascending, the first one before action 0.
        actions: One byte for each action.
        seeds: (step, seed): the seed that the environment's generator got before the action of a
            step; it decides which actions stick.
    """

    checkpoints: tuple[tuple[int, bytes], ...]
    actions: bytes
    seeds: tuple[tuple[int, int], ...]

    def replay(self, env: FrameEnv, count: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Brings an environment to where it was after `count` actions.

        Returns:
            The frame, uint8 (H, W, 3), and the info there.
        """
        first, state = [known for known in self.checkpoints if known[0] <= count][-1]
        _, info = env.restore_state(EnvState.from_bytes(state))
        seeds = dict(self.seeds)
        for step in range(first, count):
            if step in seeds:
                env.reseed(seeds[step])
            *_, info = env.advance(self.actions[step])
        return env.frame, info


class PathRecorder:
    """Records a trajectory, and how its beginning was reached."""

    def __init__(self, way: Path | None, state: bytes, seed: int) -> None:
        """Starts a record at a beginning.

        Args:
            way: A path to the beginning, where one is known.
            state: The environment's state at the beginning.
            seed: The seed that the environment's generator got there.
        """
        self._actions = bytearray(way.actions if way else b"")
        self._own = len(self._actions)
        known = way.checkpoints if way else ()
        self._checkpoints: list[tuple[int, bytes | EnvState]] = [*known, (self._own, state)]
        self._seeds = [*(way.seeds if way else ()), (self._own, seed)]

    def __len__(self) -> int:
        """Returns the number of steps, those of the way included."""
        return len(self._actions)

    @property
    def num_steps(self) -> int:
        """Steps since the beginning of the trajectory."""
        return len(self._actions) - self._own

    @property
    def needs_state(self) -> bool:
        """Whether `keep_state` is due before the next step."""
        return self.num_steps > 0 and self.num_steps % _CHECKPOINT_EVERY == 0

    def keep_state(self, state: EnvState) -> None:
        """Keeps the state before the next step."""
        self._checkpoints.append((len(self), state))

    def add(self, action: int) -> None:
        """Adds the action of the next step."""
        self._actions.append(action)

    def path(self, to: int, stop: int) -> Path:
        """Returns a path that begins at least `MAX_LEAD` steps before step `to`, where it can.

        Args:
            to: A step, counted as `len` counts.
            stop: The step at which the path ends.
        """
        early = [n for n, (at, _) in enumerate(self._checkpoints) if at <= to - MAX_LEAD]
        number = early[-1] if early else 0
        first = self._checkpoints[number][0]
        checkpoints: list[tuple[int, bytes]] = []
        for at in range(number, len(self._checkpoints)):
            step, state = self._checkpoints[at]
            if step >= stop:
                break
            if checkpoints and step - first - checkpoints[-1][0] < _LEAST_DISTANCE:
                continue
            if isinstance(state, EnvState):
                state = state.to_bytes()
                self._checkpoints[at] = (step, state)
            checkpoints.append((step - first, state))
        seeds = ((step - first, seed) for step, seed in self._seeds if first <= step < stop)
        return Path(tuple(checkpoints), bytes(self._actions[first:stop]), tuple(seeds))

    def way(self) -> Path | None:
        """Returns a path to where the trajectory stands, None at its beginning."""
        return self.path(len(self), len(self)) if len(self) else None
