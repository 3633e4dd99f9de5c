"""Pictures of a dataset."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from collect.source import EpisodeSource

_SCALE = 3
_LABEL_HEIGHT = 14
_GAP = 4
_NUM_WITHOUT_ROOMS = 24


def save_contact_sheet(source: EpisodeSource, path: Path) -> None:
    """Save a PNG with one frame of each room, or frames at even distances in games without.

    Of a room's frames the middle one is shown.
    """
    rooms, first_indices = np.unique(source.scene, return_index=True)
    if len(rooms) > 1:
        del first_indices
        chosen = [int(_middle(np.flatnonzero(source.scene == room))) for room in rooms]
        labels = [f"room {room}" for room in rooms.tolist()]
    else:
        chosen = source.choose_frames(_NUM_WITHOUT_ROOMS).tolist()
        labels = [f"frame {index}" for index in chosen]
    frames = source.gather_frames(np.array(chosen, np.int64))
    tile_grid(frames, labels, num_columns=min(8, len(chosen))).save(path)


def tile_grid(frames: np.ndarray, labels: list[str], num_columns: int) -> Image.Image:
    """Lay frames out in rows, uint8 (n, H, W, 3), each magnified and under its label."""
    height, width = frames.shape[1] * _SCALE, frames.shape[2] * _SCALE
    cell_height, cell_width = height + _LABEL_HEIGHT + _GAP, width + _GAP
    num_rows = -(-len(frames) // num_columns)
    sheet = Image.new("RGB", (num_columns * cell_width + _GAP, num_rows * cell_height + _GAP))
    draw = ImageDraw.Draw(sheet)
    for number, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x = _GAP + number % num_columns * cell_width
        y = _GAP + number // num_columns * cell_height
        draw.text((x, y), label, fill=(255, 255, 255))
        magnified = Image.fromarray(frame).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(magnified, (x, y + _LABEL_HEIGHT))
    return sheet


def _middle(indices: np.ndarray) -> int:
    return int(indices[len(indices) // 2])
