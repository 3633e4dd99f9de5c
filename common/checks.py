"""Checks of numbers that a user gave; each error names the field, what came and what fits."""

import math
from numbers import Integral, Real
from typing import Any


def check_at_least(least: int, **values: Any) -> None:
    """Checks whole numbers.

    Args:
        least: The smallest that is allowed.
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no whole number, or below `least`.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def check_positive(**values: Any) -> None:
    """Checks finite numbers above 0.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, not finite, or 0 or below.
    """
    for name, value in values.items():
        if not _is_number(value) or not 0 < value < math.inf:
            raise ValueError(f"{name}: expected a number above 0, got {value!r}")


def check_positive_or_infinite(**values: Any) -> None:
    """Checks limits: numbers above 0, infinity included.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, NaN, or 0 or below.
    """
    for name, value in values.items():
        if not _is_number(value) or not value > 0:
            raise ValueError(f"{name}: expected a number above 0 or inf, got {value!r}")


def check_probability(**values: Any) -> None:
    """Checks numbers in [0, 1].

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, or outside [0, 1].
    """
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
