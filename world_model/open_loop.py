"""Open-loop rollouts from held-out episodes, and how far they stay true."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from collect import EpisodeSource
from tokenizer import Tokenizer
from tokenizer.metrics import SceneBackgrounds
from world_model.metrics import Fidelity, FrameGuess, fidelity
from world_model.model import WorldModel
from world_model.predictions import Rollout
from world_model.probe import PositionProbe, label_byte
from world_model.segments import TokenEpisode, TokenSegments, stack_windows

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
    """

    truth: TokenSegments
    actions: Tensor
    rollout: Rollout
    frame_numbers: np.ndarray
    context: int


def roll_out(
    model: WorldModel,
    starts: Sequence[tuple[TokenEpisode, int]],
    context: int,
    horizon: int,
    *,
    actions: Tensor | None = None,
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
        actions: int64 (N, horizon), taken from the last known frame on; None takes the real ones.
        temperature: See `WorldModel.imagine`.
        top_k: See `WorldModel.imagine`.
        top_p: See `WorldModel.imagine`.
        generators: One per start, or None.

    Raises:
        ValueError: There is no start.
    """
    if not starts:
        raise ValueError("starts: expected at least one start for the dreams, got none")
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], context + horizon)
    future = truth.actions[:, context - 1 :] if actions is None else actions
    rollouts = []
    for first in range(0, len(starts), BATCH):
        rows = slice(first, first + BATCH)
        rollouts.append(
            model.imagine(
                truth.tokens[rows, :context].to(model.device),
                truth.actions[rows, : context - 1].to(model.device),
                future[rows].to(model.device),
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                generator=None if generators is None else generators[rows],
            )
        )
    joined = Rollout(
        *(torch.cat([getattr(r, name).cpu() for r in rollouts]) for name in vars(rollouts[0]))
    )
    first_frames = np.array([episode.first_frame + t for episode, t in starts])
    numbers = first_frames[:, None] + np.arange(context + horizon)
    return OpenLoop(truth, future, joined, np.where(truth.mask.numpy(), numbers, 0), context)


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
        Per horizon and guess one row for all rooms (room -1) and one per room of the start.
    """
    last_numbers = found.frame_numbers[:, found.context - 1]
    last = dataset.gather_frames(last_numbers)
    rooms = dataset.scene[last_numbers]
    rows = []
    for horizon in horizons:
        (alive,) = np.nonzero(found.truth.mask[:, found.context + horizon - 1].numpy())
        if not len(alive):
            continue
        numbers = found.frame_numbers[alive, found.context + horizon - 1]
        scenes, here = dataset.scene[numbers], rooms[alive]
        true, guesses = _guesses(found, tokenizer, dataset, numbers, last, horizon, probe)
        groups = [-1] if len(np.unique(rooms)) < 2 else [-1, *np.unique(here).tolist()]
        for room in groups:
            (chosen,) = np.nonzero((here == room) | (room == -1))
            for name, made in guesses.items():
                args = true.pick(chosen), made.pick(chosen), scenes[chosen], backgrounds
                rows.append(fidelity(horizon, name, room, *args))
    return rows


def _guesses(
    found: OpenLoop,
    tokenizer: Tokenizer,
    dataset: EpisodeSource,
    numbers: np.ndarray,
    last: np.ndarray,
    horizon: int,
    probe: PositionProbe | None,
) -> tuple[FrameGuess, dict[str, FrameGuess]]:
    """The truth and the guesses of one horizon, for the rollouts whose episode reaches it."""
    step = found.context + horizon - 1
    alive = found.truth.mask[:, step]
    true_tokens = found.truth.tokens[alive, step]
    true_rewards = found.truth.rewards[alive, step - 1].numpy()
    true_ends = found.truth.ends[alive, step - 1].numpy()
    unknown = np.full(len(numbers), np.nan, np.float32)
    byte = label_byte(dataset.game, "player_x") if probe is not None else None
    player_x = unknown
    if byte is not None:
        rows = [dataset.read("ram", n, n + 1)[0, byte] for n in numbers.tolist()]
        player_x = np.array(rows, np.float32)

    def guess(
        tokens: Tensor, frames: np.ndarray | None, rewards: np.ndarray, ends: np.ndarray
    ) -> FrameGuess:
        frames = tokenizer.decode(tokens).cpu().numpy() if frames is None else frames
        seen = probe.read(tokens) if probe is not None else unknown
        return FrameGuess(frames, tokens.numpy(), rewards, ends, seen)

    nothing = np.zeros_like(true_rewards), np.zeros_like(true_ends)
    outcome = (
        found.rollout.rewards[alive, horizon - 1].numpy(),
        found.rollout.ends[alive, horizon - 1].numpy(),
    )
    frames = dataset.gather_frames(numbers)
    before = found.truth.tokens[alive, found.context - 1]
    true = FrameGuess(frames, true_tokens.numpy(), true_rewards, true_ends, player_x)
    return true, {
        "dream": guess(found.rollout.tokens[alive, horizon - 1], None, *outcome),
        "copy": guess(before, last[alive.numpy()], *nothing),
        "tokenizer": guess(true_tokens, None, *nothing),
    }
