"""The command line that all entry scripts share: Hydra in, a dataclass out, one line per error."""

import argparse
import copy
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast

import hydra
from omegaconf import DictConfig, OmegaConf

from worldtokens.common.env_names import folder_name, is_gymnasium
from worldtokens.common.interrupts import NOTE
from worldtokens.training.command_help import describe_stage
from worldtokens.training.config_values import check_values
from worldtokens.training.error_lines import (
    CONFIG_ERRORS,
    USER_ERRORS,
    explain,
    is_interruption,
    is_lack_of_memory,
    print_line,
)
from worldtokens.training.multirun import Jobs, is_one_of_several
from worldtokens.training.renamed_keys import rename_overrides
from worldtokens.training.stage_config import StageConfig
from worldtokens.training.typed_words import check_choices, quote_words

CONFIGS = "worldtokens.configs"
FULL_ERROR = "HYDRA_FULL_ERROR"
HELP_FLAGS = ("--help", "-h")

Config = TypeVar("Config")


def launch(
    main: Callable[[Config], None],
    config_type: type[Config],
    config_name: str,
    config_module: str = CONFIGS,
) -> None:
    """Runs `main` with the config that the command line describes; with --help, describes the keys.

    A ValueError, OSError, FloatingPointError, lack of memory or config error ends the process with
    one line on stderr and exit code 1; of several jobs (`-m`) the others go on.
    HYDRA_FULL_ERROR=1 in the environment shows the traceback instead.

    Args:
        main: Called with an instance of `config_type`.
        config_type: A dataclass whose fields are the keys of the YAML file.
        config_name: Name of the primary config, without its ending.
        config_module: The package that holds the YAML files.
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    stage = StageConfig(config_type, config_name, config_module)
    _print_any_name()

    def fail(error: BaseException) -> NoReturn:
        if wants_traceback:
            raise error
        print_line(f"error: {explain(error, stage)}")
        sys.exit(1)

    def run(config: DictConfig) -> None:
        # Caught in here, since Hydra adds a line to whatever Exception leaves the job.
        try:
            jobs.begin(config)
            main(to_dataclass(config, config_type))
        except BrokenPipeError as error:
            _end_quietly(error)
        except Exception as error:
            if is_interruption(error):
                raise KeyboardInterrupt from None
            if not isinstance(error, USER_ERRORS) and not is_lack_of_memory(error):
                raise
            if wants_traceback or not is_one_of_several():
                fail(error)
            jobs.fail(explain(error, stage))

    try:
        sys.argv[1:] = quote_words(_rename(sys.argv[1:]))
        check_choices(sys.argv[1:], config_module)
        jobs = Jobs(sys.argv[1:])
        stage.register_defaults()
        if any(flag in sys.argv[1:] for flag in HELP_FLAGS):
            overrides = [word for word in sys.argv[1:] if not word.startswith("-")]
            _show(describe_stage(stage, sys.modules[main.__module__].__doc__ or "", overrides))
            return
        with _hydra_raises():
            hydra.main(
                version_base="1.3", config_path=f"pkg://{config_module}", config_name=config_name
            )(run)()
        jobs.end()
    except KeyboardInterrupt:
        print_line(NOTE)
        sys.exit(130)
    except Exception as error:
        if is_interruption(error):
            print_line(NOTE)
            sys.exit(130)
        if isinstance(error, (ValueError, *CONFIG_ERRORS)):
            fail(error)
        raise


def compose(config_type: type[Config], config_name: str, overrides: Sequence[str] = ()) -> Config:
    """Returns the config that `launch` would pass to `main` for these overrides.

    Raises:
        ValueError: An override names a key that does not exist, or a value of the wrong type.
    """
    stage = StageConfig(config_type, config_name)
    try:
        words = quote_words(_rename(overrides))
        check_choices(words, stage.module)
        return to_dataclass(stage.compose(words), config_type)
    except CONFIG_ERRORS as error:
        raise ValueError(explain(error, stage)) from error


def to_dataclass(config: DictConfig, config_type: type[Config]) -> Config:
    """Checks a resolved Hydra config against a dataclass and builds it.

    Raises:
        OmegaConfBaseException: A key is missing, unknown or of another type.
        ValueError: A value is none that any command can use, see `check_values`.
    """
    typed = OmegaConf.merge(OmegaConf.structured(config_type), with_folder_name(config))
    tree = OmegaConf.to_container(typed, resolve=True)
    check_values(cast(dict[str, Any], tree))
    return cast(Config, OmegaConf.to_object(typed))


def with_folder_name(config: DictConfig) -> DictConfig:
    """Returns a config whose `env` names folders: env=gymnasium:ID has ":" and perhaps "/".

    What is the environment's name and nothing else, `${env}` in the YAML, keeps the whole name.

    Args:
        config: Not resolved yet.
    """
    if OmegaConf.is_missing(config, "env") or not is_gymnasium(config.get("env", "")):
        return config
    config = copy.deepcopy(config)
    name = config.env
    OmegaConf.set_readonly(config, False)
    _name_whole(config, name)
    config.env = folder_name(name)
    return config


def _name_whole(node: DictConfig, name: str) -> None:
    tree = OmegaConf.to_container(node, resolve=False)
    assert isinstance(tree, dict)
    for key, value in tree.items():
        if value == "${env}":
            node[key] = name
        elif isinstance(value, dict):
            _name_whole(node[key], name)


def _show(text: str) -> None:
    """Prints a text, of which the reader of a pipe (`| head`) may take a part only."""
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        _end_quietly(error)


def _end_quietly(error: BrokenPipeError) -> None:
    """Leaves the rest of the output to nobody, where its reader has gone."""
    if error.filename is not None:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_any_name() -> None:
    """Makes names of files that are not UTF-8 printable."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Lets Hydra raise errors, of which it else prints several lines."""
    before, usage = os.environ.get(FULL_ERROR), argparse.ArgumentParser.error

    def refuse(self: argparse.ArgumentParser, message: str) -> NoReturn:
        raise ValueError(f"flags: {message}; see --help and --hydra-help")

    os.environ[FULL_ERROR] = "1"
    argparse.ArgumentParser.error = refuse
    try:
        yield
    finally:
        argparse.ArgumentParser.error = usage
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def _rename(overrides: Sequence[str]) -> list[str]:
    renamed, notes = rename_overrides(overrides)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return renamed
