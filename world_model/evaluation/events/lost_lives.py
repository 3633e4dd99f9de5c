"""What dreams show some steps after a lost life: how many are left, and where the player is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.world_model.data.segments import TokenEpisode, stack_windows
from worldtokens.world_model.evaluation.curves import Panel
from worldtokens.world_model.evaluation.events.choice import choose
from worldtokens.world_model.evaluation.events.dreams import Start, dream
from worldtokens.world_model.evaluation.events.events import LOST_LIFE, list_events
from worldtokens.world_model.evaluation.events.table import share
from worldtokens.world_model.evaluation.sections import Section, percent, text_table
from worldtokens.world_model.evaluation.setup import DRAWN, SAMPLINGS, Setup

STEPS = 12
# RAM units; a step moves the player by 4.
NEAR = 8
NAN = float("nan")


@dataclass(frozen=True)
class LostLifeRow:
    """What one predictor shows 12 steps after a life was lost in the step after the last known.

    Attributes:
        predictor: greedy or drawn dreams; copy, the last known frame; or tokenizer, the
            reconstruction of the true frame: as much as reading from frames allows.
        windows: Lost lives after which the game went on.
        lives_right: Share in which the icons of the lives, read from the frame (see `LivesReader`),
            show the true number; NaN where they cannot be read.
        player_seen: Share in which a probe finds the player; NaN without a probe.
        place_right: Share in which it finds him within 8 RAM units, in x and in y, of where it
            finds him in the reconstruction of the true frame; windows in which it does not find
            him there are left out. (The RAM itself is off by up to 40 units while he falls or
            comes to life again.)
        both_right: Share with both, of the same windows; NaN where one of them is not known.
    """

    predictor: str
    windows: int
    lives_right: float
    player_seen: float
    place_right: float
    both_right: float


def measure_lost_lives(setup: Setup, count: int, samples: int) -> list[LostLifeRow]:
    """Dreams past lost lives.

    Args:
        setup: Models and held-out episodes.
        count: At most so many lost lives, drawn.
        samples: Drawn dreams of each.

    Returns:
        Rows by predictor; none where no life is lost, or where frames tell neither of the two.
    """
    horizon = 1 + STEPS
    events = [
        event
        for event in list_events(setup.tokens.episodes)[LOST_LIFE]
        if event.start(1, setup.context) >= 0 and event.step + horizon <= len(event.episode)
    ]
    events = choose(events, count, np.random.default_rng(setup.seed))
    if not events or (setup.lives_reader is None and not setup.probes):
        return []
    starts: list[Start] = [(event.episode, event.start(1, setup.context)) for event in events]
    numbers = np.array([event.episode.first_frame + event.step + horizon for event in events])
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], setup.context + horizon)
    frames = {
        name: dream(setup, starts, horizon, name, samples if name == DRAWN else 1).tokens[:, -1]
        for name in SAMPLINGS
    }
    frames["copy"] = truth.tokens[:, setup.context - 1].numpy()
    frames["tokenizer"] = truth.tokens[:, -1].numpy()
    return [
        _row(setup, name, tokens, frames["tokenizer"], numbers) for name, tokens in frames.items()
    ]


def _row(
    setup: Setup, name: str, tokens: np.ndarray, true: np.ndarray, numbers: np.ndarray
) -> LostLifeRow:
    """Compares frames, int64 (n x samples, K), with the true ones, int64 (n, K)."""
    samples = len(tokens) // len(true)
    frames, heldout = setup.decode(tokens), setup.heldout
    lives = np.full(len(frames), NAN)
    if setup.lives_reader is not None:
        left = heldout.read("lives", 0, heldout.num_frames)[numbers].repeat(samples)
        lives = (setup.lives_reader.read(frames) == left).astype(float)
    seen, place = np.full(len(frames), NAN), np.full(len(frames), NAN)
    true_frames, scenes = setup.decode(true), heldout.scene[numbers]
    for probe in setup.probes.values():
        truth = probe.read(true_frames, scenes).repeat(samples)
        read = probe.read(frames, scenes.repeat(samples))
        near = np.where(np.isnan(truth), NAN, np.abs(read - truth) <= NEAR)
        seen = np.fmin(seen, ~np.isnan(read))
        # A coordinate that is not known makes the place unknown.
        place = near if np.isnan(place).all() else np.minimum(place, near)
    shares = (share(part) for part in (lives, seen, place, np.minimum(lives, place)))
    return LostLifeRow(name, len(true), *shares)


def lost_lives_section(setup: Setup, count: int, samples: int) -> Section:
    """Measures what dreams show after lost lives; see `measure_lost_lives`."""
    rows = measure_lost_lives(setup, count, samples)
    header = ["frames", "windows", "lives right", "player seen", "place right", "both right"]
    lines = [
        [
            row.predictor,
            str(row.windows),
            *map(percent, (row.lives_right, row.player_seen, row.place_right, row.both_right)),
        ]
        for row in rows
    ]
    shares = {
        "lives right": [row.lives_right for row in rows],
        "place right": [row.place_right for row in rows],
        "both right": [row.both_right for row in rows],
    }
    return Section(
        name="lost_lives",
        title=f"{STEPS} steps after a lost life: icons of the lives, and the player's place",
        rows=rows,
        table=text_table(header, lines) if rows else why_not(setup),
        panels=[Panel("share right", "frames", [row.predictor for row in rows], shares, bars=True)],
        card={
            f"after_lost_life_{row.predictor}": row.both_right
            for row in rows
            if row.predictor in SAMPLINGS and not np.isnan(row.both_right)
        },
    )


def why_not(setup: Setup) -> str:
    """Says why nothing was measured."""
    episodes: Sequence[TokenEpisode] = setup.tokens.episodes
    if not any(episode.lives_lost.any() for episode in episodes):
        return "left out: no life is lost in these episodes"
    if setup.lives_reader is None and not setup.probes:
        return "left out: the lives are not visible, and the game's RAM has no labelled player"
    return f"left out: no episode goes on for {STEPS} steps after a lost life"
