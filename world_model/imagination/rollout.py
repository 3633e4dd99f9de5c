"""What imagination returns: one imagined step, and a whole imagined future."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImaginedFrame:
    """One imagined step: tokens int64 (B, K), rewards float32 (B,), ends bool (B,).

    `entropy`, float32 (B,), is the entropy of the token distributions, summed over the frame, in
    nats: how unsure the model was, before it refined anything. NaN where it was not asked for.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class Rollout:
    """An imagined future: tokens int64 (B, H, K), rewards float32 (B, H), ends bool (B, H).

    Frame h follows from action h. The dream goes on after an end; what follows it means nothing.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
