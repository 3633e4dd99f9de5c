"""Where Minari keeps datasets: that of the id "worldtokens/Pong-v0" lies in ROOT/<id>/data/.

ROOT is $MINARI_DATASETS_PATH, or ~/.minari/datasets.
"""

import os
import re
from pathlib import Path

from worldtokens.common.env_names import folder_name

NAMESPACE = "worldtokens"
DATA, METADATA = "data", "metadata.json"
_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)*-v\d+")


def minari_id(game: str, id: str | None = None) -> str:
    """Returns the id of an exported dataset.

    Args:
        game: Name of the environment.
        id: The id that the user wants; None for worldtokens/NAME-v0.

    Raises:
        ValueError: Minari takes no such id.
    """
    if id is None:
        # A version inside of the name would count as the dataset's.
        name = re.sub(r"-v([0-9]+)$", r"_v\1", folder_name(game))
        return f"{NAMESPACE}/{name}-v0"
    if not _ID.fullmatch(id):
        raise ValueError(f"id: expected NAMESPACE/NAME-vNUMBER, as Minari has it, got {id!r}")
    return id


def find_minari(source: str) -> Path:
    """Finds a dataset of Minari.

    Args:
        source: Its folder, with data/ in it or that folder itself; a folder that holds one dataset
            somewhere below; or an id, which lies in Minari's own root.

    Returns:
        The folder that holds metadata.json.

    Raises:
        ValueError: There is none, or there are several.
    """
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets").expanduser()
    for folder in (Path(source).expanduser(), root / source):
        if not folder.is_dir():
            continue
        for found in (folder, folder / DATA):
            if (found / METADATA).is_file():
                return found
        below = sorted(path.parent for path in folder.glob(f"**/{DATA}/{METADATA}"))
        if len(below) == 1:
            return below[0]
        if below:
            names = ", ".join(str(path.parent.relative_to(folder)) for path in below[:8])
            raise ValueError(f"source: expected one dataset in {folder}, got {len(below)}: {names}")
        raise ValueError(
            f"source: {folder} is not a Minari dataset (No data found); expected {METADATA} in it "
            f"or in {DATA}/ below"
        )
    raise ValueError(
        f"source: expected a folder, or an id of a dataset in {root}, got {source}, which is none"
    )
