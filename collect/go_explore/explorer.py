"""Go-Explore: finds the cells that `worldtokens.collect.go_explore.recorder` records from.

Ecoffet et al. 2021, "First return, then explore": keep an archive of cells with the emulator's
state, return to one of them by restoring it, explore from there, keep what is new. Random play
never leaves the first room of Montezuma's Revenge; this reaches most of the pyramid in minutes.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldtokens.collect.dataset.events import Moment
from worldtokens.collect.go_explore.approaches import Approach, Wanted
from worldtokens.collect.go_explore.archive import Rank, Route
from worldtokens.collect.go_explore.cells import Cells
from worldtokens.collect.go_explore.paths import PathRecorder
from worldtokens.collect.go_explore.trajectory_events import TrajectoryEvents
from worldtokens.collect.tasks import Worker
from worldtokens.envs import EnvState, FrameEnv

# The policy that explores looks at nothing, so no frame is built for it.
_BLANK = np.zeros((1, 1, 3), np.uint8)
# Steps after which a task looks whether it should stop.
_CHECK_EVERY = 64


@dataclass(frozen=True)
class Explored:
    """The result of an exploration task.

    Attributes:
        exploration: Number of the exploration.
        routes: Routes to cells that are new, or better ones to cells that the worker knew.
        steps: Steps played.
        seed: Of the task.
        approaches: Approaches to events that this worker knew few of.
    """

    exploration: int
    routes: list[Route]
    steps: int
    seed: int = -1
    approaches: list[Approach] = field(default_factory=list)


@dataclass
class Known:
    """What a worker knows of one exploration.

    Attributes:
        ranks: The rank of each cell's route.
        wanted: The approaches that it found.
    """

    ranks: dict[str, Rank] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True)
class Explore:
    """Returns to some cells and explores from each.

    Attributes:
        exploration: Number of the exploration.
        returns: Routes to the cells; an empty list starts at a reset.
        seed: Seeds the actions.
        trajectory_steps: Steps after each return.
        end_on_life_loss: See `GoExploreConfig`.
        improve_routes: See `GoExploreConfig`.
        cells: The definition of cells.
        new_ranks: Ranks of routes that this worker may not know yet.
        is_reset: Whether `new_ranks` replaces what the worker knew: cells are defined in a new way.
        keeps_events: Whether approaches to events are kept.
        game_steps: Steps, at most, of a game that is also played from the last of `returns`, with
            all lives, to its end; 0 for none. It shows the later lives, the end, and cells behind
            a beginning that is longer than a trajectory; after a lost life it adds no cells.
    """

    exploration: int
    returns: list[Route]
    seed: int
    trajectory_steps: int
    end_on_life_loss: bool
    improve_routes: bool
    cells: Cells
    new_ranks: dict[str, Rank]
    is_reset: bool
    keeps_events: bool
    game_steps: int

    def run(self, worker: Worker) -> Explored:
        """See `Task.run`."""
        states: dict[int, Known] = worker.state.setdefault("explorations", {})
        known = states.setdefault(self.exploration, Known())
        if self.is_reset:
            known.ranks = {}
        known.ranks.update(self.new_ranks)
        rng = np.random.default_rng([self.seed, 2])
        routes: dict[str, Route] = {}
        approaches: list[Approach] = []
        steps = 0
        starts: list[Route | None] = [*self.returns] or [None]
        for start in starts:
            played, events = self._explore_from(start, worker, rng, known.ranks, routes)
            steps += played
            approaches += events.approaches(known.wanted) if events else []
        if self.game_steps:
            played, events = self._explore_from(
                starts[-1], worker, rng, known.ranks, routes, is_game=True
            )
            steps += played
            approaches += events.approaches(known.wanted) if events else []
        return Explored(self.exploration, list(routes.values()), steps, self.seed, approaches)

    def _explore_from(
        self,
        start: Route | None,
        worker: Worker,
        rng: np.random.Generator,
        ranks: dict[str, Rank],
        routes: dict[str, Route],
        is_game: bool = False,
    ) -> tuple[int, TrajectoryEvents | None]:
        """Plays one trajectory, or one game, and returns its number of steps and its events."""
        env = worker.env
        info, events = self._begin(start, env, rng)
        score, steps_before = (start.score, start.steps) if start else (0.0, 0)
        worker.policy.begin(rng)
        max_steps = self.game_steps if is_game else self.trajectory_steps
        step = 0
        lives = info["lives"]
        while True:
            if step % _CHECK_EVERY == 0:
                worker.check_stop()
            now = self._moment(worker, info)
            key = now.cell
            rank = (score, info["lives"], -(steps_before + step))
            is_wanted = key not in ranks or (self.improve_routes and rank > ranks[key])
            if is_wanted and not (is_game and info["lives"] < lives):
                ranks[key] = rank
                state = env.get_state().to_bytes()
                way = events.recorder.way() if events else None
                steps = steps_before + step
                routes[key] = Route(key, now.scene, score, info["lives"], steps, state, way)
            if step == max_steps:
                break
            reward, is_over, info = _play(worker, events, now)
            score += reward
            step += 1
            if is_over or (self.end_on_life_loss and not is_game and info["lives"] < lives):
                break
        return step, events

    def _begin(
        self, start: Route | None, env: FrameEnv, rng: np.random.Generator
    ) -> tuple[dict[str, Any], TrajectoryEvents | None]:
        """Goes to a cell, or to a reset; returns the info there and who watches for events."""
        if start is None:
            _, info = env.reset(seed=self.seed)
        else:
            _, info = env.restore_state(EnvState.from_bytes(start.state))
        seed = int(rng.integers(2**31))
        env.reseed(seed)
        if not self.keeps_events:
            return info, None
        if start is None:
            recorder = PathRecorder(None, env.get_state().to_bytes(), seed)
            return info, TrajectoryEvents("", recorder)
        return info, TrajectoryEvents(start.key, PathRecorder(start.way, start.state, seed))

    def _moment(self, worker: Worker, info: dict[str, Any]) -> Moment:
        frame = worker.env.frame if self.cells.needs_frame else None
        return Moment(
            info["lives"], worker.scene_in(info["ram"]), self.cells.key(info["ram"], frame)
        )


def _play(
    worker: Worker, events: TrajectoryEvents | None, now: Moment
) -> tuple[float, bool, dict[str, Any]]:
    """Plays one step; returns its reward, whether the episode is over and the info."""
    if events is not None and events.recorder.needs_state:
        events.recorder.keep_state(worker.env.get_state())
    action = worker.policy.act(_BLANK)
    reward, terminated, truncated, info = worker.env.advance(action)
    if events is not None:
        scene = worker.scene_in(info["ram"])
        events.add(action, now, reward, terminated, info["lives"], scene)
    return reward, terminated or truncated, info
