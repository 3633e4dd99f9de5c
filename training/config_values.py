"""Checks of values that no command can use, whatever the key."""

import math
from typing import Any

# Where the documentation says that inf is for no limit.
MAY_BE_INFINITE = ("max_gradient_norm",)


def check_values(tree: dict[str, Any], prefix: str = "") -> None:
    """Checks that every text has letters and every number is one.

    Args:
        tree: A resolved config.
        prefix: Dotted key of `tree`, with a dot at its end.

    Raises:
        ValueError: The message names the key, the value and what is expected.
    """
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            check_values(value, f"{key}.")
        elif isinstance(value, list):
            for element in value:
                if not isinstance(element, str):
                    _check_value(key, element)
        else:
            _check_value(key, value)


def _check_value(key: str, value: Any) -> None:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{key}: expected a value, got an empty one; give {key}=VALUE")
        if "\0" in value:
            raise ValueError(f"{key}: expected a text, got one with a null character: {value!r}")
    elif isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value) or value < 0 or key not in MAY_BE_INFINITE:
            raise ValueError(f"{key}: expected a finite number, got {value}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{key}: expected a number of at most 64 bits, got {value}")
