"""Curves and bars of an evaluation, as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from worldtokens.common.atomic import replacing

COLUMNS = 4
STYLES = ("-o", "--s", ":^", "-.d", "-x", "--v", ":<", "-.>")


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: Above it.
        label: Of the horizontal axis.
        ticks: Its values; numbers are drawn at even distances, too.
        lines: By name, one number per tick; NaN is left out.
        bars: Whether the lines are drawn as groups of bars.
    """

    title: str
    label: str
    ticks: Sequence[str | float]
    lines: Mapping[str, Sequence[float]]
    bars: bool = False


def save_panels(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Draws the panels, four in a row.

    Args:
        path: Where the PNG goes.
        title: Is written above.
        panels: At least one.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    # Titles need some width, however few the panels.
    size = (max(6.4, 3.6 * columns), 0.4 + 2.8 * rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        positions = np.arange(len(panel.ticks))
        for number, (name, values) in enumerate(panel.lines.items()):
            heights = np.array(values, np.float64)
            if panel.bars:
                width = 0.8 / len(panel.lines)
                left = positions - 0.4 + width * (number + 0.5)
                axes.bar(left, np.nan_to_num(heights), width, label=name)
            else:
                axes.plot(positions, heights, STYLES[number % len(STYLES)], label=name, ms=3)
        axes.set_xticks(positions, [str(tick) for tick in panel.ticks])
        axes.set_xlabel(panel.label, fontsize=8)
        axes.set_title(panel.title, fontsize=9)
        axes.tick_params(labelsize=7)
        if panel.lines:
            axes.legend(fontsize=6)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
