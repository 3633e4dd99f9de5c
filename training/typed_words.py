"""The words of a command line: values that Hydra's grammar does not know are taken as they are."""

import os
import re
from collections.abc import Sequence
from importlib import resources

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString

# Hydra's flags that take the next word.
_FLAGS_WITH_VALUE = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
    "--config-dir", "-cd", "--experimental-rerun",
)  # fmt: skip


def quote_words(words: Sequence[str]) -> list[str]:
    """Returns the words as Hydra reads them.

    A value with letters or signs that Hydra cannot parse (ü = # ( [ ' &, as in paths) is quoted;
    `~` at the beginning of a value is the home folder.

    Args:
        words: KEY=VALUE, +KEY=VALUE, ++KEY=VALUE, ~KEY and flags.

    Raises:
        ValueError: A word is neither.
    """
    parser = OverridesParser.create()
    quoted = []
    for number, word in enumerate(words):
        is_value = number > 0 and words[number - 1] in _FLAGS_WITH_VALUE
        quoted.append(word if is_value or word.startswith("-") else _quote(word, parser))
    return quoted


def _quote(word: str, parser: OverridesParser) -> str:
    key, equals, value = word.partition("=")
    if not re.fullmatch(r"(\+\+|\+|~|)[A-Za-z_][\w./@:-]*", key, re.ASCII):
        raise ValueError(
            f"argument {word!r:.200}: expected KEY=VALUE, with a key that --help shows; put words "
            "with spaces in quotes"
        )
    if not equals and not key.startswith("~"):
        raise ValueError(f"argument {word!r:.200}: expected KEY=VALUE, got no '='")
    if key == "env":
        word = f"{key}={(value := usual_game(value))}"
    if value == "~" or value.startswith("~/"):
        value = os.path.expanduser(value)
        word = f"{key}={value}"
    if _parses(word, parser):
        return word
    # As Hydra's grammar has it: a quote inside is escaped, and so is a backslash before a quote.
    inside = re.sub(r"(\\*)'", r"\1\1\\'", value)
    inside = re.sub(r"(\\+)$", r"\1\1", inside)
    return f"{key}='{inside}'"


def usual_game(value: str) -> str:
    """Returns the usual name of a game that is spelled as elsewhere; other names as they are.

    ALE/Pong-v5, PongNoFrameskip-v4 and pong are Pong: one game has one folder.
    """
    name = re.sub(r"^ALE/|(NoFrameskip)?-v\d+$", "", value)
    if name == value and not re.fullmatch("[a-z0-9_]+", name):
        return value
    from ale_py import roms  # Slow to import, and not needed for most names.

    known = {rom.replace("_", ""): rom.title().replace("_", "") for rom in roms.get_all_rom_ids()}
    return known.get(name.replace("_", "").lower(), value)


def _parses(word: str, parser: OverridesParser) -> bool:
    try:
        parser.parse_override(word)
    except Exception:  # the grammar's own errors have no common class
        return False
    return True


def check_choices(words: Sequence[str], config_module: str) -> None:
    """Checks that each choice among config files is a name; Hydra fails on other values.

    Args:
        words: As `quote_words` returns them.
        config_module: The package that holds the YAML files; a folder there is a choice.

    Raises:
        ValueError: The message names the key and the files.
    """
    parser = OverridesParser.create()
    for word in words:
        if "=" not in word or word.startswith("-") or not _parses(word, parser):
            continue
        override = parser.parse_override(word)
        folder = resources.files(config_module) / override.key_or_group
        value = override.value()
        if override.is_sweep_override() or not folder.is_dir():
            continue
        if not isinstance(value, str | QuotedString) and not override.is_delete():
            names = sorted(
                path.name.removesuffix(".yaml")
                for path in folder.iterdir()
                if path.name.endswith(".yaml")
            )
            raise ValueError(
                f"{override.key_or_group}: expected one of {', '.join(names)}, "
                f"got {word.partition('=')[2]}{'; for none leave it out' * (value is None)}"
            )


def swept_keys(words: Sequence[str]) -> list[str]:
    """Returns the keys that several values are given for, in their order."""
    parser = OverridesParser.create()
    keys = []
    for word in words:
        if "=" in word and not word.startswith("-") and _parses(word, parser):
            override = parser.parse_override(word)
            if override.is_sweep_override():
                keys.append(override.get_key_element().lstrip("+"))
    return keys
