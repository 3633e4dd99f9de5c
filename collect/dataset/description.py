"""dataset.json: what all shards of a dataset have in common."""

import difflib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from worldtokens.common.atomic import write_text
from worldtokens.envs import EnvConfig

FORMAT_VERSION = 1
_FILE = "dataset.json"


@dataclass(frozen=True)
class DatasetDescription:
    """What every shard of a dataset shares.

    Attributes:
        env: settings of the environment.
        action_meanings: names of the actions.
        frame_shape: (H, W, 3).
        lossy: the frames went through a lossy codec before they came here.
    """

    env: EnvConfig
    action_meanings: tuple[str, ...]
    frame_shape: tuple[int, int, int]
    lossy: bool = False


def write_description(folder: Path, description: DatasetDescription) -> None:
    """Write dataset.json, or check that the one there says the same.

    Raises:
        ValueError: the folder holds a dataset of another environment.
    """
    path = folder / _FILE
    if path.exists():
        _check_same(folder, read_description(folder), description)
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format_version": FORMAT_VERSION, **asdict(description)}
    # Several jobs may start at once: each writes its own file and the last replace wins.
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_description(folder: Path) -> DatasetDescription:
    """Read dataset.json.

    Raises:
        ValueError: there is none (the message lists datasets close by) or it is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        raise ValueError(
            f"{folder} is not a dataset: it has no {_FILE}.{_advice(folder)} "
            f"`python collect/run.py env={folder.name}` collects one."
        )
    try:
        content = json.loads(path.read_text())
        version = content.pop("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(f"format version {version}, expected {FORMAT_VERSION}")
        return DatasetDescription(
            env=EnvConfig(**content["env"]),
            action_meanings=tuple(content["action_meanings"]),
            frame_shape=tuple(content["frame_shape"]),
            lossy=content["lossy"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); restore it from another copy of the dataset or "
            f"move {folder} away and collect again."
        ) from None


def _check_same(folder: Path, old: DatasetDescription, new: DatasetDescription) -> None:
    differences = [
        f"env_config.{key}: {old_value!r} there, {asdict(new.env)[key]!r} now"
        for key, old_value in asdict(old.env).items()
        if asdict(new.env)[key] != old_value
    ]
    if not differences and old != new:
        differences = [f"{old} there, {new} now"]
    if differences:
        raise ValueError(
            f"{folder} holds data of another environment ({'; '.join(differences)}); choose "
            "another folder with data=PATH, or go on with the old settings."
        )


def _advice(folder: Path) -> str:
    if not folder.parent.is_dir():
        return ""
    others = [path.parent.name for path in folder.parent.glob(f"*/{_FILE}")]
    close = difflib.get_close_matches(folder.name, others, n=3, cutoff=0.4)
    return f" Datasets beside it: {', '.join(close)}." if close else ""
