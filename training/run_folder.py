"""A run's folder: where a training run keeps its config, metrics, pictures and state."""

import dataclasses
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from worldtokens.common.atomic import is_partial, read_text, set_aside_name, sweep, write_text
from worldtokens.common.digests import has_digest
from worldtokens.training import run_lock
from worldtokens.training.renamed_keys import ADDED_KEYS, rename_keys
from worldtokens.training.stage_config import flatten

# What commands write into a run folder; overwrite=true deletes this and nothing else.
OURS = (
    "config.yaml", "metrics.jsonl", "metrics.damaged.jsonl", "curves.png", "samples",
    "checkpoint.pt", "export", ".export", ".export.old", "wandb", "evaluation", "onnx",
)  # fmt: skip

# Keys of every training's config, by which a damaged config.yaml is still known.
_MARKS = ("budget", "evaluations", "log_every", "checkpoint_every_minutes")


class RunFolder:
    """One folder per run; two runs of different configs never share one.

    Layout: config.yaml, metrics.jsonl, curves.png, samples/*.png, checkpoint.pt (the state to
    resume from) and export/ (the model as `from_pretrained` reads it).
    """

    def __init__(self, path: str | Path):
        """Names the parts of a run folder; creates nothing."""
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.curves = self.path / "curves.png"
        self.samples = self.path / "samples"
        self.checkpoint = self.path / "checkpoint.pt"
        self.export = self.path / "export"

    @classmethod
    def open(
        cls,
        path: str | Path,
        config: Any,
        free_keys: Sequence[str] = (),
        overwrite: bool = False,
    ) -> "RunFolder":
        """Creates the folder, or opens it again for the same config.

        Args:
            path: The folder.
            config: A dataclass; its fields, resolved, are what the run is.
            free_keys: Dotted keys that may differ between the first start and a resumption (a
                tracker's mode, say). A key covers what lies below it.
            overwrite: Delete what an earlier run left here.

        Raises:
            ValueError: The folder holds a run of another config, or files that are not a run.
        """
        folder = cls(path)
        folder.check(config, free_keys, overwrite)
        folder.begin(config, overwrite)
        return folder

    @property
    def has_steps(self) -> bool:
        """Whether a run took a step here; a start that failed before does not count as a run."""
        has_metrics = self.metrics.is_file() and self.metrics.stat().st_size > 0
        return self.checkpoint.exists() or has_metrics

    def check(self, config: Any, free_keys: Sequence[str] = (), overwrite: bool = False) -> None:
        """Checks that a run of this config may train here; writes nothing.

        Args:
            config: As for `open`.
            free_keys: As for `open`.
            overwrite: Whether an earlier run will be deleted.

        Raises:
            ValueError: As for `open`.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"run folder {self.path}: expected a folder, got a file; use run=NAME")
        if self.config.exists():
            tree = dataclasses.asdict(config)
            if not self._is_ours(tree):
                raise ValueError(
                    f"run folder {self.path}: expected a config.yaml of a run, got one of another "
                    "program; choose another folder with run=NAME"
                )
            if self.has_steps and not overwrite:
                self._check_same(tree, free_keys)
        elif self.path.is_dir() and (self.has_steps or any(map(_is_foreign, self.path.iterdir()))):
            raise ValueError(
                f"run folder {self.path}: holds files but no config.yaml, so it is not a run; "
                "choose another with run=NAME"
            )

    def begin(self, config: Any, overwrite: bool = False) -> None:
        """Makes the folder and writes the config, after `check`.

        Args:
            config: As for `open`.
            overwrite: Delete what an earlier run left here. What no run wrote stays.
        """
        if overwrite:
            self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        sweep(self.path)
        sweep(self.samples)
        shutil.rmtree(self.path / ".export", ignore_errors=True)
        if not self.export.exists() and set_aside_name(self.export).is_dir():
            set_aside_name(self.export).rename(self.export)
        tree = dataclasses.asdict(config)
        write_text(self.config, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
        self.samples.mkdir(exist_ok=True)

    def _is_ours(self, tree: dict[str, Any]) -> bool:
        """Tells whether a run wrote config.yaml, which may be damaged since."""
        marks = [mark for mark in _MARKS if mark in tree]
        text = "\n" + read_text(self.config)
        return (
            not marks
            or any(f"\n{mark}:" in text for mark in marks)
            or (self.checkpoint.is_file() and has_digest(self.checkpoint))
        )

    def _clear(self) -> None:
        if not self.path.is_dir():
            return
        for name in OURS:
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        others = sorted(p.name for p in self.path.iterdir() if p.name != run_lock.NAME)
        if others:
            left = ", ".join(others)
            print(f"note: {self.path}: left {left}, which no run wrote", file=sys.stderr)

    def _check_same(self, tree: dict[str, Any], free_keys: Sequence[str]) -> None:
        saved = flatten(read_tree(self.config))
        given = flatten(tree)
        saved = {key: value for key, value in ADDED_KEYS.items() if key in given} | saved
        free = tuple(f"{key}." for key in free_keys)
        different = [
            key
            for key in sorted(saved.keys() | given.keys())
            if saved.get(key) != given.get(key) and not f"{key}.".startswith(free)
        ]
        if different:
            shown = ", ".join(f"{k} {saved.get(k)!r} -> {given.get(k)!r}" for k in different[:4])
            more = f" and {len(different) - 4} more" if len(different) > 4 else ""
            raise ValueError(
                f"run folder {self.path}: holds a run of another config ({shown}{more}); choose "
                "another folder with run=NAME, or start afresh with overwrite=true"
            )


def _is_foreign(path: Path) -> bool:
    """Tells whether a start that failed before its config was written cannot have left a file."""
    return path.name not in (*OURS, run_lock.NAME) and not is_partial(path)


def read_tree(path: Path) -> dict[str, Any]:
    """Reads a config.yaml, its old keys under their new names.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        tree = yaml.safe_load(read_text(path))
        if not isinstance(tree, dict):
            raise ValueError(f"expected keys and values, got {type(tree).__name__}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is damaged ({reason:.200}); restore it, choose another folder with run=NAME, "
            "or start afresh with overwrite=true"
        ) from None
    return rename_keys({str(key): value for key, value in tree.items()})


def read_config(path: str | Path, config_type: type) -> Any:
    """Returns the config that a run folder was opened with, as its dataclass.

    Raises:
        ValueError: The folder is not a run folder, or its config does not fit.
    """
    file = RunFolder(path).config
    if not file.is_file():
        raise ValueError(f"{path}: expected a run folder, got one without {file.name}")
    fields = {field.name for field in dataclasses.fields(config_type)}
    tree = {key: value for key, value in read_tree(file).items() if key in fields}
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config_type), tree))
    except OmegaConfBaseException as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{file}: expected the config of a run ({reason:.200})") from None
