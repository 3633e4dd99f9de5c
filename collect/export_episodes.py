"""Writes a dataset for other programs.

python collect/export_episodes.py env=MontezumaRevenge format=minari to=exports/minari
python collect/export_episodes.py env=MontezumaRevenge format=minari to=~/.minari/datasets
python collect/export_episodes.py env=MontezumaRevenge format=images split=heldout to=exports/png
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from worldtokens.collect.dataset.episodes import EpisodeDataset
from worldtokens.collect.dataset.source import Split
from worldtokens.collect.formats.image_files import export_images
from worldtokens.collect.formats.minari_format import export_minari, minari_id
from worldtokens.common.atomic import creating_folder
from worldtokens.training.command_line import launch

_MINARI, _IMAGES = "minari", "images"
_FORMATS = (_MINARI, _IMAGES)


@dataclass
class ExportConfig:
    """The keys of configs/export_episodes.yaml, explained there."""

    env: str | None
    data: str
    split: str | None
    format: str
    to: str
    id: str | None


def main(config: ExportConfig) -> None:
    """Exports the episodes; the target appears when it is complete."""
    if config.format not in _FORMATS:
        raise ValueError(f"format: expected {' or '.join(_FORMATS)}, got {config.format!r}")
    dataset = EpisodeDataset(config.data, cast(Split | None, config.split))
    target, id = Path(config.to).expanduser(), minari_id(dataset.game, config.id)
    if config.format == _MINARI:
        target /= id
    elif config.id is not None:
        raise ValueError(f"id: expected null for format={config.format}, got {config.id!r}")
    if target.exists():
        raise ValueError(
            f"to: expected a folder that does not exist yet, got {target}; "
            "choose another folder with to=PATH"
        )
    with creating_folder(target) as partial:
        if config.format == _MINARI:
            export_minari(dataset, partial, config.id)
        else:
            export_images(dataset, partial)
    print(f"exported   {len(dataset)} episodes, {dataset.num_frames} frames")
    print(f"to         {target}")
    if config.format == _MINARI:
        root = Path(config.to).expanduser()
        print(f"open it    MINARI_DATASETS_PATH={root}: minari.load_dataset({id!r})")


def cli() -> None:
    """Runs the command line."""
    launch(main, ExportConfig, "export_episodes")


if __name__ == "__main__":
    cli()
