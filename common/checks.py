"""Checks of numbers that a user gave; each error names the field, what came and what fits."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

LARGEST_SEED = 2**32 - 1


def check_at_least(least: int, **values: Any) -> None:
    """Checks whole numbers.

    Args:
        least: The smallest that is allowed.
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no whole number, or below `least`.
    """
    for name, value in values.items():
        if not is_whole_number(value) or value < least:
            raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def check_positive(**values: Any) -> None:
    """Checks finite numbers above 0.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, not finite, or 0 or below.
    """
    for name, value in values.items():
        if not is_number(value) or not 0 < value < math.inf:
            raise ValueError(f"{name}: expected a number above 0, got {value!r}")


def check_positive_or_infinite(**values: Any) -> None:
    """Checks limits: numbers above 0, infinity included.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, NaN, or 0 or below.
    """
    for name, value in values.items():
        if not is_number(value) or not value > 0:
            raise ValueError(f"{name}: expected a number above 0 or inf, got {value!r}")


def check_probability(**values: Any) -> None:
    """Checks numbers in [0, 1].

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, or outside [0, 1].
    """
    for name, value in values.items():
        if not is_number(value) or not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value!r}")


def check_number(least: float, **values: Any) -> None:
    """Checks finite numbers.

    Args:
        least: The smallest that is allowed.
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no number, not finite, or below `least`.
    """
    for name, value in values.items():
        if not is_number(value) or not least <= value < math.inf:
            raise ValueError(f"{name}: expected a number of at least {least:g}, got {value!r}")


def check_seed(**values: Any) -> None:
    """Checks seeds: whole numbers from 0 to 2**32 - 1.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no such number.
    """
    check_at_least(0, **values)
    for name, value in values.items():
        if value > LARGEST_SEED:
            raise ValueError(f"{name}: expected at most {LARGEST_SEED}, got {value}")


def check_path(**values: Any) -> None:
    """Checks paths.

    Args:
        **values: By the name that the user knows.

    Raises:
        ValueError: One is no path, or empty.
    """
    for name, value in values.items():
        if not isinstance(value, str | PurePath) or not str(value).strip():
            raise ValueError(f"{name}: expected a path, got {type(value).__name__} {value!r:.80}")


def check_reset(seed: Any, options: Any) -> int | None:
    """Checks the arguments of an environment's `reset`.

    Args:
        seed: A whole number of at least 0, or None.
        options: A dict, or None.

    Returns:
        The seed as Python's own number, as gymnasium wants it.

    Raises:
        ValueError: The seed is another.
        TypeError: The options are no dict.
    """
    if options is not None:
        check_type(dict, options=options)
    if seed is None:
        return None
    check_at_least(0, seed=seed)
    return int(seed)


def check_names(**values: Any) -> None:
    """Checks names of folders that must stay inside of the folder above.

    Args:
        **values: By the name that the user knows; "a/b" is a folder in a folder.

    Raises:
        ValueError: One is empty, absolute, or leads out by "..".
    """
    for name, value in values.items():
        path = PurePath(value) if isinstance(value, str) and value.strip() else None
        if path is None or path.is_absolute() or not path.parts or ".." in path.parts:
            raise ValueError(
                f"{name}: expected a name, such as {name}=NAME, that stays inside of its folder, "
                f"got {value!r}"
            )


def check_type(expected: type, **values: Any) -> None:
    """Checks types of objects.

    Args:
        expected: The class.
        **values: By the name that the user knows.

    Raises:
        TypeError: One is of another class.
    """
    for name, value in values.items():
        if not isinstance(value, expected):
            raise TypeError(
                f"{name}: expected a {expected.__name__}, got {type(value).__name__} {value!r:.80}"
            )


def check_choice(choices: Sequence[str], **values: Any) -> None:
    """Checks words.

    Args:
        choices: Those that are allowed.
        **values: By the name that the user knows.

    Raises:
        ValueError: One is none of them.
    """
    for name, value in values.items():
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def is_number(value: Any) -> bool:
    """Tells whether a value is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole_number(value: Any) -> bool:
    """Tells whether a value is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)
