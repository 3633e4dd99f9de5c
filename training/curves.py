"""Draws a run's metrics.jsonl as a PNG of small panels, one per metric."""

import math
from collections import defaultdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from worldtokens.common.atomic import replacing
from worldtokens.training.metric_writers import read_metrics


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draws every metric of `metrics` over the step; draws nothing while there are none.

    Names that differ only before the slash (train/loss, heldout/loss) share a panel.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(dict)
    for row in read_metrics(metrics):
        for name, value in row.items():
            if name != "step" and _is_shown(value):
                curve = panels[name.rsplit("/", 1)[-1]].setdefault(name, [])
                curve.append((row["step"], value))
    if not panels:
        return
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for index, (title, curves) in enumerate(sorted(panels.items())):
        axes = figure.add_subplot(rows, columns, index + 1)
        for name, points in sorted(curves.items()):
            axes.plot(
                *zip(*points, strict=True), label=name, marker="." if len(points) < 30 else ""
            )
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=7)
        if len(curves) > 1:
            axes.legend(fontsize=7)
    with replacing(picture) as partial:
        figure.savefig(partial, dpi=110)


def _is_shown(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
