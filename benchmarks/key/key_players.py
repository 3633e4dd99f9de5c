"""Players of real games side by side: an agent, baselines, and how they are played."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from worldtokens import Tokenizer
from worldtokens.collect.policies.random_actions import HeldRandomPolicy
from worldtokens.envs import EnvState

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from montezuma_agent import Agent, Seen  # noqa: E402  # pyright: ignore

RESET = 0  # the distance of games from a reset


class Player(Protocol):
    """Plays n games side by side."""

    reads: bool  # whether it looks at frames

    def begin(self, frames: np.ndarray, number: int) -> None:
        """Begins games at frames uint8 (n, height, width, 3); `number` seeds what is random."""
        ...

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Returns actions, int64 (n,), at frames; where it does not read, they are the first."""
        ...


class AgentPlayer:
    """An agent that reads tokens."""

    reads = True

    def __init__(self, agent: Agent, tokenizer: Tokenizer):
        """Keeps both."""
        self.agent, self.tokenizer = agent, tokenizer

    def begin(self, frames: np.ndarray, number: int) -> None:
        """See `Player.begin`."""
        self.rng, self.seen = np.random.default_rng(number), None
        self.actions = torch.zeros(len(frames), dtype=torch.int64)

    @torch.no_grad()
    def act(self, frames: np.ndarray) -> np.ndarray:
        """See `Player.act`."""
        tokens = self.tokenizer.encode(frames).cpu()
        if self.seen is None:
            self.seen = Seen(tokens)
        else:
            self.seen.add(self.actions, tokens)
        self.actions = self.agent.draw(self.seen, self.rng)
        return self.actions.numpy()


class RandomPlayer:
    """Uniformly random actions, each held for `mean_hold` steps on average."""

    reads = False

    def __init__(self, num_actions: int, mean_hold: float):
        """Keeps both."""
        self.num_actions, self.mean_hold = num_actions, mean_hold

    def begin(self, frames: np.ndarray, number: int) -> None:
        """See `Player.begin`."""
        self.policies = [HeldRandomPolicy(self.num_actions, self.mean_hold) for _ in frames]
        for row, policy in enumerate(self.policies):
            policy.begin(np.random.default_rng((number, row)))

    def act(self, frames: np.ndarray) -> np.ndarray:
        """See `Player.act`."""
        return np.array(
            [policy.act(frame) for policy, frame in zip(self.policies, frames, strict=True)]
        )


class ScriptPlayer:
    """Plays a list of actions in each game, then does nothing."""

    reads = False

    def __init__(self, scripts: Sequence[np.ndarray]):
        """Takes actions int64 (T,) for each game."""
        self.scripts = scripts

    def begin(self, frames: np.ndarray, number: int) -> None:
        """See `Player.begin`."""
        self.step = -1

    def act(self, frames: np.ndarray) -> np.ndarray:
        """See `Player.act`."""
        self.step += 1
        rows = (script[self.step : self.step + 1] for script in self.scripts)
        return np.array([int(row[0]) if len(row) else 0 for row in rows])


class HeldPlayer:
    """One action all the time."""

    reads = False

    def __init__(self, action: int):
        """Keeps it."""
        self.action = action

    def begin(self, frames: np.ndarray, number: int) -> None:
        """See `Player.begin`."""

    def act(self, frames: np.ndarray) -> np.ndarray:
        """See `Player.act`."""
        return np.full(len(frames), self.action)


@dataclass(frozen=True)
class Terms:
    """What a game is.

    Attributes:
        distance: Steps before the key at which it begins; 0 for a reset.
        steps: At most so many.
        reward: What the key pays.
        seed: Of the no-ops, of sticky actions, and of what players draw.
    """

    distance: int
    steps: int
    reward: float
    seed: int


def play(
    player: Player,
    envs: Sequence[Any],
    states: Sequence[bytes],
    terms: Terms,
    watch: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Plays one game in each environment.

    Args:
        player: Plays.
        envs: n environments of `make_env`.
        states: Where the games begin, one each; none of them for a reset.
        terms: What a game is.
        watch: Called after each step.

    Returns:
        Whether the key was taken, bool (n,), and the scores, float64 (n,).
    """
    infos, lives = [], []
    for number, env in enumerate(envs):
        seed = 1_000_000 + 1000 * terms.seed + number
        if terms.distance == RESET:
            _, info = env.reset(seed=seed)
        else:
            _, info = env.restore_state(EnvState.from_bytes(states[number % len(states)]))
            env.reseed(seed)
        lives.append(info["lives"])
        infos.append(info)
    frames = np.stack([env.frame for env in envs])
    player.begin(frames, terms.seed)
    keys, scores = np.zeros(len(envs), bool), np.zeros(len(envs))
    playing = np.ones(len(envs), bool)
    for _ in range(terms.steps):
        actions = player.act(frames)
        for row in np.nonzero(playing)[0].tolist():
            reward, terminated, truncated, info = envs[row].advance(int(actions[row]))
            scores[row] += reward
            keys[row] |= reward == terms.reward
            over = terminated or truncated
            if terms.distance != RESET:
                over |= bool(keys[row]) or info["lives"] < lives[row]
            playing[row] = not over
            if player.reads:
                frames[row] = envs[row].frame
        watch()
        if not playing.any():
            break
    return keys, scores
