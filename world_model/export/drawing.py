"""Drawing in a graph: the temperature is a number that is handed in, 0 takes the likeliest."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.imagination.sampling import (
    Sampling,
    draw_with_noise,
    entropy,
    log_probability,
)
from worldtokens.world_model.networks.network import WorldModelNetwork
from worldtokens.world_model.networks.predictions import TokenTables
from worldtokens.world_model.networks.refinement import Draft, redrawn_counts

# Nats of a token's entropy that may be left out. More than `imagine` leaves out: in a browser the
# logits of tokens that surely stay would cost more than everything else.
NEGLIGIBLE_NATS = 0.02
# Logits are divided by the temperature before.
AS_THEY_ARE = Sampling()


@dataclass(frozen=True)
class Temperature:
    """How likely classes other than the likeliest are drawn.

    Attributes:
        greedy: Whether the likeliest class is taken, bool ().
        divisor: What logits are divided by, float32 (); 1 if greedy.
    """

    greedy: Tensor
    divisor: Tensor

    @classmethod
    def of(cls, temperature: Tensor) -> "Temperature":
        """Reads a number, float32 (): 0 takes the likeliest."""
        greedy = temperature <= 0
        return cls(greedy, torch.where(greedy, torch.ones_like(temperature), temperature))


def choose(logits: Tensor, noise: Tensor, temperature: Temperature) -> Tensor:
    """Takes the likeliest class of each row of logits, or draws one.

    Args:
        logits: float32 (..., classes).
        noise: Uniform noise, float32 (...).
        temperature: Decides which.

    Returns:
        int64 (...).
    """
    drawn = draw_with_noise(logits / temperature.divisor, AS_THEY_ARE, noise)
    return torch.where(temperature.greedy, logits.argmax(dim=-1), drawn)


def choose_tokens(
    x: Tensor,
    past: Tensor,
    network: WorldModelNetwork,
    tables: TokenTables,
    noise: Tensor,
    temperature: Temperature,
) -> tuple[Tensor, Tensor]:
    """Draws tokens as `decode_tokens` does; at temperature 1 the same noise gives the same tokens.

    Args:
        x: Token features, float32 (B, n, inner).
        past: The last tokens of these positions, int64 (B, n, past frames).
        network: The network.
        tables: Its token vectors.
        noise: Uniform noise, float32 (B, n).
        temperature: Decides how tokens are drawn.

    Returns:
        Tokens int64 (B, n), and their entropy in nats, float32 (B, n).
    """
    if network.config.stay_gate:
        return _choose_changes(x, past, network, tables, noise, temperature)
    logits = network.token_logits(x, past, tables)
    return choose(logits, noise, temperature), entropy(logits)


def refine_tokens(
    tokens: Tensor,
    hidden: Tensor,
    past: Tensor,
    network: WorldModelNetwork,
    tables: TokenTables,
    noise: Tensor,
    temperature: Temperature,
) -> Tensor:
    """Draws the tokens again of which the model is least sure, see `decoding.refine`.

    Args:
        tokens: The frame as it was drawn, int64 (B, K).
        hidden: The transformer's output at the frame's positions, float32 (B, P - 1, D).
        past: The last tokens of the positions, int64 (B, K, past frames).
        network: The network.
        tables: Its token vectors.
        noise: Uniform noise of the redrawn tokens, pass after pass, float32 (B, n).
        temperature: Decides how tokens are drawn.
    """
    features = network.token_features(hidden, past, tables)
    log_prob = log_probability(network.token_logits(features, past, tables), tokens)
    counts = redrawn_counts(tokens.shape[1], network.config.refine_passes)
    for count, here in zip(counts, noise.split(counts, dim=1), strict=True):
        least = log_prob.topk(count, dim=1, largest=False).indices.sort(dim=1).values
        masked = torch.zeros_like(tokens, dtype=torch.bool).scatter(1, least, True)
        draft = Draft(tokens, ~masked, masked)
        logits = network.refined_logits(hidden, draft, past, tables)
        logits = logits.view(*least.shape, network.config.vocab_size)
        again = choose(logits, here, temperature)
        tokens = tokens.scatter(1, least, again)
        log_prob = log_prob.scatter(1, least, log_probability(logits, again))
    return tokens


def _choose_changes(
    x: Tensor,
    past: Tensor,
    network: WorldModelNetwork,
    tables: TokenTables,
    noise: Tensor,
    temperature: Temperature,
) -> tuple[Tensor, Tensor]:
    """Does as `choose_tokens` with a stay gate.

    Logits are computed of tokens that may change or are worth measuring, and drawn from for those
    that may change: a graph for browsers has no time to spare.
    """
    odds = network.stay_logits(network.head_features(x))
    stay, leave = odds.sigmoid(), (-odds).sigmoid()
    may_change = noise >= _least_stay(odds, temperature, network)
    # Spelt out, since onnxruntime cannot choose between truth values.
    may_change = (temperature.greedy & (odds < 0)) | (~temperature.greedy & may_change)
    # At least one, since operators on nothing are not to be relied on.
    may_change = (may_change | (odds == odds.min())).flatten()
    is_open = leave.flatten() * math.log(network.config.vocab_size) > NEGLIGIBLE_NATS
    rows = _where(may_change | is_open)
    features, older = x.flatten(0, 1)[rows], past.flatten(0, 1)[rows]
    logits = network.token_logits(features, older, tables)
    nats = stay * F.softplus(-odds) + leave * F.softplus(odds)
    nats = nats.flatten().scatter(0, rows, entropy(logits))
    among = _where(may_change[rows])
    changing = rows[among]
    new = _choose_change(
        logits[among], older[among, 0], odds.flatten()[changing], noise.flatten()[changing],
        temperature,
    )  # fmt: skip
    tokens = past[..., 0].flatten().scatter(0, changing, new)
    return tokens.view(odds.shape), nats.view(odds.shape)


def _where(mask: Tensor) -> Tensor:
    """Returns the indices at which a mask (n,) is True, of which there is at least one."""
    rows = mask.nonzero()[:, 0]
    torch._check(rows.shape[0] >= 1)
    return rows


def _least_stay(odds: Tensor, temperature: Temperature, network: WorldModelNetwork) -> Tensor:
    """Returns a lower bound of the probability of staying at a temperature, float32 (B, n).

    What leaves is shared by the other tokens. A temperature below 1 lowers their sum further than
    that of one token with all of it, and one above 1 lifts it by at most their number.
    """
    lift = (1 - 1 / temperature.divisor).clamp(min=0) * math.log(network.config.vocab_size)
    return (odds / temperature.divisor - lift).sigmoid()


def _choose_change(
    logits: Tensor, before: Tensor, odds: Tensor, noise: Tensor, temperature: Temperature
) -> Tensor:
    """Draws tokens int64 (n,) that may change from `before`, given logits (n, V).

    The lowest noise means staying, so that one number decides whether a token changes and into
    what.
    """
    own = before[:, None]
    others = logits.scatter(-1, own, -torch.inf) / temperature.divisor
    tempered = logits.gather(-1, own)[:, 0] / temperature.divisor - others.logsumexp(dim=-1)
    # At temperature 1 the same number, but for rounding.
    odds = torch.where(temperature.divisor == 1, odds, tempered)
    stay = odds.sigmoid()
    left = ((noise - stay) / (1 - stay)).clamp(min=0.0, max=1.0)
    drawn = torch.where(noise < stay, before, draw_with_noise(others, AS_THEY_ARE, left))
    return torch.where(temperature.greedy, logits.argmax(dim=-1), drawn)
