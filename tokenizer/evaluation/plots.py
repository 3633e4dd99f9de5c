"""Pictures of reconstructions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from worldtokens.tokenizer.data.backgrounds import is_close
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation.metrics import CodeUse
from worldtokens.tokenizer.evaluation.reconstruction import Evaluation

HIT = (0, 220, 0)
MISS = (255, 0, 0)
HEADINGS = ("true", "reconstruction", "foreground")


def save_sheet(
    path: Path,
    heldout: HeldoutFrames,
    evaluation: Evaluation,
    chosen: np.ndarray,
    columns: int = 2,
    scale: int = 3,
) -> None:
    """Writes a PNG of rows: true | reconstruction | foreground marked (green: right, red: lost).

    Args:
        path: Path of the PNG; its folder exists.
        heldout: The true frames.
        evaluation: Their reconstructions.
        chosen: Indices of the frames to show, int64 (n,).
        columns: Number of columns that the rows are spread over.
        scale: Screen pixels per pixel.
    """
    true, reconstructed = heldout.frames[chosen], evaluation.reconstructions[chosen]
    foreground, hits = heldout.foreground[chosen], is_close(true, reconstructed)
    marked = (true.astype(np.float32) * 0.3).astype(np.uint8)
    marked[foreground & hits] = HIT
    marked[foreground & ~hits] = MISS
    triples = np.concatenate([true, reconstructed, marked], axis=2)
    triples = _enlarge(triples, scale)
    labels = [
        f"scene {scene}, foreground {hit} of {total}"
        for scene, hit, total in zip(
            heldout.scenes[chosen],
            (foreground & hits).sum(axis=(1, 2)),
            foreground.sum(axis=(1, 2)),
            strict=True,
        )
    ]
    sheet = _lay_out(triples, HEADINGS, labels, columns, true.shape[2] * scale)
    sheet.save(path)


def save_comparison(
    path: Path,
    heldout: HeldoutFrames,
    reconstructions: Mapping[str, np.ndarray],
    chosen: np.ndarray,
    scale: int = 2,
) -> None:
    """Writes a PNG of rows: true | the reconstruction of each run.

    Args:
        path: Path of the PNG; its folder exists.
        heldout: The true frames.
        reconstructions: uint8 (n, height, width, 3) of all of them, by the run's name.
        chosen: Indices of the frames to show, int64 (m,).
        scale: Screen pixels per pixel.
    """
    frames = [heldout.frames[chosen], *(one[chosen] for one in reconstructions.values())]
    rows = _enlarge(np.concatenate(frames, axis=2), scale)
    labels = [f"scene {scene}" for scene in heldout.scenes[chosen]]
    width = heldout.frames.shape[2] * scale
    _lay_out(rows, ("true", *reconstructions), labels, 1, width).save(path)


def save_code_use(path: Path, uses: Mapping[str, CodeUse]) -> None:
    """Writes a PNG of the frequency of each code, the most frequent first, for each run."""
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, use in uses.items():
        shares = np.sort(use.counts)[::-1] / use.counts.sum()
        label = f"{name}: perplexity {use.perplexity:.0f}, {100 * use.share_used:.0f}% used"
        axes.plot(np.arange(1, len(shares) + 1), np.where(shares > 0, shares, np.nan), label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("code, by rank")
    axes.set_ylabel("share of all tokens")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _enlarge(frames: np.ndarray, scale: int) -> np.ndarray:
    return frames.repeat(scale, axis=1).repeat(scale, axis=2)


def _lay_out(
    triples: np.ndarray,
    headings: Sequence[str],
    labels: list[str],
    columns: int,
    frame_width: int,
) -> Image.Image:
    """Arranges pictures (n, height, width, 3) in columns, each below its label."""
    rows = -(-len(triples) // columns)
    margin, gap = 14, 8
    cell_height, cell_width = triples.shape[1] + margin, triples.shape[2] + gap
    sheet = Image.new("RGB", (columns * cell_width, rows * cell_height + margin), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        for index, heading in enumerate(headings):
            left = column * cell_width + index * frame_width + 2
            draw.text((left, 1), heading, fill=(255, 255, 255))
    for index, (triple, label) in enumerate(zip(triples, labels, strict=True)):
        column, row = index // rows, index % rows
        left, top = column * cell_width, margin + row * cell_height
        draw.text((left + 2, top + 1), label, fill=(200, 200, 200))
        sheet.paste(Image.fromarray(triple), (left, top + margin))
    return sheet
