"""What a world model is trained on: cross-entropies of tokens, rewards and ends."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.networks.predictions import Prediction
from worldtokens.world_model.networks.refinement import Draft

# The number of predicted tokens is a multiple of this: on CPUs torch (2.15) prepares each size of a
# matrix product anew and keeps what it prepared, which took 16 MB more memory a step.
MASK_MULTIPLE = 128


@dataclass(frozen=True)
class WorldModelLoss:
    """Scalars, each a mean in nats over what it was computed on.

    Attributes:
        tokens: Cross-entropy per token.
        rewards: Cross-entropy per step over the classes of rewards.
        ends: Cross-entropy per step of "the game ended".
        refined: As `tokens`, of tokens predicted again; None for models that do not refine.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    refined: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """Their sum, as in IRIS (arXiv:2209.00588, section 2.2)."""
        total = self.tokens + self.rewards + self.ends
        return total if self.refined is None else total + self.refined


@dataclass(frozen=True)
class TokenSample:
    """Which tokens of a batch the loss looks at; all bool or float32 (B, L - 1, K).

    Attributes:
        predict_mask: Tokens of frames 1 to L - 1 whose logits are needed.
        weights: How many tokens each of them stands for.
        hard: Tokens that change or are foreground: all of them are predicted.
    """

    predict_mask: Tensor
    weights: Tensor
    hard: Tensor


def sample_tokens(
    segments: TokenSegments,
    unchanged_sample_prob: float | None,
    context: Tensor | None = None,
    foreground_weight: float = 1.0,
) -> TokenSample:
    """Chooses every token that changes and a random share of those that stay as they were.

    Nine of ten tokens stay, and that is soon learned; looking at a share of them, each weighted
    by its inverse, leaves the expected loss as it is and spares most of the output layer's work.
    A stay gate needs no output layer for those at all: none of them is predicted.

    Args:
        segments: The batch.
        unchanged_sample_prob: Share of the tokens that stay, in (0, 1]; None for models with a
            stay gate.
        context: The frames to predict from, int64 (B, L, K), where these are not the true ones: a
            token that was wrong there changes when it becomes right.
        foreground_weight: How much more than others foreground tokens count, moving or not. The
            weights are scaled so that their mean stays 1.
    """
    true = segments.tokens[:, 1:]
    before = (segments.tokens if context is None else context)[:, :-1]
    real = segments.mask[:, 1:, None]
    changed = hard = true != before
    weights = torch.ones(true.shape, device=true.device)
    if foreground_weight != 1.0:
        foreground = foreground_tokens(segments)
        hard = hard | foreground
        weights = torch.where(foreground, foreground_weight, 1.0)
        mean = torch.where(real, weights, 0.0).sum() / (real.sum() * true.shape[-1]).clamp(min=1)
        weights = weights / mean
    if unchanged_sample_prob is None:
        # The logits give a token that stayed the same probability as the gate: its loss is its own.
        return TokenSample(round_up(real & changed, real & ~changed), weights, hard)
    drawn = torch.rand(true.shape, device=true.device) < unchanged_sample_prob
    weights = torch.where(hard, weights, weights / unchanged_sample_prob)
    chosen = real & (hard | drawn)
    rounded = round_up(chosen, real & ~chosen)
    return TokenSample(rounded, torch.where(rounded & ~chosen, 0.0, weights), hard)


def round_up(chosen: Tensor, others: Tensor) -> Tensor:
    """Adds some of the others to a mask, so that it holds a multiple of `MASK_MULTIPLE`.

    Nothing is added to fewer than that; where there are not enough others, all of them are added.
    """
    count = int(chosen.sum())
    missing = -count % MASK_MULTIPLE if count > MASK_MULTIPLE else 0
    more = others.flatten().nonzero()[:missing, 0]
    return chosen.flatten().index_fill(0, more, True).view_as(chosen)


def foreground_tokens(segments: TokenSegments) -> Tensor:
    """Tokens of frames 1 to L - 1 that are not what their position shows most: bool (B, L - 1, K).

    That is the player, what moves and what blinks; a token is background where at least half of
    the segment's real frames show it there.
    """
    tokens, real = segments.tokens, segments.mask
    same = (tokens[:, 1:, None] == tokens[:, None]) & real[:, None, :, None]
    return same.sum(dim=2) * 2 < real.sum(dim=1)[:, None, None]


