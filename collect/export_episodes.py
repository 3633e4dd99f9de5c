"""Writes a dataset for other programs.

python collect/export_episodes.py env=MontezumaRevenge format=minari to=exports/minari
python collect/export_episodes.py env=MontezumaRevenge format=images split=heldout to=exports/png
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from worldtokens.collect.dataset.episodes import EpisodeDataset
from worldtokens.collect.dataset.source import Split
from worldtokens.collect.formats.image_files import export_images
from worldtokens.collect.formats.minari_format import export_minari
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
    """Export; the target appears when it is complete."""
    if config.format not in _FORMATS:
        raise ValueError(f"format must be {' or '.join(_FORMATS)}, got {config.format!r}.")
    target = Path(config.to)
    if target.exists():
        raise ValueError(f"{target} exists already; choose another folder with to=PATH.")
    dataset = EpisodeDataset(config.data, cast(Split | None, config.split))
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _FORMATS[config.format](dataset, beside)
        os.replace(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(f"exported   {len(dataset)} episodes, {dataset.num_frames} frames")
    print(f"to         {target}")


if __name__ == "__main__":
    launch(main, ExportConfig, "export_episodes")
