"""Names of a model's tensors: those of today, and those that its first version gave them.

Files of the first version must load, and a fingerprint, which other files store, must not change.
So a model whose parts were renamed gives a mapping from each part's name to its first name. The
part "encoder.conv_in" stands for "encoder.conv_in.weight" and all else below it.
"""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def rename(name: str, parts: Mapping[str, str]) -> str:
    """Returns the name of a tensor after its part was renamed.

    Args:
        name: As in a state dict.
        parts: New names of parts by their present ones; none lies within another.
    """
    for part, new_part in parts.items():
        if name == part or name.startswith(f"{part}."):
            return new_part + name[len(part) :]
    return name


def to_first_names(state: Mapping[str, Value], first_names: Mapping[str, str]) -> dict[str, Value]:
    """Returns the same entries under the names of the first version.

    Args:
        state: By the names of today.
        first_names: First names of renamed parts by their names of today.
    """
    return {rename(name, first_names): value for name, value in state.items()}


def to_present_names(
    state: Mapping[str, Value], first_names: Mapping[str, str]
) -> dict[str, Value]:
    """Returns the same entries under the names of today.

    Args:
        state: By the names of today, or by those of the first version.
        first_names: First names of renamed parts by their names of today.
    """
    present_names = {first: present for present, first in first_names.items()}
    return {rename(name, present_names): value for name, value in state.items()}
