"""Playing the real game from saved states of held-out cells."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import is_heldout_cell, make_cells
from worldtokens.collect.go_explore.paths import Path
from worldtokens.collect.policies.policy import Policy
from worldtokens.collect.policies.random_actions import HeldRandomPolicy
from worldtokens.envs import FrameEnv, make_env_from_config, ram_labels
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenEpisode

ARCHIVES = "archives"
MEAN_HOLD = 10
# Steps before a reward in which an approach to it may start.
EARLIEST, LATEST = 24, 4
# How often cells are tried for a reward.
TRIES = 4


@dataclass(frozen=True)
class SavedState:
    """A moment of the game that can be played again.

    Attributes:
        name: Of its cell, or of the event that it lies before.
        path: A saved state, and the actions from there on.
        steps: How many of them lead to the moment.
    """

    name: str
    path: Path
    steps: int = 0


@dataclass(frozen=True)
class Played:
    """What was played, T steps.

    Attributes:
        frames: uint8 (T + 1, height, width, 3).
        actions: int64 (T,).
        rewards: float32 (T,).
        lives_lost: bool (T,).
        ends: bool (T,); nothing comes after an end.
        scenes: int64 (T + 1,), zeros where the game labels none.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    lives_lost: np.ndarray
    ends: np.ndarray
    scenes: np.ndarray


class SavedStates:
    """The saved states of a dataset's archives, and the game to play from them.

    Of a dataset whose held-out episodes are evaluated only the cells that no training episode
    starts from; of one that is evaluated as a whole all of them.
    """

    def __init__(self, dataset: EpisodeDataset):
        """Reads the archives.

        Raises:
            ValueError: There is none, or it cannot be read.
        """
        paths = sorted((dataset.path / ARCHIVES).glob("*.npz"))
        if not paths:
            raise ValueError(
                f"{dataset.path} has no archive of saved states, as exploration with "
                "policy=go_explore leaves one"
            )
        cells = make_cells(dataset.game, "auto")
        archives = [Archive.load(path, cells) for path in paths]
        self._wanted = {True} if dataset.split == "heldout" else {True, False}
        self.cells = [
            SavedState(route.key, Path(((0, route.state),), b"", ()))
            for archive in archives
            for heldout in self._wanted
            for routes in archive.starts(heldout).values()
            for route in routes
        ]
        self.approaches = [
            approach
            for archive in archives
            for approach in archive.approaches
            if is_heldout_cell(approach.event.cell) in self._wanted
        ]
        if not self.cells:
            raise ValueError(f"{dataset.path} has no held-out cell; explore for longer")
        self.env: FrameEnv = make_env_from_config(dataset.env_config)
        self._room = ram_labels(dataset.game).get("room")

    def draw(self, count: int, rng: np.random.Generator) -> list[SavedState]:
        """Draws at most so many cells, without repetition."""
        chosen = rng.permutation(len(self.cells))[:count]
        return [self.cells[number] for number in chosen.tolist()]

    def draw_near_rewards(
        self, count: int, steps: int, rng: np.random.Generator
    ) -> list[SavedState]:
        """Draws states from which a reward came soon.

        Half of them, where approaches to rewards are known, lie on these, 4 to 24 steps before; the
        others on the way from cells from which held random actions met a reward. From all of them
        the play that is measured begins anew.

        Args:
            count: How many, at most.
            steps: Within how many steps held random actions must meet the reward.
            rng: Draws them.
        """
        known = [approach for approach in self.approaches if approach.event.kind == "reward"]
        half = count // 2 if known else 0
        states = [_approaching(known[n], rng) for n in rng.integers(len(known), size=half)]
        # Several times around, since cells near rewards are few.
        for number in np.concatenate([rng.permutation(len(self.cells)) for _ in range(TRIES)]):
            if len(states) == count:
                break
            cell = self.cells[number]
            played = self.play(cell, self.random_agent(rng), steps)
            (paid,) = np.nonzero(played.rewards)
            if len(paid):
                states.append(_on_the_way(cell, played.actions, int(paid[0]), rng))
        return states

    def random_agent(self, rng: np.random.Generator) -> Policy:
        """Returns an agent whose episode has begun, that holds random actions."""
        agent = HeldRandomPolicy(len(self.env.action_meanings), MEAN_HOLD)
        agent.begin(rng)
        return agent

    def play(self, state: SavedState, agent: Policy, steps: int) -> Played:
        """Plays at most so many steps from a state."""
        frame, info = state.path.replay(self.env, state.steps)
        return self.play_on(frame, info, agent, steps)

    def play_on(self, frame: np.ndarray, info: dict, agent: Policy, steps: int) -> Played:
        """Plays at most so many steps from where the environment stands."""
        frames, scenes, taken, lives = [frame], [self._scene(info)], [], info["lives"]
        for _ in range(steps):
            action = agent.act(frame)
            frame, reward, terminated, truncated, info = self.env.step(action)
            frames.append(frame)
            scenes.append(self._scene(info))
            taken.append((action, reward, info["lives"] < lives, terminated))
            lives = info["lives"]
            if terminated or truncated:
                break
        return _played(frames, taken, scenes)

    def _scene(self, info: dict) -> int:
        return 0 if self._room is None else int(info["ram"][self._room])


def _played(
    frames: Sequence[np.ndarray],
    taken: Sequence[tuple[int, float, bool, bool]],
    scenes: Sequence[int],
) -> Played:
    actions, rewards, lost, ends = zip(*taken, strict=True) if taken else ((), (), (), ())
    return Played(
        frames=np.stack(frames),
        actions=np.array(actions, np.int64),
        rewards=np.array(rewards, np.float32),
        lives_lost=np.array(lost, bool),
        ends=np.array(ends, bool),
        scenes=np.array(scenes, np.int64),
    )


def _on_the_way(
    cell: SavedState, actions: np.ndarray, paid: int, rng: np.random.Generator
) -> SavedState:
    """Returns a state between a cell and a reward that some actions met at step `paid`."""
    path = dataclasses.replace(cell.path, actions=bytes(actions.tolist()))
    return SavedState(cell.name, path, int(rng.integers(max(1, paid + 2 - LATEST))))


def _approaching(approach: Approach, rng: np.random.Generator) -> SavedState:
    """Returns a state on an approach, some steps before its event."""
    lead = int(rng.integers(min(LATEST, approach.lead), min(EARLIEST, approach.lead) + 1))
    return SavedState(approach.event.name, approach.path, approach.lead - lead)


def known_frames(played: Played, tokenizer: Tokenizer, context: int, name: str) -> TokenEpisode:
    """Returns the first frames of what was played as an episode to dream on from."""
    tokens = tokenizer.encode(played.frames[:context]).cpu().numpy()
    nothing = np.zeros(context - 1, bool)
    actions = played.actions[: context - 1]
    return TokenEpisode(name, tokens, actions, nothing.astype(np.float32), nothing, nothing)
