"""The command line that all entry scripts share: Hydra in, a dataclass out, one line per error."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from worldtokens.training.renamed_keys import rename_overrides
from worldtokens.training.run_folder import flatten

CONFIG_PATH = "pkg://worldtokens.configs"
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)
USER_ERRORS = (ValueError, OSError, FloatingPointError, *CONFIG_ERRORS)

Config = TypeVar("Config")


def launch(main: Callable[[Config], None], config_type: type[Config], config_name: str) -> None:
    """Runs `main` with the config that the command line describes.

    A ValueError, OSError, FloatingPointError or config error ends the process with one line on
    stderr and exit code 1. HYDRA_FULL_ERROR=1 in the environment shows the traceback instead.

    Args:
        main: Called with an instance of `config_type`.
        config_type: A dataclass whose fields are the keys of the YAML file.
        config_name: Name of the primary config in configs/, without its ending.
    """
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra prints several lines for a config error unless told to raise it.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def fail(error: Exception) -> NoReturn:
        if wants_traceback:
            raise error
        print(f"error: {_explain(error, config_name)}", file=sys.stderr)
        sys.exit(1)

    def run(config: DictConfig) -> None:
        # Caught in here, since Hydra adds a line to whatever Exception leaves the job.
        try:
            main(to_dataclass(config, config_type))
        except KeyboardInterrupt:
            print("interrupted: the same command continues where this one saved", file=sys.stderr)
            sys.exit(130)
        except USER_ERRORS as error:
            fail(error)

    sys.argv[1:] = _rename(sys.argv[1:])
    start = hydra.main(version_base="1.3", config_path=CONFIG_PATH, config_name=config_name)(run)
    try:
        start()
    except CONFIG_ERRORS as error:
        fail(error)


def compose(config_type: type[Config], config_name: str, overrides: Sequence[str] = ()) -> Config:
    """The config that `launch` would pass to `main` for these overrides.

    Raises:
        ValueError: An override names a key that does not exist, or a value of the wrong type.
    """
    try:
        return to_dataclass(_compose(config_name, _rename(overrides)), config_type)
    except CONFIG_ERRORS as error:
        raise ValueError(_explain(error, config_name)) from error


def to_dataclass(config: DictConfig, config_type: type[Config]) -> Config:
    """Checks a resolved Hydra config against a dataclass and builds it.

    Raises:
        OmegaConfBaseException: A key is missing, unknown or of another type.
    """
    typed = OmegaConf.merge(OmegaConf.structured(config_type), config)
    return cast(Config, OmegaConf.to_object(typed))


def _rename(overrides: Sequence[str]) -> list[str]:
    renamed, notes = rename_overrides(overrides)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return renamed


def _compose(config_name: str, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_module("worldtokens.configs", version_base="1.3"):
        return hydra.compose(config_name, overrides=list(overrides))


def _explain(error: Exception, config_name: str) -> str:
    """One line for an error; a misspelt key gets the close keys of this command."""
    if isinstance(error, CONFIG_ERRORS):
        return _explain_config_error(str(error), config_name)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _explain_config_error(text: str, config_name: str) -> str:
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' (?:is )?not in", text
    )
    if unknown is None:
        place = re.search(r"full_key: (\S+)", text)
        reason = " ".join(text.split("full_key:")[0].split())
        if place and "missing mandatory value" in reason:
            return f"config key '{place.group(1)}' needs a value: give {place.group(1)}=..."
        return f"config key '{place.group(1)}': {reason}" if place else reason
    key = unknown.group(1)
    known = [
        name
        for name in flatten(_plain(config_name), branches=True)
        if not name.startswith("hydra.")
    ]
    close = difflib.get_close_matches(key, known, n=3) or [
        name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    top = ", ".join(name for name in known if "." not in name)
    hint = f"did you mean {' or '.join(close)}?" if close else f"its keys are {top}"
    return f"config key '{key}' does not exist in {config_name}.yaml; {hint}"


def _plain(config_name: str) -> dict[str, Any]:
    tree = OmegaConf.to_container(_compose(config_name, ()), resolve=False)
    assert isinstance(tree, dict)
    return cast(dict[str, Any], tree)
