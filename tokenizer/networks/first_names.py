"""First names of layers: the first version counted them; see worldtokens.hub.part_names."""

from collections.abc import Iterable

from torch import nn


def count_layers(first_name: str, layers: Iterable[str | None]) -> dict[str, str]:
    """Returns the first names of layers that stood in one anonymous nn.Sequential.

    Args:
        first_name: Name of that nn.Sequential.
        layers: Names of today; None for a layer without weights, which had a number too.
    """
    return {name: f"{first_name}.{index}" for index, name in enumerate(layers) if name is not None}


def count_named_layers(name: str, layers: nn.Sequential) -> dict[str, str]:
    """Returns the first names of layers that still stand in one nn.Sequential.

    Args:
        name: Of the nn.Sequential, then and now.
        layers: The nn.Sequential.
    """
    return count_layers(name, [f"{name}.{layer}" for layer, _ in layers.named_children()])
