"""The command line that all entry scripts share: Hydra in, a dataclass out, one line per error."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeVar, cast

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from worldtokens.training.command_help import describe_stage
from worldtokens.training.renamed_keys import rename_overrides
from worldtokens.training.stage_config import StageConfig

CONFIGS = "worldtokens.configs"
FULL_ERROR = "HYDRA_FULL_ERROR"
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)
USER_ERRORS = (ValueError, OSError, FloatingPointError, *CONFIG_ERRORS)
HELP_FLAGS = ("--help", "-h")

Config = TypeVar("Config")


def launch(
    main: Callable[[Config], None],
    config_type: type[Config],
    config_name: str,
    config_module: str = CONFIGS,
) -> None:
    """Runs `main` with the config that the command line describes; with --help, describes the keys.

    A ValueError, OSError, FloatingPointError or config error ends the process with one line on
    stderr and exit code 1. HYDRA_FULL_ERROR=1 in the environment shows the traceback instead.

    Args:
        main: Called with an instance of `config_type`.
        config_type: A dataclass whose fields are the keys of the YAML file.
        config_name: Name of the primary config, without its ending.
        config_module: The package that holds the YAML files.
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    stage = StageConfig(config_type, config_name, config_module)

    def fail(error: Exception) -> NoReturn:
        if wants_traceback:
            raise error
        print(f"error: {_explain(error, stage)}", file=sys.stderr)
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
    stage.register_defaults()
    try:
        if any(flag in sys.argv[1:] for flag in HELP_FLAGS):
            overrides = [word for word in sys.argv[1:] if not word.startswith("-")]
            _show(describe_stage(stage, sys.modules[main.__module__].__doc__ or "", overrides))
            return
        with _hydra_raises():
            hydra.main(
                version_base="1.3", config_path=f"pkg://{config_module}", config_name=config_name
            )(run)()
    except CONFIG_ERRORS as error:
        fail(error)


def compose(config_type: type[Config], config_name: str, overrides: Sequence[str] = ()) -> Config:
    """Returns the config that `launch` would pass to `main` for these overrides.

    Raises:
        ValueError: An override names a key that does not exist, or a value of the wrong type.
    """
    stage = StageConfig(config_type, config_name)
    try:
        return to_dataclass(stage.compose(_rename(overrides)), config_type)
    except CONFIG_ERRORS as error:
        raise ValueError(_explain(error, stage)) from error


def to_dataclass(config: DictConfig, config_type: type[Config]) -> Config:
    """Checks a resolved Hydra config against a dataclass and builds it.

    Raises:
        OmegaConfBaseException: A key is missing, unknown or of another type.
    """
    typed = OmegaConf.merge(OmegaConf.structured(config_type), config)
    return cast(Config, OmegaConf.to_object(typed))


def _show(text: str) -> None:
    """Prints a text, of which the reader of a pipe (`| head`) may take a part only."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Lets Hydra raise config errors, of which it else prints several lines."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def _rename(overrides: Sequence[str]) -> list[str]:
    renamed, notes = rename_overrides(overrides)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return renamed


def _explain(error: Exception, stage: StageConfig) -> str:
    """Describes an error in one line; for a misspelt key it names the close keys of the command."""
    if isinstance(error, CONFIG_ERRORS):
        return _explain_config_error(str(error), stage)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _explain_config_error(text: str, stage: StageConfig) -> str:
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' (?:is )?not in", text
    )
    if unknown is None:
        named = re.search(r"full_key: (\S+)", text)
        reason = " ".join(text.split("full_key:")[0].split())
        if named and "missing mandatory value" in reason:
            return f"config key '{named.group(1)}' needs a value: give {named.group(1)}=..."
        return f"config key '{named.group(1)}': {reason}" if named else reason
    key, known = unknown.group(1), stage.keys()
    close = difflib.get_close_matches(key, known, n=3) or [
        name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    top = ", ".join(name for name in known if "." not in name)
    hint = f"did you mean {' or '.join(close)}?" if close else f"its keys are {top}"
    return f"config key '{key}' does not exist in {stage.name}.yaml; {hint}"
