"""Where a dataset lies, and dataset.json: what all of its shards have in common."""

import difflib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from worldtokens.common.atomic import read_text, write_text
from worldtokens.common.checks import check_at_least
from worldtokens.common.commands import stage_command
from worldtokens.common.json_files import DIGEST, check_tree_digest, to_json, tree_digest
from worldtokens.envs import EnvConfig

FORMAT_VERSION = 1
_FILE = "dataset.json"


@dataclass(frozen=True)
class DatasetDescription:
    """What every shard of a dataset shares.

    Attributes:
        env: Settings of the environment.
        action_meanings: Names of the actions.
        frame_shape: (H, W, 3).
        lossy: The frames went through a lossy codec before they came here.
    """

    env: EnvConfig
    action_meanings: tuple[str, ...]
    frame_shape: tuple[int, int, int]
    lossy: bool = False


def find_dataset(path: str | os.PathLike[str]) -> Path:
    """Finds the folder of a dataset that is to be read.

    Args:
        path: A folder; or the name of a game whose weights come with the project, such as
            "montezuma_revenge", for the start frames beside them. A folder comes first.

    Returns:
        The folder; `path` itself where there is none of either kind.
    """
    path = Path(path)
    if path.is_dir():
        return path
    # Loads torch, which processes that only collect must not wait for.
    from worldtokens.hub.locations import STARTS, shipped_folder, shipped_names

    if str(path) in shipped_names():
        starts = shipped_folder(str(path)) / STARTS
        if starts.is_dir():
            return starts
    return path


def write_description(folder: Path, description: DatasetDescription) -> None:
    """Writes dataset.json, or checks that the one there says the same.

    Raises:
        ValueError: The folder holds a dataset of another environment.
    """
    path = folder / _FILE
    if path.exists():
        _check_same(folder, read_description(folder), description)
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format_version": FORMAT_VERSION, **asdict(description)}
    content["env"] = description.env.stored()
    # Several jobs may start at once: each writes its own file and the last replace wins.
    content[DIGEST] = tree_digest(content)
    write_text(path, to_json(content) + "\n")


def read_description(folder: Path) -> DatasetDescription:
    """Reads dataset.json.

    Raises:
        ValueError: There is none (the message lists datasets close by) or it is damaged.
        OSError: It cannot be read.
    """
    path = folder / _FILE
    if not path.exists():
        raise ValueError(
            f"{folder} is not a dataset: expected {_FILE} in it, got none;{_advice(folder)} "
            f"`{stage_command('collect')} env=GAME data={folder}` collects one"
        )
    try:
        content = json.loads(read_text(path))
        check_tree_digest(content, content.pop(DIGEST, None), _FILE)
        version = content.pop("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(f"expected format version {FORMAT_VERSION}, got {version}")
        return DatasetDescription(
            env=EnvConfig(**content["env"]),
            action_meanings=_meanings(content["action_meanings"]),
            frame_shape=_frame_shape(content["frame_shape"]),
            lossy=bool(content["lossy"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); restore it from another copy of the dataset, or "
            f"move {folder} away and collect again"
        ) from None


def _meanings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f"action_meanings: expected names, got {value!r:.80}")
    return tuple(value)


def _frame_shape(value: object) -> tuple[int, int, int]:
    sizes = value if isinstance(value, list) and len(value) == 3 else [0, 0, 0]
    height, width, channels = sizes
    check_at_least(1, frame_height=height, frame_width=width)
    if channels != 3:
        raise ValueError(f"frame_shape: expected [height, width, 3], got {value!r:.80}")
    return height, width, channels


def _check_same(folder: Path, old: DatasetDescription, new: DatasetDescription) -> None:
    old_values, new_values = asdict(old.env), asdict(new.env)
    differences = [
        f"env_config.{key}: {old_value!r} there, {new_values[key]!r} now"
        for key, old_value in old_values.items()
        if new_values[key] != old_value
    ]
    if not differences and old != new:
        differences = [f"{old} there, {new} now"]
    if differences:
        raise ValueError(
            f"{folder} holds data of another environment ({'; '.join(differences)}); choose "
            "another folder with data=PATH, or continue with the old settings"
        )


def _advice(folder: Path) -> str:
    if not folder.parent.is_dir():
        return ""
    others = [path.parent.name for path in folder.parent.glob(f"*/{_FILE}")]
    close = difflib.get_close_matches(folder.name, others, n=3, cutoff=0.4)
    return f" datasets beside it: {', '.join(close)};" if close else ""
