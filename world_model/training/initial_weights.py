"""Starting a world model from the weights of another."""

from torch import Tensor

from worldtokens.hub.matching_weights import copy_matching
from worldtokens.world_model.model import WorldModel

# Layers with a row per reward value.
REWARD_ROWS = ("reward_head.2.weight", "reward_head.2.bias")


def start_from(model: WorldModel, source: str) -> list[str]:
    """Copies the weights of another model as far as they fit; prints what starts fresh.

    The rows of the reward head are matched by the rewards that they stand for.

    Args:
        model: With fresh weights.
        source: A run folder, an export folder, the name of shipped weights or a Hub repo id.

    Returns:
        The names of the weights that start fresh.

    Raises:
        ValueError: There is no such model, or it was trained on another tokenizer.
    """
    other = WorldModel.from_pretrained(source)
    other.check_tokenizer(model.config.tokenizer)
    values, weights = model.state_dict(), other.state_dict()
    rows = {value: row for row, value in enumerate(other.config.reward_values)}
    for name in REWARD_ROWS:
        value, found = values.get(name), weights.get(name)
        if value is not None and found is not None and found.shape[1:] == value.shape[1:]:
            weights[name] = _matched_rows(value, found, model.config.reward_values, rows)
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
