"""Starting a world model from the weights of another."""

import torch
from torch import Tensor

from worldtokens.world_model.model import WorldModel

# Layers with a row per reward value.
REWARD_ROWS = ("reward_head.2.weight", "reward_head.2.bias")


@torch.no_grad()
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
    fresh = []
    for name, value in values.items():
        found = weights.get(name)
        if name in REWARD_ROWS and found is not None and found.shape[1:] == value.shape[1:]:
            _copy_rows(value, found, model.config.reward_values, rows)
        elif found is not None and found.shape == value.shape:
            value.copy_(found)
        else:
            fresh.append(name)
    model.load_state_dict(values)
    modules = sorted({name.split(".")[0] for name in fresh})
    print(f"init_from={source}: {', '.join(modules) or 'nothing'} starts fresh")
    return fresh


def _copy_rows(value: Tensor, found: Tensor, rewards: list[float], rows: dict[float, int]) -> None:
    for row, reward in enumerate(rewards):
        if reward in rows:
            value[row].copy_(found[rows[reward]])
