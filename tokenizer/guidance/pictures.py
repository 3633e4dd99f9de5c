"""Pictures of an ascent: a grid of its steps, and a clip."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

MARGIN = 14
MILLISECONDS = 60


def save_grid(path: Path, frames: np.ndarray, headings: Sequence[str], scale: int = 3) -> None:
    """Writes a PNG: a row for each frame, a column for each step.

    Args:
        path: Path of the PNG; its folder exists.
        frames: uint8 (steps, n, height, width, 3).
        headings: Of the steps.
        scale: Screen pixels per pixel.
    """
    large = frames.repeat(scale, axis=2).repeat(scale, axis=3)
    height, width = large.shape[2:4]
    size = (len(frames) * width, large.shape[1] * height + MARGIN)
    sheet = Image.new("RGB", size, (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for step, heading in enumerate(headings):
        draw.text((step * width + 2, 1), heading, fill=(255, 255, 255))
        for row, frame in enumerate(large[step]):
            sheet.paste(Image.fromarray(frame), (step * width, MARGIN + row * height))
    sheet.save(path, format="PNG")


def save_clip(path: Path, frames: np.ndarray, scale: int = 3) -> None:
    """Writes a GIF of frames uint8 (steps, n, height, width, 3), side by side."""
    rows = np.concatenate(list(frames.swapaxes(0, 1)), axis=2)
    large = rows.repeat(scale, axis=1).repeat(scale, axis=2)
    first, *rest = [Image.fromarray(row).quantize(128) for row in large]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=MILLISECONDS, loop=0)
