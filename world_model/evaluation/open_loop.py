"""Open-loop rollouts from held-out episodes, and how far they stay true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model.data.segments import TokenEpisode, TokenSegments, stack_windows
from worldtokens.world_model.evaluation.metrics import (
    Fidelity,
    FrameGuess,
    FrameScores,
    fidelity,
    score_frames,
)
from worldtokens.world_model.evaluation.probe import PositionProbe, label_byte
from worldtokens.world_model.imagination.imaginer import Policy
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.networks.predictions import Rollout

BATCH = 64


@dataclass(frozen=True)
class OpenLoop:
    """Dreams from real starts, beside what really came under the same actions.

    Attributes:
        truth: Windows of context + horizon frames.
        actions: int64 (N, horizon), what the dream did from the last known frame on.
        rollout: What was imagined after the context.
        frame_numbers: int64 (N, context + horizon), the frames' numbers in their dataset; where
            `truth.mask` is False they mean nothing.
        context: Known frames.
        samples: Dreams of each start, which follow one another.
    """

    truth: TokenSegments
    actions: Tensor
    rollout: Rollout
    frame_numbers: np.ndarray
    context: int
    samples: int = 1


def roll_out(
    model: WorldModel,
    starts: Sequence[tuple[TokenEpisode, int]],
    context: int,
    horizon: int,
    *,
    actions: Tensor | Policy | None = None,
    samples: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generators: Sequence[torch.Generator] | None = None,
) -> OpenLoop:
    """Dreams on from each start under the actions that were really taken, or under others.

    Args:
        model: Imagines; in eval mode.
        starts: Episodes and the first frame of their context. Where an episode stops before the
            horizon, the dream goes on under action 0 and the mask says so.
        context: Known frames.
        horizon: Frames to imagine.
        actions: int64 (N, horizon), taken from the last known frame on, N the number of dreams;
            None takes the real ones; a policy is asked at each frame, see `WorldModel.imagine`.
        samples: Dreams of each start.
        temperature: See `WorldModel.imagine`.
        top_k: See `WorldModel.imagine`.
        top_p: See `WorldModel.imagine`.
        generators: One per dream, or None.

    Raises:
        ValueError: There is no start.
    """
    if not starts:
        raise ValueError("starts: expected at least one start for the dreams, got none")
    starts = [start for start in starts for _ in range(samples)]
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], context + horizon)
    actions = truth.actions[:, context - 1 :] if actions is None else actions
    given = actions if isinstance(actions, Tensor) else _Recorded(actions)
    # A policy sees all of its dreams at once: it may keep something of each.
    batch = BATCH if isinstance(given, Tensor) else len(starts)
    rollouts = []
    for first in range(0, len(starts), batch):
        rows = slice(first, first + batch)
        rollouts.append(
            model.imagine(
                truth.tokens[rows, :context].to(model.device),
                truth.actions[rows, : context - 1].to(model.device),
                given[rows].to(model.device) if isinstance(given, Tensor) else given,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                generator=None if generators is None else generators[rows],
                horizon=None if isinstance(given, Tensor) else horizon,
            )
        )
    joined = Rollout(
        *(torch.cat([getattr(r, name).cpu() for r in rollouts]) for name in vars(rollouts[0]))
    )
    taken = given if isinstance(given, Tensor) else given.actions()
    first_frames = np.array([episode.first_frame + t for episode, t in starts])
    numbers = np.where(truth.mask, first_frames[:, None] + np.arange(context + horizon), 0)
    return OpenLoop(truth, taken, joined, numbers, context, samples)


class _Recorded:
    """A policy whose actions are kept."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self._taken: list[Tensor] = []

    def __call__(self, tokens: Tensor) -> Tensor:
        self._taken.append(self._policy(tokens))
        return self._taken[-1]

    def actions(self) -> Tensor:
        """All of them, int64 (N, horizon)."""
        return torch.stack(self._taken, dim=1).cpu()


