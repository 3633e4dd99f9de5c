"""Moments of the game at which policies take over, and what they are paid from there on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldtokens import Tokenizer, WorldModel
from worldtokens.collect.policies.random_actions import HeldRandomPolicy
from worldtokens.envs import EnvState, FrameEnv
from worldtokens.world_model.evaluation.game.saved_states import MEAN_HOLD, SavedStates
from worldtokens.world_model.imagination.sampling import seeded_generators

NEAR_STEPS = 60
TRIES = 20


@dataclass(frozen=True)
class Terms:
    """How long policies play.

    Attributes:
        horizon: Steps, at most.
        life_loss_ends: Whether a lost life is an end.
        seed: Of the policies' actions, of the game's sticky ones and of the dreams.
    """

    horizon: int
    life_loss_ends: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Moment:
    """Where a policy takes over.

    Attributes:
        state: Of the game.
        tokens: The known frames, int64 (context, K).
        actions: Between them, int64 (context - 1,).
    """

    state: EnvState
    tokens: np.ndarray
    actions: np.ndarray


@dataclass(frozen=True)
class Player:
    """A policy, mixed with random actions.

    Attributes:
        name: Of its file.
        agent: Called with tokens, int64 (n, stack, K), it returns the distribution of actions and
            values; `agent.stack` frames. With an attribute `reads_last_action` that is true, it
            is called with the actions before, int64 (n,), too.
        random_share: Share of its actions that are drawn uniformly.
    """

    name: str
    agent: Any
    random_share: float = 0.0

    @torch.no_grad()
    def act(self, history: "History", noise: np.ndarray) -> Tensor:
        """Returns actions int64 (n,) drawn with uniform noise, float64 (n,); they are kept."""
        reads_last = getattr(self.agent, "reads_last_action", False)
        read = (history.frames, history.last) if reads_last else (history.frames,)
        probs = self.agent(*read)[0].probs.double()
        probs = (1 - self.random_share) * probs + self.random_share / probs.shape[1]
        below = torch.from_numpy(noise).to(probs.device)[:, None] >= probs.cumsum(1)
        history.last = below.sum(1).clamp(max=probs.shape[1] - 1)
        return history.last


class History:
    """The last frames that a policy reads, int64 (n, stack, K), and the last action, int64 (n,)."""

    def __init__(self, known: Tensor, actions: Tensor, stack: int):
        """Takes known frames, int64 (n, T, K), and the actions at them.

        Where there are fewer frames than a policy reads, the first one is repeated; where there is
        no action, NOOP is taken to be the last one.
        """
        nothing = torch.zeros(len(known), dtype=torch.int64, device=known.device)
        self.last = actions[:, -1] if actions.shape[1] else nothing
        padding = known[:, :1].expand(-1, max(0, stack - known.shape[1]), -1)
        self.frames = torch.cat((padding, known), dim=1)[:, -stack:]

    def add(self, tokens: Tensor) -> None:
        """Adds a frame to each, int64 (n, K)."""
        self.frames = torch.cat((self.frames[:, 1:], tokens[:, None]), dim=1)


def moments_after_resets(
    env: FrameEnv, tokenizer: Tokenizer, context: int, count: int, lead: int, seed: int
) -> list[Moment]:
    """Plays held random actions for up to `lead` steps after resets.

    Raises:
        ValueError: Games end sooner than `context` frames come.
    """
    moments, rng = [], np.random.default_rng(seed)
    for _ in range(TRIES * count):
        first, _ = env.reset(seed=int(rng.integers(2**31)))
        steps = context - 1 + int(rng.integers(lead + 1))
        if (moment := play_to(env, first, tokenizer, context, steps, rng)) is not None:
            moments.append(moment)
        if len(moments) == count:
            return moments
    raise ValueError(f"--lead: expected games that go on for so many steps, got {lead}; lower it")


def moments_at_states(
    states: SavedStates, env: FrameEnv, tokenizer: Tokenizer, context: int, count: int,
    near_rewards: bool, seed: int,
) -> list[Moment]:  # fmt: skip
    """Plays the known frames from saved states; games that end within them are left out."""
    rng = np.random.default_rng(seed)
    if near_rewards:
        chosen = states.draw_near_rewards(count, NEAR_STEPS, rng)
    else:
        chosen = states.draw(count, rng)
    moments = []
    for state in chosen:
        frame, _ = state.path.replay(env, state.steps)
        moment = play_to(env, frame, tokenizer, context, context - 1, rng)
        moments += [] if moment is None else [moment]
    return moments


def play_to(
    env: FrameEnv, frame: np.ndarray, tokenizer: Tokenizer, context: int, steps: int,
    rng: np.random.Generator,
) -> Moment | None:  # fmt: skip
    """Plays held random actions for `steps` steps; returns where that leads, if to no end."""
    held = HeldRandomPolicy(len(env.action_meanings), MEAN_HOLD)
    held.begin(rng)
    frames, actions = [frame], []
    for _ in range(steps):
        actions.append(held.act(frames[-1]))
        frame, _, terminated, truncated, _ = env.step(actions[-1])
        frames.append(frame)
        if terminated or truncated:
            return None
    tokens = tokenizer.encode(np.stack(frames[-context:])).cpu().numpy()
    known = np.array(actions[len(actions) - context + 1 :], np.int64)
    return Moment(env.get_state(), tokens, known)


def returns_in_game(
    player: Player, moments: Sequence[Moment], envs: Sequence[FrameEnv], tokenizer: Tokenizer,
    terms: Terms,
) -> np.ndarray:  # fmt: skip
    """Returns what a policy is paid in the game, float64 (n,)."""
    device = tokenizer.device
    history = History(*stacked(moments, device), player.agent.stack)
    for number, (env, moment) in enumerate(zip(envs, moments, strict=True)):
        env.restore_state(moment.state)
        env.reseed(terms.seed + number)
    lives = np.array([moment.state.lives for moment in moments])
    paid, alive = np.zeros(len(moments)), np.ones(len(moments), bool)
    frames = np.stack([moment.state.frame for moment in moments])
    rng = np.random.default_rng(terms.seed)
    for _ in range(terms.horizon):
        actions = player.act(history, rng.random(len(moments))).tolist()
        for row in np.nonzero(alive)[0].tolist():
            frames[row], reward, terminated, truncated, info = envs[row].step(actions[row])
            paid[row] += reward
            lost = terms.life_loss_ends and info["lives"] < lives[row]
            alive[row] = not (terminated or truncated or lost)
            lives[row] = info["lives"]
        if not alive.any():
            break
        history.add(tokenizer.encode(frames))
    return paid


def returns_in_dream(
    player: Player, moments: Sequence[Moment], model: WorldModel, terms: Terms
) -> np.ndarray:
    """Returns what a policy is paid in dreams, float64 (n,)."""
    known, actions = stacked(moments, model.device)
    # The first call of `act` brings the last known frame.
    before = known[:, :-1] if known.shape[1] > 1 else known
    history, rng = History(before, actions, player.agent.stack), np.random.default_rng(terms.seed)

    def act(tokens: Tensor) -> Tensor:
        history.add(tokens)
        return player.act(history, rng.random(len(tokens)))

    generators = seeded_generators(terms.seed, len(moments))
    rollout = model.imagine(known, actions, act, horizon=terms.horizon, generator=generators)
    over = rollout.ends | rollout.lives_lost if terms.life_loss_ends else rollout.ends
    # The step that ends a dream pays, what comes after it does not.
    alive = (over.cumsum(1) - over.long()) == 0
    return (rollout.rewards.double() * alive).sum(1).cpu().numpy()


def stacked(moments: Sequence[Moment], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the known frames of all moments, int64 (n, context, K), and the actions between."""
    frames = torch.from_numpy(np.stack([moment.tokens for moment in moments]))
    actions = torch.from_numpy(np.stack([moment.actions for moment in moments]))
    return frames.to(device), actions.to(device)
