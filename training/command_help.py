"""What --help of a stage prints: its keys, their defaults and what each does."""

import dataclasses
import inspect
import json
import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from importlib.resources import files
from types import ModuleType
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf

from worldtokens.common.commands import CONSOLE_COMMAND, STAGES, program_words
from worldtokens.training.stage_config import StageConfig, nested_types

WIDTH = 100
COLUMN = 34
_VALUES = ("true", "false", "null")
FLAGS = """\
flags:
  --cfg job     Prints the config that the command would run with, and ends.
  --multirun    Runs once for each of several values: KEY=a,b.
  --hydra-help  Lists Hydra's other flags."""


def describe_stage(stage: StageConfig, description: str, overrides: Sequence[str] = ()) -> str:
    """Returns the text of --help.

    Args:
        stage: The stage's config.
        description: The docstring of the entry script; its commands are shown as the user types
            them.
        overrides: KEY=VALUE; the defaults are shown as they are under these.

    Raises:
        HydraException: An override names no key, or a choice that does not exist.
    """
    config = stage.compose(overrides, hydra_keys=True)
    choices = {
        group: choice
        for group, choice in config.hydra.runtime.choices.items()
        if not group.startswith("hydra/")
    }
    tree = OmegaConf.to_container(config, resolve=False)
    assert isinstance(tree, dict)
    del tree["hydra"]
    texts = key_texts(stage, choices)
    program = shlex.join(program_words())
    parts = [
        _indent_commands(_with_program(description.strip(), stage, program), program),
        f"usage: {program} KEY=VALUE ...",
        *_choice_sections(stage, choices),
        _section("keys:", {k: v for k, v in tree.items() if not isinstance(v, dict)}, "", texts),
    ]
    for key, values in tree.items():
        if isinstance(values, dict):
            title = _entry(f"{key}:", texts.get(str(key), ""), indent=0)
            parts.append(_section(title, values, f"{key}.", texts))
    return "\n\n".join([*parts, FLAGS])


def key_texts(stage: StageConfig, choices: dict[str, Any]) -> dict[str, str]:
    """Returns what is said of each key: by the comments of its YAML, else by its dataclass.

    Args:
        stage: The stage's config.
        choices: The chosen file of each group, whose comments count too.
    """
    texts = attribute_texts(stage.type)
    for name, nested in nested_types(stage.type):
        texts.setdefault(name, (inspect.getdoc(nested) or "").split("\n")[0])
        texts |= {f"{name}.{key}": text for key, text in attribute_texts(nested).items()}
    for group, choice in choices.items():
        if choice is not None:
            text = _read(stage, f"{group}/{choice}")
            prefix = "" if "@package _global_" in text else f"{group}."
            texts |= {prefix + key: value for key, value in yaml_comments(text).items()}
    texts |= yaml_comments(_read(stage, stage.name))
    return {name: as_sentence(text) for name, text in texts.items()}


def as_sentence(text: str) -> str:
    """Returns a text with a capital letter and a period, as comments of YAML files have neither.

    Values that it begins with (`true`, `null`, `hinge | vanilla`) keep their case.
    """
    first, _, rest = text.partition(" ")
    if re.fullmatch(r"[a-z]+", first) and first not in _VALUES and not rest.startswith(("|", "(")):
        text = text[0].upper() + text[1:]
    return f"{text}." if text and not text.endswith(".") else text


def attribute_texts(config_type: type) -> dict[str, str]:
    """Returns the entries under "Attributes:" in the docstrings of a dataclass and its bases."""
    texts: dict[str, str] = {}
    for base in reversed(config_type.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        module = sys.modules[base.__module__]
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        section = re.split(r"\n(?=\S)", section)[0]
        for entry in re.split(r"\n(?=    \w)", "\n" + section):
            name, colon, text = entry.strip().partition(":")
            if colon:
                texts[name] = _spell_out(" ".join(text.split()), module)
    return texts


def _spell_out(text: str, module: ModuleType) -> str:
    """Replaces the names of a module's tuples of strings ("One of NETWORKS.") by their values."""

    def values(name: re.Match[str]) -> str:
        choices = getattr(module, name.group(), None)
        return " | ".join(choices) if isinstance(choices, tuple) else name.group()

    return re.sub(r"\b[A-Z_]{4,}\b", values, text)


def yaml_comments(text: str) -> dict[str, str]:
    """Returns the comment behind each key of a YAML text, by its dotted key."""
    comments, path = {}, []
    for line in text.splitlines():
        entry = re.match(r"( *)(\w+):(?:.*?\s#\s*(.*))?", line)
        if entry:
            indent, key, comment = len(entry.group(1)), entry.group(2), entry.group(3)
            path = [(depth, name) for depth, name in path if depth < indent] + [(indent, key)]
            if comment:
                comments[".".join(name for _, name in path)] = comment.strip()
    return comments


def first_comment(text: str) -> str:
    """Returns the comment at the head of a YAML text, without Hydra's directives."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @"):
            lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _choice_sections(stage: StageConfig, choices: dict[str, Any]) -> list[str]:
    sections = []
    with stage.loading():
        loader = GlobalHydra.instance().config_loader()
        for group, choice in choices.items():
            shown = "null" if choice is None else choice
            lines = [f"choices of {group} (default: {shown}):"]
            for option in loader.get_group_options(group, ObjectType.CONFIG):
                lines.append(_entry(option, first_comment(_read(stage, f"{group}/{option}"))))
            sections.append("\n".join(lines))
    return sections


def _section(title: str, values: dict[Any, Any], prefix: str, texts: dict[str, str]) -> str:
    lines = [title]
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            lines.append(_section(f"  {name}:", value, f"{name}.", texts))
        elif value == "???":
            lines.append(_entry(f"{name}=...", f"(required) {texts.get(name, '')}"))
        else:
            lines.append(_entry(f"{name}={_shown(value)}", texts.get(name, "")))
    return "\n".join(lines)


def _entry(left: str, text: str, indent: int = 2) -> str:
    start = " " * indent + left
    if not text:
        return start
    lines = textwrap.wrap(text, WIDTH - COLUMN)
    if len(start) + 2 > COLUMN:
        return "\n".join([start, *(" " * COLUMN + line for line in lines)])
    rest = [" " * COLUMN + line for line in lines[1:]]
    return "\n".join([f"{start:<{COLUMN}}{lines[0]}", *rest])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _read(stage: StageConfig, name: str) -> str:
    return files(stage.module).joinpath(f"{name}.yaml").read_text()


def _with_program(description: str, stage: StageConfig, program: str) -> str:
    for known in STAGES:
        if known.config == stage.name:
            description = description.replace(f"python {known.script}", program)
            if program.startswith(CONSOLE_COMMAND):
                # Below `accelerate launch`, where only a module can be named.
                description = description.replace(f" {known.script}", f" -m {known.module}")
    return description


def _indent_commands(text: str, program: str) -> str:
    """Indents command lines that begin at the margin, with their continuations."""
    command = re.compile(rf"^{re.escape(program)} (?:.*\\\n)*.*", re.MULTILINE)
    return command.sub(lambda found: textwrap.indent(found.group(), "    "), text)