def measure(
    found: OpenLoop,
    tokenizer: Tokenizer,
    dataset: EpisodeSource,
    backgrounds: SceneBackgrounds,
    horizons: Sequence[int],
    probe: PositionProbe | None = None,
) -> list[Fidelity]:
    """Compares dreams, the last frame repeated and the tokenizer's ceiling with the truth.

    Args:
        found: Dreams.
        tokenizer: Decodes them.
        dataset: The episodes that they started from.
        backgrounds: Says which pixels are foreground.
        horizons: Steps after the last known frame at which to compare.
        probe: Reads where the player is; None for games that do not say.

    Returns:
        Per horizon and guess one row for all rooms (room -1) and one per room of the start. The
        guesses are `Fidelity.guess`'s; `best` where each start was dreamt several times.
    """
    judge = _Judge(found, tokenizer, dataset, backgrounds, probe)
    starts = slice(None, None, found.samples)
    lived = [h for h in horizons if found.truth.mask[:, found.context + h - 1].any()]
    scores = {horizon: judge.scores(horizon) for horizon in lived}
    best = _best_samples(found, {horizon: of["dream"] for horizon, of in scores.items()})
    rooms = dataset.scene[found.frame_numbers[starts, found.context - 1]]
    rows = []
    for horizon, of in scores.items():
        alive = found.truth.mask[starts, found.context + horizon - 1].numpy()
        if found.samples > 1:
            (number,) = np.nonzero(alive)
            of["best"] = of["dream"].pick(np.arange(len(number)) * found.samples + best[number])
        here = rooms[alive]
        groups = [-1] if len(np.unique(rooms)) < 2 else [-1, *np.unique(here).tolist()]
        for room in groups:
            chosen = (here == room) | (room == -1)
            for name, all_scores in of.items():
                times = found.samples if name == "dream" else 1
                rows.append(fidelity(horizon, name, room, all_scores.pick(chosen.repeat(times))))
    return rows


def _best_samples(found: OpenLoop, dreams: Mapping[int, FrameScores]) -> np.ndarray:
    """Of each start the dream with the least squared error over all horizons, int64 (starts,)."""
    total = np.zeros(len(found.truth.tokens))
    for horizon, scores in dreams.items():
        total[found.truth.mask[:, found.context + horizon - 1].numpy()] += scores.squared_error
    return total.reshape(-1, found.samples).argmin(axis=1)


class _Judge:
    """Compares what was guessed at one horizon after the other; decodes each frame once."""

    def __init__(
        self,
        found: OpenLoop,
        tokenizer: Tokenizer,
        dataset: EpisodeSource,
        backgrounds: SceneBackgrounds,
        probe: PositionProbe | None,
    ):
        self._found = found
        self._tokenizer = tokenizer
        self._dataset = dataset
        self._backgrounds = backgrounds
        self._probe = probe
        starts = slice(None, None, found.samples)
        self._numbers = found.frame_numbers[starts]
        last = found.context - 1
        self._last_frames = dataset.gather_frames(self._numbers[:, last])
        self._last_decoded = self._decode(found.truth.tokens[starts, last])
        self._player_byte = label_byte(dataset.game, "player_x") if probe is not None else None

    def scores(self, horizon: int) -> dict[str, FrameScores]:
        """Scores by guess: one per dream of `dream`, one per start of others; none after an end."""
        found, times = self._found, self._found.samples
        step = found.context + horizon - 1
        starts = slice(None, None, times)
        alive = found.truth.mask[starts, step]
        dreams = alive.repeat_interleave(times)
        numbers = self._numbers[alive.numpy(), step]
        scenes = self._dataset.scene[numbers]
        tokens = found.truth.tokens[starts, step][alive]
        rewards = found.truth.rewards[starts, step - 1][alive].numpy()
        ends = found.truth.terminated[starts, step - 1][alive].numpy()
        frames = self._dataset.gather_frames(numbers)
        true = FrameGuess(frames, tokens.numpy(), rewards, ends, self._true_x(numbers))
        nothing = np.zeros_like(rewards), np.zeros_like(ends)
        made = self._decode(tokens)
        ceiling = FrameGuess(made, true.tokens, *nothing, self._read(made, scenes))
        before = found.truth.tokens[starts, found.context - 1][alive].numpy()
        seen = self._read(self._last_decoded[alive.numpy()], scenes)
        copy = FrameGuess(self._last_frames[alive.numpy()], before, *nothing, seen)
        imagined = found.rollout.tokens[dreams, horizon - 1]
        made = self._decode(imagined)
        dream = FrameGuess(
            made,
            imagined.numpy(),
            found.rollout.rewards[dreams, horizon - 1].numpy(),
            found.rollout.ends[dreams, horizon - 1].numpy(),
            self._read(made, scenes.repeat(times)),
        )
        return {
            "dream": score_frames(
                true.repeat(times), dream, scenes.repeat(times), self._backgrounds
            ),
            "copy": score_frames(true, copy, scenes, self._backgrounds),
            "tokenizer": score_frames(true, ceiling, scenes, self._backgrounds),
        }

    def _decode(self, tokens: Tensor) -> np.ndarray:
        return self._tokenizer.decode(tokens).cpu().numpy()

    def _read(self, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        if self._probe is None:
            return np.full(len(frames), np.nan, np.float32)
        return self._probe.read(frames, scenes)

    def _true_x(self, numbers: np.ndarray) -> np.ndarray:
        if self._player_byte is None:
            return np.full(len(numbers), np.nan, np.float32)
        rows = [self._dataset.read("ram", n, n + 1)[0, self._player_byte] for n in numbers.tolist()]
        return np.array(rows, np.float32)
