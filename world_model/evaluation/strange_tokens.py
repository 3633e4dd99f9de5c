"""Strange tokens: patches that the training data never shows at their position."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.world_model.data.segments import stack_windows
from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.events.dreams import dream
from worldtokens.world_model.evaluation.sections import Section, percent, text_table
from worldtokens.world_model.evaluation.setup import DRAWN, SAMPLINGS, Setup

HORIZONS = (1, 8, 20, 50)
TRUE_FRAMES = "true frames"


@dataclass(frozen=True)
class StrangeRow:
    """How many tokens of some frames never occur at their position in the training data.

    Attributes:
        frames: greedy or drawn (dreams), or true frames: those of held-out episodes.
        horizon: Steps after the last known frame.
        count: Number of frames.
        strange: Share of their tokens.
        frames_with_strange: Share of the frames with at least one.
    """

    frames: str
    horizon: int
    count: int
    strange: float
    frames_with_strange: float


def measure_strange_tokens(setup: Setup, count: int, samples: int) -> list[StrangeRow]:
    """Dreams on and looks for strange tokens.

    Args:
        setup: Models, held-out and training episodes.
        count: Starts.
        samples: Drawn dreams of each.
    """
    rng = np.random.default_rng(setup.seed)
    starts = setup.tokens.starts(count, setup.context, 1, rng)
    horizon = max(HORIZONS)
    length = setup.context + horizon
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], length)
    rows = []
    for name in SAMPLINGS:
        dreams = dream(setup, starts, horizon, name, samples if name == DRAWN else 1)
        for h in HORIZONS:
            rows.append(_row(setup, name, h, dreams.tokens[:, h - 1]))
    for h in HORIZONS:
        alive = truth.mask[:, setup.context + h - 1]
        if alive.any():
            tokens = truth.tokens[alive][:, setup.context + h - 1].numpy()
            rows.append(_row(setup, TRUE_FRAMES, h, tokens))
    return rows


def _row(setup: Setup, name: str, horizon: int, tokens: np.ndarray) -> StrangeRow:
    strange = setup.strange(tokens)
    frames = float(strange.any(axis=1).mean())
    return StrangeRow(name, horizon, len(tokens), float(strange.mean()), frames)


def strange_section(setup: Setup, count: int, samples: int) -> Section:
    """Measures strange tokens; see `measure_strange_tokens`."""
    rows = measure_strange_tokens(setup, count, samples)
    names = list(dict.fromkeys(row.frames for row in rows))
    shares = {name: _by_horizon(rows, name) for name in names}
    lines = [[name, *map(percent, shares[name])] for name in names]
    return Section(
        name="strange_tokens",
        title="tokens that no training frame has at their position, by steps ahead",
        rows=rows,
        table=text_table(["frames", *(f"+{h}" for h in HORIZONS)], lines),
        panels=[Panel("share of strange tokens", "steps ahead", HORIZONS, shares)],
        card={
            "strange_tokens": [
                {"frames": name, **{f"+{h}": v for h, v in zip(HORIZONS, values, strict=True)}}
                for name, values in shares.items()
            ]
        },
    )


def _by_horizon(rows: Sequence[StrangeRow], name: str) -> list[float]:
    known = {row.horizon: row.strange for row in rows if row.frames == name}
    return [known.get(horizon, float("nan")) for horizon in HORIZONS]
