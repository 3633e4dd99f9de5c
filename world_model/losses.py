"""What a world model is trained on: cross-entropies of tokens, rewards and ends."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from world_model.model import Prediction
from world_model.segments import TokenSegments


@dataclass(frozen=True)
class WorldModelLoss:
    """Scalars, each a mean in nats over what it was computed on.

    Attributes:
        tokens: Cross-entropy per token.
        rewards: Cross-entropy per step over the classes of rewards.
        ends: Cross-entropy per step of "the game ended".
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum, as in IRIS (arXiv:2209.00588, section 2.2)."""
        return self.tokens + self.rewards + self.ends


def world_model_loss(
    prediction: Prediction, segments: TokenSegments, reward_values: Tensor
) -> WorldModelLoss:
    """Compares a prediction of frames 1 to L - 1 with what came.

    Padding reaches no term. A step at which recording was cut off does not train the end head:
    nobody knows whether the game would have gone on.

    Args:
        prediction: Axes (B, L - 1, ...).
        segments: The segments that it was made from.
        reward_values: float32 (R,), ascending: the values of the reward classes.
    """
    real = segments.mask[:, 1:]
    known_end = real & (segments.ends | ~segments.truncated)
    token_loss = F.cross_entropy(
        prediction.tokens.flatten(0, 2), segments.tokens[:, 1:].flatten(), reduction="none"
    )
    token_loss = token_loss.reshape(*real.shape, -1).mean(-1)
    classes = reward_classes(segments.rewards, reward_values)
    reward_loss = F.cross_entropy(prediction.rewards.mT, classes, reduction="none")
    end_loss = F.cross_entropy(prediction.ends.mT, segments.ends.long(), reduction="none")
    return WorldModelLoss(
        _mean_over(token_loss, real), _mean_over(reward_loss, real), _mean_over(end_loss, known_end)
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


def _mean_over(loss: Tensor, mask: Tensor) -> Tensor:
    # where, not a product: what stands in padding may be anything.
    return torch.where(mask, loss, 0.0).sum() / mask.sum().clamp(min=1)
