"""The codes of what happens in a frame, see `FrameLatents`."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LatentCodes:
    """The codes of some frames.

    Attributes:
        one_hot: float (..., codes, classes), one class of each code; from a posterior its gradient
            reaches the posterior's probabilities.
        divergence: Of the posterior from the prior, nats per frame, float32 (...); NaN for codes
            that were drawn from the prior.
        balanced: The divergence whose gradient trains prior and posterior at different rates.
    """

    one_hot: Tensor
    divergence: Tensor
    balanced: Tensor


@dataclass(frozen=True)
class Outcomes:
    """Logits of what a step brings, float32.

    Attributes:
        rewards: (..., R), over `config.reward_values`.
        ends: (..., 2), of going on and of ending.
        lives_lost: (..., 2), of keeping all lives and of losing one; None for models that do not
            predict lives.
    """

    rewards: Tensor
    ends: Tensor
    lives_lost: Tensor | None
