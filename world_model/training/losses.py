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
from worldtokens.world_model.training.token_sampling import TokenSample

# Nats per frame that the latents' divergence may have without being trained down.
FREE_NATS = 0.5


@dataclass(frozen=True)
class WorldModelLoss:
    """Scalars, each a mean in nats over what it was computed on.

    Attributes:
        tokens: Cross-entropy per token.
        rewards: Cross-entropy per step over the classes of rewards.
        ends: Cross-entropy per step of "the game ended".
        lives_lost: Cross-entropy per step of "a life was lost"; None for models that do not predict
            it.
        latents: Divergence of the latents' posterior from their prior, in units of `tokens` (nats
            per frame over its tokens), as it is trained; None for models without.
        window_tokens: `tokens` of each window, float32 (B,), without gradient.
        refined: As `tokens`, of tokens predicted again; None for models that do not refine.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    refined: Tensor | None = None
    lives_lost: Tensor | None = None
    latents: Tensor | None = None
    window_tokens: Tensor | None = None

    @property
    def outcomes(self) -> Tensor:
        """The sum of the terms of rewards, ends and lost lives."""
        outcomes = self.rewards + self.ends
        return outcomes if self.lives_lost is None else outcomes + self.lives_lost

    def total(self, outcome_weight: float = 1.0) -> Tensor:
        """Returns their sum, as in IRIS (arXiv:2209.00588, section 2.2) with a weight of 1."""
        total = self.tokens + outcome_weight * self.outcomes
        for term in (self.refined, self.latents):
            total = total if term is None else total + term
        return total


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
    window_tokens = None
    if sample is None:
        token_loss = F.cross_entropy(prediction.tokens.permute(0, 3, 1, 2), true, reduction="none")
        token_term = _mean_over(token_loss.mean(-1), real)
    else:
        count = (real.sum() * true.shape[-1]).clamp(min=1)
        mask, weights = sample.predict_mask, sample.weights[sample.predict_mask]
        changed = mask
        if prediction.if_changed:
            # Tokens that stay are in the mask only to round their number up.
            really = ~prediction.tokens.detach().gather(-1, true[mask][:, None])[:, 0].isinf()
            weights = torch.where(really, weights, 0.0)
            changed = mask.masked_scatter(mask, really)
        token_losses = weighted_cross_entropy(prediction.tokens, true[mask], weights)
        token_sum = token_losses.sum()
        if prediction.stays is not None:
            stayed = real[..., None] & ~changed
            stay_losses = stay_loss(prediction.stays, stayed, sample.weights)
            if prediction.if_changed:
                changed = real[..., None] & changed
                stay_losses = stay_losses + stay_loss(-prediction.stays, changed, sample.weights)
            token_sum = token_sum + stay_losses.sum()
            window_tokens = stay_losses.detach().sum(dim=(1, 2))
        token_term = token_sum / count
        window_tokens = _per_window(window_tokens, token_losses, mask, real)
    refined = None
    if draft is not None:
        assert prediction.refined is not None and sample is not None
        hidden = (torch.where(draft.visible, 0.0, 1.0) * real[..., None]).sum().clamp(min=1)
        mask = draft.predict_mask
        losses = weighted_cross_entropy(prediction.refined, true[mask], sample.weights[mask])
        refined = losses.sum() / hidden
    classes = reward_classes(segments.rewards, reward_values)
    reward_loss = F.cross_entropy(prediction.rewards.mT, classes, reduction="none")
    end_loss = F.cross_entropy(prediction.ends.mT, segments.terminated.long(), reduction="none")
    lives_term = latent_term = None
    if prediction.lives_lost is not None:
        lost = segments.lives_lost.long()
        life_loss = F.cross_entropy(prediction.lives_lost.mT, lost, reduction="none")
        lives_term = _mean_over(life_loss, real)
    if prediction.latents is not None:
        balanced = _mean_over(prediction.latents.balanced, real)
        # Free nats, as in DreamerV2, lest the codes fall out of use before they are of any.
        latent_term = balanced.clamp(min=FREE_NATS) / true.shape[-1]
    return WorldModelLoss(
        token_term, _mean_over(reward_loss, real), _mean_over(end_loss, known_end), refined,
        lives_term, latent_term, window_tokens,
    )  # fmt: skip


def reward_classes(rewards: Tensor, values: Tensor) -> Tensor:
    """Returns the index of the value nearest to each reward, int64 of the shape of `rewards`."""
    middles = (values[1:] + values[:-1]) / 2
    return torch.bucketize(rewards, middles)


def choose_reward_values(rewards: np.ndarray, most: int = 32) -> list[float]:
    """Returns the values that a reward head tells apart, ascending, 0 always among them.

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
    """Computes the weighted -log P(stays) of tokens that stayed, 0 for others; float32 (...).

    Args:
        stays: Log-odds of staying, float32 (...).
        stayed: bool (...).
        weights: float32 (...).
    """
    return torch.where(stayed, weights * F.softplus(-stays), 0.0)


def weighted_cross_entropy(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Computes weighted cross-entropies, float32 (n,); see `WeightedCrossEntropy`."""
    losses = WeightedCrossEntropy.apply(logits, classes, weights)
    assert isinstance(losses, Tensor)
    return losses


def _per_window(stay_sums: Tensor | None, losses: Tensor, mask: Tensor, real: Tensor) -> Tensor:
    """Returns the mean loss per token of each window, float32 (B,), without gradient."""
    rows = mask.nonzero()[:, 0]
    sums = torch.zeros(len(mask), device=mask.device).index_add_(0, rows, losses.detach())
    sums = sums if stay_sums is None else sums + stay_sums
    return sums / (real.sum(dim=1) * mask.shape[-1]).clamp(min=1)


class WeightedCrossEntropy(torch.autograd.Function):
    """Weighted cross-entropies, with their gradient computed in the forward pass.

    With thousands of classes memory is what takes the time: this writes one array of the logits'
    size, torch's own function four.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
        """Maps float32 logits (n, V), int64 classes (n,), float32 weights (n,) to float32 (n,)."""
        shifted = logits - logits.amax(dim=-1, keepdim=True)
        # Impossible classes come with a weight of 0 only.
        chosen = shifted.gather(-1, classes[:, None]).nan_to_num(neginf=0.0)
        exponentials = shifted.exp_()
        total = exponentials.sum(dim=-1, keepdim=True)
        gradient = exponentials.mul_(weights[:, None] / total)
        gradient.scatter_add_(-1, classes[:, None], -weights[:, None])
        ctx.save_for_backward(gradient)
        return (total.log() - chosen)[:, 0] * weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the gradient of the logits."""
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0][:, None], None, None


def _mean_over(loss: Tensor, mask: Tensor) -> Tensor:
    # where, not a product: padding may hold anything.
    return torch.where(mask, loss, 0.0).sum() / mask.sum().clamp(min=1)
