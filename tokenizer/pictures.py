"""Pictures of reconstructions."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tokenizer.evaluation import Evaluation, HeldoutFrames
from tokenizer.metrics import is_close

HIT = (0, 220, 0)
MISS = (255, 0, 0)
HEADINGS = ("true", "reconstruction", "foreground")


def save_sheet(
    path: Path,
    heldout: HeldoutFrames,
    found: Evaluation,
    chosen: np.ndarray,
    columns: int = 2,
    scale: int = 3,
) -> None:
    """Writes a PNG of rows: true | reconstruction | foreground marked (green: kept, red: lost).

    Args:
        path: Where the PNG goes; its folder exists.
        heldout: The true frames.
        found: Their reconstructions.
        chosen: Which of them to show, int64 (n,).
        columns: Rows are dealt out to this many columns.
        scale: Screen pixels per pixel.
    """
    true, made = heldout.frames[chosen], found.reconstructions[chosen]
    foreground, hits = heldout.foreground[chosen], is_close(true, made)
    marked = (true.astype(np.float32) * 0.3).astype(np.uint8)
    marked[foreground & hits] = HIT
    marked[foreground & ~hits] = MISS
    triples = np.concatenate([true, made, marked], axis=2)
    triples = triples.repeat(scale, axis=1).repeat(scale, axis=2)
    labels = [
        f"scene {scene}, foreground kept {kept} of {total}"
        for scene, kept, total in zip(
            heldout.scenes[chosen],
            (foreground & hits).sum(axis=(1, 2)),
            foreground.sum(axis=(1, 2)),
            strict=True,
        )
    ]
    _lay_out(triples, labels, columns, true.shape[2] * scale).save(path)


def _lay_out(triples: np.ndarray, labels: list[str], columns: int, frame_width: int) -> Image.Image:
    """Sets pictures (n, height, width, 3) in columns, each under its label."""
    rows = -(-len(triples) // columns)
    margin, gap = 14, 8
    cell_height, cell_width = triples.shape[1] + margin, triples.shape[2] + gap
    sheet = Image.new("RGB", (columns * cell_width, rows * cell_height + margin), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        for index, heading in enumerate(HEADINGS):
            place = column * cell_width + index * frame_width + 2
            draw.text((place, 1), heading, fill=(255, 255, 255))
    for index, (triple, label) in enumerate(zip(triples, labels, strict=True)):
        column, row = index // rows, index % rows
        left, top = column * cell_width, margin + row * cell_height
        draw.text((left + 2, top + 1), label, fill=(200, 200, 200))
        sheet.paste(Image.fromarray(triple), (left, top + margin))
    return sheet