def world_model_loss(
    prediction: Prediction,
    segments: TokenSegments,
    reward_values: Tensor,
    sample: TokenSample | None = None,
    draft: Draft | None = None,
) -> WorldModelLoss:
    """Compares a prediction of frames 1 to L - 1 with the true frames.

    Padding reaches no term. A step at which recording was cut off does not train the end head:
    nobody knows whether the game would have gone on.

    Args:
        prediction: Axes (B, L - 1, ...).
        segments: The segments that it predicts.
        reward_values: float32 (R,), ascending: the values of the reward classes.
        sample: The tokens that were predicted, where these were not all.
        draft: The draft that was refined; beside a sample only.
    """
    real = segments.mask[:, 1:]
    known_end = real & (segments.terminated | ~segments.truncated)
    true = segments.tokens[:, 1:]
    if sample is None:
        token_loss = F.cross_entropy(prediction.tokens.permute(0, 3, 1, 2), true, reduction="none")
        token_term = _mean_over(token_loss.mean(-1), real)
    else:
        count = (real.sum() * true.shape[-1]).clamp(min=1)
        token_sum = _sampled(prediction.tokens, true, sample.predict_mask, sample.weights)
        if prediction.stays is not None:
            stayed = real[..., None] & ~sample.predict_mask
            token_sum = token_sum + stay_loss(prediction.stays, stayed, sample.weights)
        token_term = token_sum / count
    refined = None
    if draft is not None:
        assert prediction.refined is not None and sample is not None
        hidden = (torch.where(draft.visible, 0.0, 1.0) * real[..., None]).sum().clamp(min=1)
        refined = _sampled(prediction.refined, true, draft.predict_mask, sample.weights) / hidden
    classes = reward_classes(segments.rewards, reward_values)
    reward_loss = F.cross_entropy(prediction.rewards.mT, classes, reduction="none")
    end_loss = F.cross_entropy(prediction.ends.mT, segments.terminated.long(), reduction="none")
    return WorldModelLoss(
        token_term, _mean_over(reward_loss, real), _mean_over(end_loss, known_end), refined
    )


def reward_classes(rewards: Tensor, values: Tensor) -> Tensor:
    """The index of the value nearest to each reward, int64 of the shape of `rewards`."""
    middles = (values[1:] + values[:-1]) / 2
    return torch.bucketize(rewards, middles)


def choose_reward_values(rewards: np.ndarray, most: int = 32) -> list[float]:
    """The values that a reward head tells apart, ascending, 0 always among them.

    These are the rewards that occur, so that a dream pays exactly what the game pays. Where more
    than `most` occur, they are thinned out evenly in symlog scale (sign(x) log(1 + |x|)), as
    rewards of a game span orders of magnitude; the smallest and largest stay.
    """
    values = np.unique(np.append(rewards.astype(np.float64), 0.0))
    if len(values) > most:
        scaled = np.sign(values) * np.log1p(np.abs(values))
        grid = np.append(np.linspace(scaled[0], scaled[-1], most - 1), 0.0)
        nearest = np.abs(scaled[None, :] - grid[:, None]).argmin(axis=1)
        values = np.unique(values[nearest])
    return values.tolist()


def stay_loss(stays: Tensor, stayed: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of -log P(stays) of tokens that stayed.

    Args:
        stays: Log-odds of staying, float32 (...).
        stayed: bool (...).
        weights: float32 (...).
    """
    return torch.where(stayed, weights * F.softplus(-stays), 0.0).sum()


def _sampled(logits: Tensor, true: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of the cross-entropies of the predicted tokens."""
    total = WeightedCrossEntropy.apply(logits, true[mask], weights[mask])
    assert isinstance(total, Tensor)
    return total


class WeightedCrossEntropy(torch.autograd.Function):
    """The weighted sum of cross-entropies, with its gradient made in the forward pass.

    With thousands of classes memory is what takes the time: this writes one array of the logits'
    size, torch's own function four.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
        """Sums over float32 logits (n, V), int64 classes (n,) and float32 weights (n,)."""
        shifted = logits - logits.amax(dim=-1, keepdim=True)
        chosen = shifted.gather(-1, classes[:, None])
        exponentials = shifted.exp_()
        total = exponentials.sum(dim=-1, keepdim=True)
        gradient = exponentials.mul_(weights[:, None] / total)
        gradient.scatter_add_(-1, classes[:, None], -weights[:, None])
        ctx.save_for_backward(gradient)
        return ((total.log() - chosen)[:, 0] * weights).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of the logits."""
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None


def _mean_over(loss: Tensor, mask: Tensor) -> Tensor:
    # where, not a product: padding may hold anything.
    return torch.where(mask, loss, 0.0).sum() / mask.sum().clamp(min=1)
