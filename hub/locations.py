"""Locations of trained models: folders, the weights that come with the project, the Hub."""

import re
from pathlib import Path

from worldtokens.common.atomic import set_aside_name
from worldtokens.hub.model_files import CONFIG, WEIGHTS, Kind

# Beside the packages, in a clone and in an installed wheel alike.
SHIPPED = Path(__file__).resolve().parents[1] / "pretrained"
STARTS = "starts"
# What ship.py writes, and by which file each part is known.
SHIPPED_PARTS = ("tokenizer", "world_model", STARTS)
PART_FILES = (CONFIG, "dataset.json")


def shipped_names() -> list[str]:
    """Lists the names of the models that come with the project, for `from_pretrained`."""
    if not SHIPPED.is_dir():
        return []
    folders = (folder for folder in SHIPPED.iterdir() if not folder.name.startswith("."))
    return sorted(folder.name for folder in folders if any(folder.glob(f"*/{CONFIG}")))


def is_shipped(folder: Path) -> bool:
    """Tells whether a folder holds shipped models and nothing else.

    That is: a tokenizer, a world model, start frames, or some of these.
    """
    if not folder.is_dir() or folder.is_symlink():
        return False
    return all(
        path.name in SHIPPED_PARTS and any((path / name).is_file() for name in PART_FILES)
        for path in folder.iterdir()
    )


def shipped_folder(name: str) -> Path:
    """Returns the folder of models that come with the project.

    It holds tokenizer/ and world_model/, and in starts/ a small dataset of held-out episodes to
    dream on from.

    Args:
        name: A game, as montezuma_revenge or MontezumaRevenge.

    Raises:
        ValueError: There are none of that name; the message lists those that are there.
    """
    if snake_case(name) in shipped_names():
        return SHIPPED / snake_case(name)
    raise ValueError(
        f"name: expected weights that come with this package, got {name!r}; {_shipped()}"
    )


def snake_case(name: str) -> str:
    """Turns MontezumaRevenge into montezuma_revenge."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def locate(
    kind: Kind,
    path: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Finds the export folder that `path` means.

    Args:
        kind: The kind of model to find.
        path: An export folder, a run folder (its export/), a folder that holds one of each kind,
            the name of weights that come with the project, or a Hub repo id.
        revision: Branch, tag or commit of the Hub repo.
        token: Hub access token.
        local_files_only: Use the Hub's cache only.

    Raises:
        ValueError: There is no such thing, or it holds no exported model.
    """
    if not isinstance(path, str | Path) or not str(path).strip():
        got = "an empty one" if isinstance(path, str) else type(path).__name__
        raise ValueError(f"{kind.label}: expected a path or a name, got {got}")
    folder = Path(path)
    try:
        export = folder / "export"
        # The third is where a process that died has left the export that it was replacing.
        for candidate in (folder, export, set_aside_name(export), folder / kind.name):
            if (candidate / CONFIG).is_file():
                return candidate
    except OSError as error:
        raise ValueError(f"{kind.label} {path}: {error.strerror}") from error
    shipped = SHIPPED / snake_case(str(path)) / kind.name
    if snake_case(str(path)) in shipped_names() and (shipped / CONFIG).is_file():
        return shipped
    if folder.exists():
        raise ValueError(_why_no_export(kind, folder))
    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", str(path)):
        raise ValueError(
            f"{kind.label} {path}: no such folder; train one with {kind.command}, "
            f"or give a Hub repo id (owner/name) or a name: {_shipped()}"
        )
    return _download(kind, str(path), revision, token, local_files_only)


def _shipped() -> str:
    return f"shipped are {', '.join(shipped_names()) or 'none'}"


def _why_no_export(kind: Kind, folder: Path) -> str:
    if not folder.is_dir():
        return f"{kind.label} {folder}: expected a folder, got a file"
    if (folder / "config.yaml").is_file():
        return f"run folder {folder} has no export/ yet: its training did not reach a checkpoint"
    return (
        f"{kind.label} {folder} is neither a run folder nor an export folder: it has no export/ "
        f"and no {CONFIG}"
    )


def _download(
    kind: Kind, repo: str, revision: str | None, token: str | bool | None, local_files_only: bool
) -> Path:
    # Slow to import, and most programs never download.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    paths = []
    for name in (WEIGHTS, CONFIG):
        try:
            paths.append(
                hf_hub_download(
                    repo, name, revision=revision, token=token, local_files_only=local_files_only
                )
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise ValueError(
                f"{kind.label} {repo}: no such folder, and the Hub gave no {name} "
                f"({type(error).__name__})"
            ) from error
    return Path(paths[0]).parent
