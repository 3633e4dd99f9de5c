"""Checks that the fields of a dataclass have the types that it declares."""

import dataclasses
import types
import typing
from functools import cache
from typing import Any

from worldtokens.common.checks import is_number, is_whole_number

_WORDS = {int: "whole number", float: "number", str: "text", bool: "truth value (True or False)"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def check_field_types(config: Any) -> None:
    """Checks each field of a dataclass against its annotation.

    Args:
        config: An instance. Fields are numbers, texts, truth values, lists or tuples of these, or
            one of several; fields of other types are not checked. A list may stand for a tuple and
            a tuple for a list, numbers of numpy for Python's own.

    Raises:
        ValueError: The message names the field.
    """
    hints = _hints(type(config))
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if not _fits(value, hint):
            raise ValueError(f"{field.name}: expected {_describe(hint)}, got {value!r:.80}")


@cache
def _hints(config_type: type) -> dict[str, Any]:
    return typing.get_type_hints(config_type)


def _fits(value: Any, hint: Any) -> bool:
    origin, items = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return isinstance(value, list | tuple) and all(_fits(item, items[0]) for item in value)
    if origin is tuple and Ellipsis not in items:
        is_long = isinstance(value, list | tuple) and len(value) == len(items)
        return is_long and all(map(_fits, value, items))
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, item) for item in items)
    if hint is int:
        return is_whole_number(value)
    if hint is float:
        return is_number(value)
    return isinstance(value, hint) if hint in (str, bool, type(None)) else True


def _describe(hint: Any) -> str:
    origin, items = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return f"a list of {_PLURALS.get(items[0], 'values')}"
    if origin is tuple:
        return f"{len(items)} {_PLURALS.get(items[0], 'values')}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_describe, items))
    return "None" if hint is type(None) else f"a {_WORDS.get(hint, hint.__name__)}"
