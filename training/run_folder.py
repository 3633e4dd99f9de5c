"""A run's folder: where a training run keeps its config, metrics, pictures and state."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from worldtokens.common.atomic import write_text
from worldtokens.training.renamed_keys import ADDED_KEYS, rename_keys
from worldtokens.training.stage_config import flatten


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
        tree = dataclasses.asdict(config)
        if overwrite and folder.config.exists():
            shutil.rmtree(folder.path)
        if folder.config.exists():
            folder._check_same(tree, free_keys)
        elif folder.path.is_dir() and any(folder.path.iterdir()):
            raise ValueError(
                f"run folder {folder.path}: holds files but no config.yaml, so it is not a run; "
                "choose another with run=NAME"
            )
        folder.samples.mkdir(parents=True, exist_ok=True)
        write_text(folder.config, yaml.safe_dump(tree, sort_keys=False))
        return folder

    def _check_same(self, tree: dict[str, Any], free_keys: Sequence[str]) -> None:
        saved = flatten(rename_keys(yaml.safe_load(self.config.read_text())))
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


def read_config(path: str | Path, config_type: type) -> Any:
    """Returns the config that a run folder was opened with, as its dataclass.

    Raises:
        ValueError: The folder is not a run folder.
    """
    file = RunFolder(path).config
    if not file.is_file():
        raise ValueError(f"{path}: expected a run folder, got one without {file.name}")
    fields = {field.name for field in dataclasses.fields(config_type)}
    saved = rename_keys(yaml.safe_load(file.read_text()))
    tree = {key: value for key, value in saved.items() if key in fields}
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config_type), tree))
