"""Pictures of a dataset: a contact sheet and a map of its rooms."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.common.atomic import replacing
from worldtokens.envs import room_layout

_SCALE = 2
_LABEL_HEIGHT = 14
_GAP = 4
_NUM_COLUMNS = 8
_NUM_WITHOUT_ROOMS = 24
_CANDIDATES = 15
_BACKGROUND = (24, 24, 24)
_EMPTY = (48, 48, 48)
_INK = (230, 230, 230)


@dataclass(frozen=True)
class Tile:
    """A frame and its position in a grid.

    Attributes:
        row: Counted from the top.
        column: Counted from the left.
        label: Written above.
        frame: uint8 (H, W, 3), or None for an empty position.
    """

    row: int
    column: int
    label: str
    frame: np.ndarray | None


def save_contact_sheet(source: EpisodeSource, path: Path) -> None:
    """Saves a PNG with one frame of each room, or frames at even distances in games without."""
    if len(np.unique(source.scene)) > 1:
        labelled = [(f"room {room}", frame) for room, frame in room_frames(source).items()]
    else:
        chosen = source.choose_frames(_NUM_WITHOUT_ROOMS)
        labelled = [
            (f"frame {index}", frame)
            for index, frame in zip(chosen.tolist(), source.gather_frames(chosen), strict=True)
        ]
    tiles = [
        Tile(number // _NUM_COLUMNS, number % _NUM_COLUMNS, label, frame)
        for number, (label, frame) in enumerate(labelled)
    ]
    _save_tiles(tiles, source.frame_shape, path)


def save_room_map(source: EpisodeSource, path: Path) -> bool:
    """Saves a PNG with a frame of each room at the room's position in the game.

    Rooms that the dataset has not seen are empty.

    Returns:
        Whether the game has a map; nothing is saved where it has none.
    """
    layout = room_layout(source.game)
    if not layout:
        return False
    frames = room_frames(source)
    tiles = [
        Tile(row, column, f"room {room}", frames.get(room))
        for room, (row, column) in layout.items()
    ]
    _save_tiles(tiles, source.frame_shape, path)
    return True


def room_frames(source: EpisodeSource) -> dict[int, np.ndarray]:
    """Returns a typical frame of each room, uint8 (H, W, 3).

    Of some frames at even distances it is the one that is closest to their median, so no blank
    frame between two rooms.
    """
    scene = source.scene
    typical = {}
    for room in np.unique(scene).tolist():
        indices = np.flatnonzero(scene == room)
        count = min(_CANDIDATES, len(indices))
        indices = indices[np.arange(count) * len(indices) // count]
        frames = source.gather_frames(indices).astype(np.int16)
        distances = np.abs(frames - np.median(frames, axis=0)).mean(axis=(1, 2, 3))
        typical[room] = frames[int(distances.argmin())].astype(np.uint8)
    return typical


def _save_tiles(tiles: list[Tile], frame_shape: tuple[int, int, int], path: Path) -> None:
    with replacing(path) as partial:
        draw_tiles(tiles, frame_shape).save(partial)


def draw_tiles(tiles: list[Tile], frame_shape: tuple[int, int, int]) -> Image.Image:
    """Draws tiles in a grid, each frame magnified and under its label."""
    height, width = frame_shape[0] * _SCALE, frame_shape[1] * _SCALE
    cell_height, cell_width = height + _LABEL_HEIGHT + _GAP, width + _GAP
    num_rows = 1 + max(tile.row for tile in tiles)
    num_columns = 1 + max(tile.column for tile in tiles)
    size = (num_columns * cell_width + _GAP, num_rows * cell_height + _GAP)
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for tile in tiles:
        x, y = _GAP + tile.column * cell_width, _GAP + tile.row * cell_height
        draw.text((x, y), tile.label, fill=_INK)
        y += _LABEL_HEIGHT
        if tile.frame is None:
            draw.rectangle((x, y, x + width - 1, y + height - 1), outline=_EMPTY)
            continue
        frame = Image.fromarray(tile.frame)
        sheet.paste(frame.resize((width, height), Image.Resampling.NEAREST), (x, y))
    return sheet
