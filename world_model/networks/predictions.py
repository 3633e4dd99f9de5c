"""What the network of a world model predicts, and the token vectors that it reads and writes."""

from dataclasses import dataclass

from torch import Tensor

from worldtokens.world_model.networks.codes import LatentCodes


@dataclass(frozen=True)
class Prediction:
    """What the model expects of the next frames.

    Attributes:
        tokens: Logits of the next frame's tokens, float32 (..., K, V); (n, V) where a predict_mask
            chose n tokens.
        rewards: Logits over `config.reward_values`, float32 (..., R).
        ends: Logits of going on and of ending, float32 (..., 2).
        lives_lost: Logits of keeping all lives and of losing one, float32 (..., 2); None for
            models that do not predict lives.
        features: The transformer's output at the frame's positions, float (..., P - 1, D), for
            refinement to go on from; None for models that do not refine.
        refined: Logits of the tokens that a draft chose, float32 (n, V); None without a draft.
        if_changed: Whether the token logits are those of what a token changes to, -inf for the
            token itself; how likely it changes is then in `stays` alone.
        stays: Log-odds of every token staying as it was, float32 (..., K), of models with a
            `stay_gate`; the logits above say the same. None for others.
        latents: The codes that the tokens are predicted given; None for models without.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    features: Tensor | None = None
    refined: Tensor | None = None
    stays: Tensor | None = None
    lives_lost: Tensor | None = None
    latents: LatentCodes | None = None
    if_changed: bool = False


@dataclass(frozen=True)
class TokenTables:
    """The vectors of all tokens, (V, inner) each: those that are read, those that are predicted."""

    inputs: Tensor
    outputs: Tensor
