"""Decoding: drawing the tokens of a frame from the transformer's output."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.imagination.sampling import (
    Generators,
    Sampling,
    draw,
    draw_with_noise,
    entropy,
    log_probability,
)
from worldtokens.world_model.imagination.state import ImaginationState
from worldtokens.world_model.networks.refinement import Draft, redrawn_counts

# Logits at a time that stay in the cache of a CPU's core, or take 1 GiB of a GPU's memory.
MAX_LOGITS = 2**18
MAX_LOGITS_GPU = 2**28
# Nats of a token's entropy that may be left out.
NEGLIGIBLE_ENTROPY = 1e-3
# Below the largest logit by more than this, a token is left out of a count.
NEGLIGIBLE_LOGIT = 12.0


@dataclass(frozen=True)
class DecodedTokens:
    """Tokens of a frame, int64 (B, n), their entropy and log-probability, float32 (B, n).

    NaN where a value is not needed; the entropy may be `NEGLIGIBLE_ENTROPY` too low.
    """

    tokens: Tensor
    entropy: Tensor
    log_probability: Tensor


def concatenate(parts: list[DecodedTokens], dim: int) -> DecodedTokens:
    """Joins parts of a frame, one after another (dim 1), or of a batch (dim 0)."""
    names = vars(parts[0])
    return DecodedTokens(*(torch.cat([getattr(p, n) for p in parts], dim=dim) for n in names))


def decode_tokens(
    x: Tensor,
    past: Tensor,
    state: ImaginationState,
    sampling: Sampling,
    noise: Tensor | None,
    with_entropy: bool,
) -> DecodedTokens:
    """Draws tokens (B, n) from features (B, n, inner), some rows at a time.

    The logits of all rows would be written to memory and read back several times.

    Args:
        x: Token features, see `WorldModelNetwork.token_features`.
        past: The last tokens of these positions, int64 (B, n, past frames).
        state: Of the dreams.
        sampling: How tokens are drawn.
        noise: Uniform noise, float32 (B, n), see `draw_with_noise`.
        with_entropy: Whether to measure the entropy.
    """
    if state.network.config.stay_gate and sampling.unchanged:
        return _decode_changes(x, past, state, noise, with_entropy)
    size, parts = _rows_at_a_time(x, state), []
    for first in range(0, len(x), size):
        rows = slice(first, first + size)
        logits = state.network.token_logits(x[rows], past[rows], state.tables)
        tokens = draw_with_noise(logits, sampling, None if noise is None else noise[rows])
        nothing = logits.new_full((1, 1), torch.nan).expand(tokens.shape)
        nats = entropy(logits) if with_entropy else nothing
        is_needed = state.network.config.refine_layers
        log_prob = log_probability(logits, tokens) if is_needed else nothing
        parts.append(DecodedTokens(tokens, nats, log_prob))
    if len(parts) == 1:
        return parts[0]
    return concatenate(parts, dim=0)


def _decode_changes(
    x: Tensor, past: Tensor, state: ImaginationState, noise: Tensor | None, with_entropy: bool
) -> DecodedTokens:
    """Does as `decode_tokens` with a stay gate: looks only at tokens that may change.

    Greedily, a token that more likely stays than not is the likeliest. Otherwise the lowest noise
    means staying, so that one number decides both whether a token changes and into what. The
    entropy is that of the gate where what a token might change to can add next to nothing.
    """
    network, tokens = state.network, past[..., 0].clone()
    odds = network.stay_logits(network.head_features(x))
    stay = odds.sigmoid()
    needed = changes = odds < 0 if noise is None else noise >= stay
    nats = nothing = torch.full_like(stay, torch.nan)
    if with_entropy:
        leave = (-odds).sigmoid()
        nats = stay * F.softplus(-odds) + leave * F.softplus(odds)
        needed = changes | (leave * math.log(network.config.vocab_size) > NEGLIGIBLE_ENTROPY)
    if noise is not None:
        # What is left of the noise once the token is known to change.
        noise = ((noise - stay) / (1 - stay))[needed].clamp(min=0.0)
    features, older, drawn, entropies = x[needed], past[needed], [], []
    size = _rows_at_a_time(features[:, None], state)
    for first in range(0, len(features), size):
        rows = slice(first, first + size)
        if noise is None and not with_entropy:
            drawn.append(_likeliest(features[rows], older[rows], odds[needed][rows], state))
            continue
        logits = network.token_logits(features[rows], older[rows], state.tables)
        if with_entropy:
            entropies.append(entropy(logits))
        if noise is None:
            drawn.append(logits.argmax(dim=-1))
        else:
            others = logits.scatter_(-1, older[rows, :1], -torch.inf)
            drawn.append(draw_with_noise(others, Sampling(), noise[rows]))
    if drawn:
        tokens[needed] = torch.where(changes[needed], torch.cat(drawn), tokens[needed])
    if entropies:
        nats[needed] = torch.cat(entropies)
    return DecodedTokens(tokens, nats, nothing)


def _likeliest(x: Tensor, past: Tensor, odds: Tensor, state: ImaginationState) -> Tensor:
    """Returns the likeliest tokens, int64 (n,), as the largest of `token_logits`.

    Staying has the odds against all other tokens together, so that it is the likeliest only where
    many tokens are about as likely. Counting them tells where; only there is the sum over all of
    them needed, which costs as much as the logits.

    Args:
        x: Features float (n, inner).
        past: Last tokens, int64 (n, past frames).
        odds: Log-odds of staying, float32 (n,).
        state: Of the dreams.
    """
    network = state.network
    logits = network.change_logits(network.head_features(x), past, state.tables)
    best, tokens = logits.max(dim=-1)
    # What is left out adds at most a term this small for each token.
    others = (logits > best[:, None] - NEGLIGIBLE_LOGIT).sum(dim=-1)
    most = others + logits.shape[-1] * math.exp(-NEGLIGIBLE_LOGIT)
    (close,) = torch.nonzero(most.log() + odds >= 0, as_tuple=True)
    if len(close):
        stays = logits[close].logsumexp(dim=-1) + odds[close] > best[close]
        tokens[close] = torch.where(stays, past[close, 0], tokens[close])
    return tokens


def _rows_at_a_time(x: Tensor, state: ImaginationState) -> int:
    limit = MAX_LOGITS if x.device.type == "cpu" else MAX_LOGITS_GPU
    return max(1, limit // (x.shape[1] * state.network.config.vocab_size))


def refine(
    decoded: DecodedTokens,
    hidden: Tensor,
    past: Tensor,
    state: ImaginationState,
    sampling: Sampling,
    generator: Generators,
) -> Tensor:
    """Draws the tokens again of which the model is least sure, with all others in view."""
    tokens, log_prob = decoded.tokens, decoded.log_probability
    for count in redrawn_counts(tokens.shape[1], state.network.config.refine_passes):
        least = log_prob.argsort(dim=1, stable=True)[:, :count].sort(dim=1).values
        masked = torch.zeros_like(tokens, dtype=torch.bool).scatter(1, least, True)
        draft = Draft(tokens, ~masked, masked)
        logits = state.network.refined_logits(hidden, draft, past, state.tables)
        logits = logits.view(*least.shape, -1)
        again = draw(logits, sampling, generator)
        tokens = tokens.scatter(1, least, again)
        log_prob = log_prob.scatter(1, least, log_probability(logits, again))
    return tokens
