"""Long dreams: whether a player is there after 1,000 steps, and rooms stay what they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.collect.policies.random_actions import HeldRandomPolicy
from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.events.table import share
from worldtokens.world_model.evaluation.metrics import MIN_SQUARED_ERROR
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.sections import Section, percent, text_table
from worldtokens.world_model.evaluation.setup import DRAWN, SAMPLINGS, Setup
from worldtokens.world_model.imagination.rollout import Rollout
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.rl.agents import AgentsInDream

STRETCH = 100
# Frames are decoded and read at this distance; strange tokens are counted in all.
EVERY = 5
# Read frames of a visit to a room that give a median.
SHORTEST_VISIT = 3
MEAN_HOLD = 10
TRUE_FRAMES = "true frames"
NAN = float("nan")


@dataclass(frozen=True)
class LongDreamRow:
    """One stretch of long drawn dreams under held random actions.

    Attributes:
        frames: drawn, or "true frames": held-out ones, which show what the probe can see.
        last_step: The stretch's last step; 0 for true frames.
        dreams: Dreams that have not ended before the stretch.
        player_seen: Share of the frames before an end in which a probe of x finds the player, given
            the scene that the frame shows; NaN without a probe.
        strange: Share of their tokens that no training frame has at their position.
        returns: Visits to a room that was left before, by the room of the nearest median frame.
        return_psnr: PSNR between the median frames of that visit and of the one before, below the
            score bar: mean over the returns, dB.
        other_room_psnr: The same between a room's median and that of the room nearest to it: as
            much as confusing two rooms gives, mean over the rooms.
    """

    frames: str
    last_step: int
    dreams: int
    player_seen: float
    strange: float
    returns: int
    return_psnr: float
    other_room_psnr: float


@dataclass(frozen=True)
class Return:
    """A room entered again: the step of the entry, and the PSNR to how it looked before."""

    step: int
    psnr: float


def measure_long_dreams(setup: Setup, count: int, steps: int) -> list[LongDreamRow]:
    """Dreams on for long and looks at every stretch of 100 steps.

    Args:
        setup: Models and episodes.
        count: Starts in held-out episodes.
        steps: Steps of each.
    """
    rng = np.random.default_rng(setup.seed)
    starts = setup.tokens.starts(count, setup.context, 1, rng)
    agents = [HeldRandomPolicy(setup.model.config.num_actions, MEAN_HOLD) for _ in starts]
    open_loop = roll_out(
        setup.model,
        starts,
        setup.context,
        steps,
        actions=AgentsInDream(agents, setup.tokenizer, setup.seed),
        sampling=SAMPLINGS[DRAWN],
        generator=seeded_generators(setup.seed, len(starts)),
    )
    return long_dream_rows(setup, open_loop.rollout)


def long_dream_rows(setup: Setup, rollout: Rollout) -> list[LongDreamRow]:
    """Looks at dreams, and at held-out true frames for comparison."""
    tokens, ends = rollout.tokens.numpy(), rollout.ends.numpy()
    alive = np.cumsum(ends, axis=1) - ends == 0
    strange = np.where(alive, setup.strange(tokens).mean(axis=2), NAN)
    read = np.arange(EVERY - 1, tokens.shape[1], EVERY)
    seen = np.full(alive.shape, NAN)
    returns: list[Return] = []
    for number, dream in enumerate(tokens):
        ours = read[alive[number, read]]
        if not len(ours):
            continue
        frames = setup.decode(dream[ours])
        scenes = setup.scene_reader.read(frames)
        seen[number, ours] = _player_seen(setup, frames, scenes)
        bar = setup.backgrounds.score_rows
        returns += find_returns(frames[:, bar:], scenes, ours)
    confusion = _nearest_other_room(setup)
    rows = []
    for first in range(0, tokens.shape[1], STRETCH):
        stretch = slice(first, first + STRETCH)
        inside = [one.psnr for one in returns if first <= one.step < first + STRETCH]
        rows.append(
            LongDreamRow(
                frames=DRAWN,
                last_step=min(first + STRETCH, tokens.shape[1]),
                dreams=int(alive[:, first].sum()),
                player_seen=share(seen[:, stretch].ravel()),
                strange=share(strange[:, stretch].ravel()),
                returns=len(inside),
                return_psnr=float(np.mean(inside)) if inside else NAN,
                other_room_psnr=confusion,
            )
        )
    return [*rows, _true_row(setup, confusion)]


def find_returns(frames: np.ndarray, scenes: np.ndarray, steps: np.ndarray) -> list[Return]:
    """Finds rooms that are entered again, and compares how they look.

    Visits of less than three frames count as none.

    Args:
        frames: uint8 (n, height, width, 3), of one dream, in order.
        scenes: The room of each, int64 (n,).
        steps: The step of each, int64 (n,).
    """
    bounds = np.flatnonzero(np.diff(scenes)) + 1
    before: dict[int, np.ndarray] = {}
    last, found = None, []
    for visit in np.split(np.arange(len(frames)), bounds):
        scene = int(scenes[visit[0]])
        if len(visit) < SHORTEST_VISIT:
            continue
        median = np.median(frames[visit], axis=0)
        # What looked like another room for a frame or two was no way out.
        if scene in before and scene != last:
            found.append(Return(int(steps[visit[0]]), _psnr(median, before[scene])))
        before[scene], last = median, scene
    return found


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.square(first.astype(np.float64) - second).mean()
    return float(10 * np.log10(255.0**2 / max(error, MIN_SQUARED_ERROR)))


def _player_seen(setup: Setup, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
    """Marks the frames in which the probe of x finds the player, float (n,); NaN without one."""
    if "x" not in setup.probes:
        return np.full(len(frames), NAN)
    return (~np.isnan(setup.probes["x"].read(frames, scenes))).astype(float)


def _nearest_other_room(setup: Setup) -> float:
    medians = setup.backgrounds.medians[:, setup.backgrounds.score_rows :]
    if len(medians) < 2:
        return NAN
    nearest = [
        max(_psnr(one, other) for m, other in enumerate(medians) if m != n)
        for n, one in enumerate(medians)
    ]
    return float(np.mean(nearest))


def _true_row(setup: Setup, confusion: float, most: int = 1000) -> LongDreamRow:
    tokens = np.concatenate([episode.tokens for episode in setup.tokens.episodes])
    chosen = np.unique(np.linspace(0, len(tokens) - 1, most).astype(int))
    frames = setup.decode(tokens[chosen])
    seen = _player_seen(setup, frames, setup.scene_reader.read(frames))
    strange = float(setup.strange(tokens[chosen]).mean())
    return LongDreamRow(TRUE_FRAMES, 0, 0, share(seen), strange, 0, NAN, confusion)


def long_dream_section(setup: Setup, count: int, steps: int) -> Section:
    """Measures long dreams; see `measure_long_dreams`."""
    rows = measure_long_dreams(setup, count, steps)
    dreamt = [row for row in rows if row.frames == DRAWN]
    header = [
        "to step", "dreams", "player seen", "strange tokens", "rooms entered again",
        "as before, dB", "two rooms, dB",
    ]  # fmt: skip
    lines = [_line(row) for row in rows]
    ticks = [row.last_step for row in dreamt]
    panels = [
        Panel(title, "step", ticks, {"dream": [getattr(row, field) for row in dreamt]})
        for title, field in (
            ("player seen", "player_seen"),
            ("strange tokens", "strange"),
            ("rooms entered again look as before, dB", "return_psnr"),
        )
    ]
    return Section(
        name="long_dreams",
        title=f"{count} drawn dreams of {steps} steps under held random actions",
        rows=rows,
        table=text_table(header, lines),
        panels=panels,
        card={"long_dreams": _card(dreamt)},
    )


def _line(row: LongDreamRow) -> list[str]:
    def decibels(value: float) -> str:
        return "-" if np.isnan(value) else f"{value:.1f}"

    return [
        str(row.last_step) if row.frames == DRAWN else TRUE_FRAMES,
        str(row.dreams) if row.frames == DRAWN else "-",
        percent(row.player_seen),
        percent(row.strange),
        str(row.returns) if row.frames == DRAWN else "-",
        decibels(row.return_psnr),
        decibels(row.other_room_psnr),
    ]


def _card(rows: Sequence[LongDreamRow]) -> list[dict[str, float]]:
    """Returns the first and the last stretch."""
    return [
        {"to step": row.last_step, "player seen": row.player_seen, "strange tokens": row.strange}
        for row in (rows if len(rows) < 2 else [rows[0], rows[-1]])
    ]
