"""Pictures of dreams: grids of clips for training, curves for evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from worldtokens.common.atomic import replacing
from worldtokens.world_model.evaluation.metrics import ALL_ROOMS, Fidelity

STYLES = {"dream": "-o", "best": "-d", "copy": "--s", "tokenizer": ":^"}


def save_clip_grid(
    path: Path,
    clips: Sequence[np.ndarray],
    names: Sequence[str],
    labels: Sequence[str],
    scale: int = 2,
) -> None:
    """Writes a PNG of clips, one a row, their frames side by side.

    Args:
        path: Where it goes.
        clips: Each uint8 (n, height, width, 3), of one n.
        names: One per clip, written beside it.
        labels: One per column, written above it.
        scale: Screen pixels per pixel.
    """
    left, top, gap = 70, 14, 2
    height, width = (side * scale + gap for side in clips[0].shape[1:3])
    size = (left + width * len(labels), top + height * len(clips))
    sheet = Image.new("RGB", size, (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(labels):
        draw.text((left + column * width + 2, 1), label, fill=(230, 230, 230))
    for row, (name, frames) in enumerate(zip(names, clips, strict=True)):
        draw.text((2, top + row * height + 2), name, fill=(230, 230, 230))
        for column, frame in enumerate(frames.repeat(scale, axis=1).repeat(scale, axis=2)):
            sheet.paste(Image.fromarray(frame), (left + column * width, top + row * height))
    with replacing(path) as partial:
        sheet.save(partial)


def save_fidelity_curves(path: Path, runs: Mapping[str, Sequence[Fidelity]], title: str) -> None:
    """Draws every metric over the horizon, all rooms together.

    Args:
        path: Where the PNG goes.
        runs: Rows by run; copying and the tokenizer's ceiling are those of the first.
        title: Is written above.
    """
    metrics = (
        ("psnr", "pooled PSNR, dB"),
        ("foreground_recall", "foreground recall"),
        ("token_accuracy", "token accuracy"),
        ("player_seen", "player seen"),
        ("player_error", "error of the player's x"),
    )
    first = next(iter(runs.values()))
    curves = [(predictor, style, first) for predictor, style in STYLES.items()]
    curves += [(name, "-x", rows) for name, rows in list(runs.items())[1:]]
    columns = -(-len(metrics) // 2)
    figure = Figure(figsize=(3.6 * columns, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    for index, (name, label) in enumerate(metrics):
        axes = figure.add_subplot(2, columns, index + 1)
        for curve, style, rows in curves:
            predictor = curve if rows is first else "dream"
            points = [
                (row.horizon, getattr(row, name))
                for row in rows
                if (row.predictor, row.room) == (predictor, ALL_ROOMS)
                and np.isfinite(getattr(row, name))
            ]
            # Of the true frame's own tokens all are correct, which says nothing.
            if points and not (predictor == "tokenizer" and name == "token_accuracy"):
                axes.plot(*zip(*points, strict=True), style, label=curve, markersize=3)
        axes.set_xscale("log", base=2)
        last = max(row.horizon for row in first)
        axes.set_xticks([2**power for power in range(last.bit_length())])
        axes.get_xaxis().set_major_formatter(lambda value, _: f"{value:g}")
        axes.minorticks_off()
        axes.set_xlabel("steps after the last known frame", fontsize=8)
        axes.set_title(label, fontsize=9)
        axes.tick_params(labelsize=7)
        if axes.lines:
            axes.legend(fontsize=7)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
