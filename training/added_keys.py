"""Config keys that were added: runs that were begun before them go on as they began."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, TypeVar

from worldtokens.training.renamed_keys import ADDED_KEYS
from worldtokens.training.run_folder import RunFolder, read_tree
from worldtokens.training.session import SessionConfig
from worldtokens.training.stage_config import flatten

Config = TypeVar("Config", bound=SessionConfig)


def with_values_of_run(config: Config) -> Config:
    """Returns the config of a run that may have been begun by an earlier version.

    Args:
        config: Of a training command.

    Returns:
        The same config; where its run folder lacks a key that was added later, with the value that
        versions without the key had. A line on stderr names the keys that this changes.
    """
    path = Path(config.root) / config.env / config.run
    folder = RunFolder(path)
    if config.overwrite or not folder.config.is_file() or not folder.has_steps:
        return config
    saved = flatten(read_tree(folder.config))
    given = flatten(dataclasses.asdict(config))
    changes = {
        key: value
        for key, value in ADDED_KEYS.items()
        if key in given and key not in saved and given[key] != value
    }
    for key, value in changes.items():
        config = _replace(config, key.split("."), value)
    if changes:
        words = ", ".join(f"{key}={value}" for key, value in changes.items())
        print(f"{path} was begun by an earlier version and goes on with {words}", file=sys.stderr)
    return config


def _replace(config: Any, names: list[str], value: Any) -> Any:
    if len(names) > 1:
        value = _replace(getattr(config, names[0]), names[1:], value)
    return dataclasses.replace(config, **{names[0]: value})
