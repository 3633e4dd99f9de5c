"""Weights of one model as the first weights of another, as far as they fit."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


@torch.no_grad()
def copy_matching(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> list[str]:
    """Copies the tensors whose name and shape agree; prints the parts that start fresh.

    Args:
        model: With fresh weights.
        weights: By the names of its state dict; others are left out.
        source: Where they come from, for the line that is printed.

    Returns:
        The names of the model's tensors that start fresh.
    """
    values = model.state_dict()
    fits = {
        name: weights[name]
        for name, value in values.items()
        if name in weights and weights[name].shape == value.shape
    }
    model.load_state_dict({**values, **fits})
    fresh = [name for name in values if name not in fits]
    parts = sorted({name.split(".")[0] for name in fresh})
    print(f"init_from={source}: {', '.join(parts) or 'nothing'} starts fresh")
    return fresh
