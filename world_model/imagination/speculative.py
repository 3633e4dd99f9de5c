"""Speculative decoding of an autoregressive frame: several tokens in one pass.

Most tokens of a game stay as they were, so the frame before is a good draft of this one. One pass
reads a whole draft and predicts every token as if those before it were right; all tokens up to the
first wrong one of the draft then are what drawing one by one would have drawn, since each is a
function of the tokens before it and of noise that is its own (arXiv:2211.17192, with drafts that
cost nothing). The next pass starts there, with the predictions of this one as its draft.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.imagination.decoding import (
    DecodedTokens,
    concatenate,
    decode_tokens,
)
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.imagination.state import ImaginationState

# Tokens of all dreams together that a CPU passes through a layer in little more than the time of
# one, since reading the weights is what takes the time.
MAX_SPECULATIVE_TOKENS = 64


def uses_speculation(state: ImaginationState, dreams: int, wanted: bool | None) -> bool:
    """Tells whether speculative decoding is used.

    Args:
        state: Of the dreams.
        dreams: How many.
        wanted: True or False decides; None uses it where it saves time: for few dreams, on CPUs.
    """
    # Compiled passes have one shape, drafts have any length.
    if state.compiled is not None:
        return False
    if wanted is not None:
        return wanted
    few = dreams * state.network.config.tokens_per_frame <= MAX_SPECULATIVE_TOKENS
    return state.tables.inputs.device.type == "cpu" and few


def decode_rest(
    first: DecodedTokens,
    past: Tensor,
    state: ImaginationState,
    sampling: Sampling,
    noise: Tensor | None,
    with_entropy: bool,
    speculative: bool,
) -> DecodedTokens:
    """Draws the tokens of a frame after the first, each in view of those before it.

    Args:
        first: The first token, drawn already.
        past: The last tokens of each position, int64 (B, K, past frames).
        state: With the frame before and its action read.
        sampling: How tokens are drawn.
        noise: Uniform noise, float32 (B, K), see `draw_with_noise`.
        with_entropy: Whether to measure the entropy.
        speculative: Whether a pass reads a draft of all that is left, or one token.
    """
    count, parts = past.shape[1], [first]
    draft, known = past[:, 1:, 0], 1
    while known < count:
        here = slice(known, count if speculative else known + 1)
        draft = draft[:, : here.stop - known]
        read = torch.cat((parts[-1].tokens[:, -1:], draft[:, :-1]), dim=1)
        position = state.cache.position
        x = state.step(F.embedding(read, state.tables.inputs))
        noise_here = None if noise is None else noise[:, here]
        decoded = decode_tokens(x, past[:, here], state, sampling, noise_here, with_entropy)
        accepted = 1
        if speculative:
            is_right = (decoded.tokens == draft)[:, :-1].all(dim=0)
            accepted += int(is_right.long().cumprod(dim=0).sum())
            # What was read beyond the accepted tokens is overwritten.
            state.cache.position = position + accepted
        names = vars(decoded)
        parts.append(DecodedTokens(*(getattr(decoded, name)[:, :accepted] for name in names)))
        draft = decoded.tokens[:, accepted:]
        known += accepted
    return concatenate(parts, dim=1)
