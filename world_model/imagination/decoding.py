"""How a dream draws the tokens of a frame from what the transformer made of it."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.imagination.sampling import (
    Generators,
    Sampling,
    draw,
    draw_at,
    entropy,
    log_probability,
)
from worldtokens.world_model.networks.predictions import DreamMemory
from worldtokens.world_model.networks.refinement import Draft, redrawn_counts

# Logits at a time that stay in the cache of a CPU's core, or take 1 GiB of a GPU's memory.
MOST_LOGITS = 2**18
MOST_LOGITS_GPU = 2**28
# Nats of a token's entropy that may be left out.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Drawn:
    """Tokens of a frame, int64 (B, n), their entropy and log-probability, float32 (B, n).

    NaN where a figure is not needed; the entropy may be `NEGLIGIBLE` too low.
    """

    tokens: Tensor
    entropy: Tensor
    log_probability: Tensor


def joined(parts: list[Drawn], dim: int) -> Drawn:
    """Parts of a frame, one after another (dim 1), or of a batch (dim 0)."""
    return Drawn(*(torch.cat([getattr(p, n) for p in parts], dim=dim) for n in vars(parts[0])))


def draw_tokens(
    x: Tensor,
    recent: Tensor,
    memory: DreamMemory,
    sampling: Sampling,
    level: Tensor | None,
    measure: bool,
) -> Drawn:
    """Draws tokens (B, n) from features (B, n, inner), some rows at a time.

    The logits of all rows would be written to memory and read back several times.

    Args:
        x: What the transformer made of the places.
        recent: The last tokens of these places, int64 (B, n, back).
        memory: Of the dream.
        sampling: How tokens are drawn.
        level: Random numbers, float32 (B, n), see `draw_at`.
        measure: Whether to measure the entropy.
    """
    if memory.network.config.stay_gate and sampling.unchanged:
        return _draw_changes(x, recent, memory, level, measure)
    rows, parts = _rows_at_a_time(x, memory), []
    for first in range(0, len(x), rows):
        of = slice(first, first + rows)
        logits = memory.network._token_logits(x[of], recent[of], memory.tables)
        tokens = draw_at(logits, sampling, None if level is None else level[of])
        nothing = logits.new_full((1, 1), torch.nan).expand(tokens.shape)
        nats = entropy(logits) if measure else nothing
        sure = log_probability(logits, tokens) if memory.network.config.refine_layers else nothing
        parts.append(Drawn(tokens, nats, sure))
    if len(parts) == 1:
        return parts[0]
    return joined(parts, dim=0)


def _draw_changes(
    x: Tensor, recent: Tensor, memory: DreamMemory, level: Tensor | None, measure: bool
) -> Drawn:
    """As `draw_tokens`, of a model with a stay gate: looks only at tokens that may change.

    Greedily, a token that more likely stays than not is the likeliest. Otherwise the lowest levels
    are those of staying, so that one number decides both whether a token changes and into what.
    The entropy is that of the gate where what a token might change to can add next to nothing.
    """
    network, tokens = memory.network, recent[..., 0].clone()
    odds = network._stay_odds(network._head_features(x))
    stay = odds.sigmoid()
    needed = is_open = odds < 0 if level is None else level >= stay
    nats = nothing = torch.full_like(stay, torch.nan)
    if measure:
        leave = (-odds).sigmoid()
        nats = stay * F.softplus(-odds) + leave * F.softplus(odds)
        needed = is_open | (leave * math.log(network.config.vocab_size) > NEGLIGIBLE)
    if level is not None:
        # What is left of the level once the token is known to change.
        level = ((level - stay) / (1 - stay))[needed].clamp(min=0.0)
    features, older, drawn, found = x[needed], recent[needed], [], []
    rows = _rows_at_a_time(features[:, None], memory)
    for first in range(0, len(features), rows):
        of = slice(first, first + rows)
        logits = network._token_logits(features[of], older[of], memory.tables)
        if measure:
            found.append(entropy(logits))
        if level is None:
            drawn.append(logits.argmax(dim=-1))
        else:
            changes = logits.scatter_(-1, older[of, :1], -torch.inf)
            drawn.append(draw_at(changes, Sampling(), level[of]))
    if drawn:
        tokens[needed] = torch.where(is_open[needed], torch.cat(drawn), tokens[needed])
    if found:
        nats[needed] = torch.cat(found)
    return Drawn(tokens, nats, nothing)


def _rows_at_a_time(x: Tensor, memory: DreamMemory) -> int:
    most = MOST_LOGITS if x.device.type == "cpu" else MOST_LOGITS_GPU
    return max(1, most // (x.shape[1] * memory.network.config.vocab_size))


def refine(
    drawn: Drawn,
    seen: Tensor,
    recent: Tensor,
    memory: DreamMemory,
    sampling: Sampling,
    generator: Generators,
) -> Tensor:
    """Draws the tokens again of which the model is least sure, with all others in view."""
    tokens, sure = drawn.tokens, drawn.log_probability
    for count in redrawn_counts(tokens.shape[1], memory.network.config.refine_passes):
        least = sure.argsort(dim=1, stable=True)[:, :count].sort(dim=1).values
        hidden = torch.zeros_like(tokens, dtype=torch.bool).scatter(1, least, True)
        draft = Draft(tokens, ~hidden, hidden)
        logits = memory.network._refined(seen, draft, recent, memory.tables)
        logits = logits.view(*least.shape, -1)
        again = draw(logits, sampling, generator)
        tokens = tokens.scatter(1, least, again)
        sure = sure.scatter(1, least, log_probability(logits, again))
    return tokens
