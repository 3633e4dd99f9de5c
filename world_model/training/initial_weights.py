"""Starting a world model from the weights of another."""

from dataclasses import dataclass

import torch
from torch import Tensor

from worldtokens.hub.matching_weights import copy_matching
from worldtokens.world_model.model import WorldModel

# Layers with a row per reward value.
REWARD_ROWS = ("reward_head.2.weight", "reward_head.2.bias")
# Tables with a row per token, each with the layer that adds a projection of the token's code.
TOKEN_TABLES = {"token_embedding.weight": "code_input", "token_head.2.weight": "code_output"}
TOKEN_BIAS = "token_head.2.bias"
# Weight of the penalty on the projections, which keeps them small where codes are alike.
RIDGE = 1.0


@dataclass(frozen=True)
class TokenMatch:
    """How the tokens of another tokenizer stand for those of the run.

    Attributes:
        tokenizer: The other's fingerprint.
        partners: int64 (V,), the other's token for each token of the run; -1 for none.
    """

    tokenizer: str
    partners: Tensor


def start_from(model: WorldModel, source: str, match: TokenMatch | None = None) -> list[str]:
    """Copies the weights of another model as far as they fit; prints what starts fresh.

    The rows of the reward head are matched by the rewards that they stand for, those of the token
    tables by `match`, if the other model was trained on another tokenizer.

    Args:
        model: With fresh weights.
        source: A run folder, an export folder, the name of shipped weights or a Hub repo id.
        match: Of the tokenizer that the other model was trained on; None if it is the same.

    Returns:
        The names of the weights that start fresh.

    Raises:
        ValueError: There is no such model, or it was trained on another tokenizer.
    """
    other = WorldModel.from_pretrained(source)
    if match is None and other.config.tokenizer != model.config.tokenizer:
        raise ValueError(
            f"init_from={source}: expected a world model on the tokens of tokenizer "
            f"{model.config.tokenizer!r}, got one on those of {other.config.tokenizer!r}; give "
            "that one with init_tokenizer=, and the tokens of both are matched"
        )
    other.check_tokenizer(model.config.tokenizer if match is None else match.tokenizer)
    values, weights = model.state_dict(), other.state_dict()
    rows = {value: row for row, value in enumerate(other.config.reward_values)}
    for name in REWARD_ROWS:
        value, found = values.get(name), weights.get(name)
        if value is not None and found is not None and found.shape[1:] == value.shape[1:]:
            weights[name] = _matched_rows(value, found, model.config.reward_values, rows)
    if match is not None:
        _match_token_tables(values, weights, match.partners)
        known = int((match.partners >= 0).sum())
        print(f"init_tokenizer: {known:,} of {len(match.partners):,} tokens have a partner")
    return copy_matching(model, weights, source)


def _matched_rows(
    value: Tensor, found: Tensor, rewards: list[float], rows: dict[float, int]
) -> Tensor:
    """Returns a copy of `value` with the rows of `found` that stand for the same rewards."""
    matched = value.clone()
    for row, reward in enumerate(rewards):
        if reward in rows:
            matched[row] = found[rows[reward]]
    return matched


def _match_token_tables(
    values: dict[str, Tensor], weights: dict[str, Tensor], partners: Tensor
) -> None:
    """Replaces what depends on tokens in `weights` by what fits the run's tokens, in place.

    A token's vector is its own row plus a projection of its code. A token with a partner gets
    exactly its partner's vector; the projection of the run's codes is fitted to these vectors, so
    that tokens that no frame has start near those that look like them.
    """
    known = partners >= 0
    found = partners[known]
    codes = values.get("codes")
    for name, layer in TOKEN_TABLES.items():
        if name not in weights or values[name].shape[1:] != weights[name].shape[1:]:
            continue
        vectors = weights[name]
        if "codes" in weights:
            vectors = vectors + weights["codes"] @ weights[f"{layer}.weight"].T
        table = values[name].clone()
        table[known] = vectors[found]
        if codes is not None:
            projection = _projection(codes[known], vectors[found])
            table[known] -= codes[known] @ projection.T
            weights[f"{layer}.weight"] = projection
        weights[name] = table
    if TOKEN_BIAS in weights and len(found):
        # The least one, for tokens without a partner: like tokens that frames do not have.
        copied = weights[TOKEN_BIAS][found]
        weights[TOKEN_BIAS] = copied.min().repeat(len(partners)).masked_scatter(known, copied)
    # Of the run's own tokenizer.
    weights.pop("codes", None)
    if codes is not None:
        weights["codes"] = codes


def _projection(codes: Tensor, vectors: Tensor) -> Tensor:
    """Fits float (D, C) that maps codes (n, C) to vectors (n, D), by least squares with a ridge."""
    codes, wanted = codes.double(), vectors.double()
    gram = codes.T @ codes + RIDGE * torch.eye(codes.shape[1], dtype=codes.dtype)
    return torch.linalg.solve(gram, codes.T @ wanted).T.to(vectors.dtype)
