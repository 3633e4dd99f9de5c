"""Writes a dataset for other programs.

python collect/export_episodes.py env=MontezumaRevenge format=minari to=exports/minari
python collect/export_episodes.py env=MontezumaRevenge format=images split=heldout to=exports/png
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from worldtokens.collect.dataset.episodes import EpisodeDataset
from worldtokens.collect.dataset.source import Split
from worldtokens.collect.formats.image_files import export_images
from worldtokens.collect.formats.minari_format import export_minari
from worldtokens.common.atomic import creating_folder
from worldtokens.training.command_line import launch

_FORMATS = {"minari": export_minari, "images": export_images}


@dataclass
class ExportConfig:
    """The keys of configs/export_episodes.yaml, explained there."""

    env: str | None
    data: str
    split: str | None
    format: str
    to: str


def main(config: ExportConfig) -> None:
    """Exports the episodes; the target appears when it is complete."""
    if config.format not in _FORMATS:
        raise ValueError(f"format: expected {' or '.join(_FORMATS)}, got {config.format!r}")
    target = Path(config.to)
    if target.exists():
        raise ValueError(
            f"to: expected a folder that does not exist yet, got {target}; "
            "choose another folder with to=PATH"
        )
    dataset = EpisodeDataset(config.data, cast(Split | None, config.split))
    with creating_folder(target) as partial:
        _FORMATS[config.format](dataset, partial)
    print(f"exported   {len(dataset)} episodes, {dataset.num_frames} frames")
    print(f"to         {target}")


def cli() -> None:
    """Runs the command line."""
    launch(main, ExportConfig, "export_episodes")


if __name__ == "__main__":
    cli()
