"""What a world model gives back, and what it keeps between two frames."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from worldtokens.world_model.networks.kv_cache import Memory


@dataclass(frozen=True)
class Prediction:
    """What the model expects of the next frames.

    Attributes:
        tokens: Logits of the next frame's tokens, float32 (..., K, V); (n, V) where only n tokens
            were asked for.
        rewards: Logits over `config.reward_values`, float32 (..., R).
        ends: Logits of going on and of ending, float32 (..., 2).
        features: What the transformer made of the frame's places, float (..., P - 1, D), for
            refinement to go on from; None for models that do not refine.
        refined: Logits of the tokens that a draft asked for, float32 (n, V); None without a draft.
        stays: Log-odds of every token staying as it was, float32 (..., K), of models with a
            `stay_gate`; the logits above say the same. None for others.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    features: Tensor | None = None
    refined: Tensor | None = None
    stays: Tensor | None = None


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


@dataclass(frozen=True)
class Tables:
    """The vectors of all tokens, (V, inner) each: as they are read, and as they are predicted."""

    inputs: Tensor
    outputs: Tensor


@dataclass(kw_only=True)
class DreamMemory(Memory):
    """The state of a dream between two frames, and what all its frames share.

    Attributes:
        tables: The tokens' vectors.
        network: The model that dreams, in the precision that it dreams in.
    """

    tables: Tables
    network: Any
