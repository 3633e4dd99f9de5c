"""Whether the imagined player does what the actions say: walk, climb, jump."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.probe import PositionProbe, label_byte
from worldtokens.world_model.model import WorldModel

MOST_RUNS = 256
# Frames up to a jump in which the player's height must not change.
STANDING = 3


def walks(place: np.ndarray, sides: np.ndarray) -> bool:
    """Whether one side is held, and every step takes the player there."""
    held = sides[:-1]
    return bool(held[0] and (held == held[0]).all() and (np.diff(place) * held >= 1).all())


def climbs(place: np.ndarray, heights: np.ndarray) -> bool:
    """Whether up or down is held, and all steps go one way; some games count downwards."""
    held, went = heights[:-1], np.sign(np.diff(place))
    return bool(held[0] and (held == held[0]).all() and went[0] and (went == went[0]).all())


def jumps(place: np.ndarray, fires: np.ndarray) -> bool:
    """Whether FIRE is pressed that was not before, by a player who stood for three frames."""
    pressed = fires[STANDING - 1] and not fires[STANDING - 2]
    return bool(pressed and (place[:STANDING] == place[0]).all())


def key_signs(meanings: Sequence[str], forth: str, back: str) -> np.ndarray:
    """1 for actions that hold one key, -1 for those that hold another, else 0."""
    return np.array([(forth in meaning) - (back in meaning) for meaning in meanings])


@dataclass(frozen=True)
class Motion:
    """A way to move.

    Attributes:
        name: Of its figures.
        axis: The coordinate that it changes, x or y.
        keys: The names of what is held forth and back.
        before: Known frames that `is_done` looks at before the last one.
        steps: Steps of a run; of a jump those to its top.
        least: What counts as having moved, RAM units over all steps.
        still: RAM labels that must not change in a run.
        is_done: Says of the coordinates of the frames from `before` on, (before + steps + 1,), and
            of the keys held at them whether this is the motion.
    """

    name: str
    axis: str
    keys: tuple[str, str]
    before: int
    steps: int
    least: int
    still: tuple[str, ...]
    is_done: Callable[[np.ndarray, np.ndarray], bool]


MOTIONS = (
    Motion("sideways", "x", ("RIGHT", "LEFT"), 0, 8, 8, ("lives", "room", "player_y"), walks),
    Motion("climbing", "y", ("UP", "DOWN"), 0, 4, 4, ("lives", "room", "player_x"), climbs),
    Motion("jumping", "y", ("FIRE", "none"), STANDING - 1, 3, 8, ("lives", "room"), jumps),
)


@dataclass(frozen=True)
class Run:
    """Some steps of an episode in which the player was steered and moved so.

    Attributes:
        episode: Where.
        first: First frame of the context; the run begins at its last.
        begin: The player's coordinate at the last known frame, in RAM units.
        way: By how much it changed in the run, RAM units, not 0.
        scene: The room that it happened in.
    """

    episode: TokenEpisode
    first: int
    begin: int
    way: int
    scene: int


def find_runs(
    motion: Motion,
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    context: int,
    most: int = MOST_RUNS,
) -> list[Run]:
    """Finds runs of a motion, in one room, in which no life is lost.

    Left out is where the player is not free to go: before a wall, in a jump or fall.

    Args:
        motion: Of `MOTIONS`.
        dataset: Has the RAM and the actions' names.
        episodes: Its episodes as tokens.
        context: Frames wanted up to the start of a run.
        most: Takes at most so many, evenly.
    """
    byte = label_byte(dataset.game, f"player_{motion.axis}")
    if byte is None:
        return []
    labels = (label_byte(dataset.game, label) for label in motion.still)
    still = [label for label in labels if label is not None]
    signs = key_signs(dataset.action_meanings, *motion.keys)
    ram = dataset.read("ram", 0, dataset.num_frames)
    runs = []
    for episode in episodes:
        rows = ram[episode.first_frame : episode.first_frame + len(episode.tokens)].astype(int)
        place, held = rows[:, byte], np.append(signs[episode.actions], 0)
        same = (rows[1:, still] == rows[:-1, still]).all(axis=1)
        start = max(context - 1, motion.before)
        while start + motion.steps < len(rows):
            end = start + motion.steps
            way = int(place[end] - place[start])
            window = slice(start - motion.before, end + 1)
            moved = abs(way) >= motion.least and same[start:end].all()
            if moved and motion.is_done(place[window], held[window]):
                scene = int(dataset.scene[episode.first_frame + start])
                runs.append(Run(episode, start + 1 - context, int(place[start]), way, scene))
                start = end
            else:
                start += 1
    if len(runs) <= most:
        return runs
    return [runs[i * len(runs) // most] for i in range(most)]


def shares_of_way(runs: Sequence[Run], read: np.ndarray) -> np.ndarray:
    """How far the player is seen to have come, as a share of his true way: float (n,).

    Args:
        runs: What was steered.
        read: Where a probe sees the player after the run, RAM units, float32 (n,); NaN for
            nowhere, of which the share is NaN.
    """
    begin = np.array([run.begin for run in runs])
    way = np.array([run.way for run in runs])
    return (read - begin) / way


def share_followed(shares: np.ndarray) -> float:
    """Share of runs in which he came at least half of the true way and at most half as far again.

    A player that stays, vanishes or appears somewhere else did not follow.
    """
    return float(((shares >= 0.5) & (shares <= 1.5)).mean())


def share_right_way(shares: np.ndarray) -> float:
    """Share of runs in which he came a quarter of the true way at least, or any way beyond."""
    return float((shares >= 0.25).mean())


def follow_figures(
    model: WorldModel,
    tokenizer: Tokenizer,
    probes: Mapping[str, PositionProbe],
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    context: int,
) -> dict[str, float]:
    """How often the player follows in greedy dreams, and in the same runs as they really were.

    Args:
        model: Dreams.
        tokenizer: Decodes its dreams.
        probes: By axis, x or y; without one of an axis its motions are left out.
        dataset: Held-out episodes, with RAM.
        episodes: The same as tokens.
        context: Known frames before a run.

    Returns:
        For each motion M of which there is a run: M_runs, their number; M_right_way and
        M_followed, in dreams; M_followed_in_true_frames, where the probe reads the tokenizer's
        reconstruction of the true last frame: below 1 by the probe's own errors and what the
        tokenizer lost.
    """
    figures = {}
    for motion in MOTIONS:
        runs = find_runs(motion, dataset, episodes, context)
        if motion.axis not in probes or not runs:
            continue
        starts = [(run.episode, run.first) for run in runs]
        found = roll_out(model, starts, context, motion.steps, top_k=1)
        scenes = np.array([run.scene for run in runs])
        imagined, true = (
            shares_of_way(
                runs, probes[motion.axis].read(tokenizer.decode(last).cpu().numpy(), scenes)
            )
            for last in (found.rollout.tokens[:, -1], found.truth.tokens[:, -1])
        )
        figures |= {
            f"{motion.name}_runs": float(len(runs)),
            f"{motion.name}_right_way": share_right_way(imagined),
            f"{motion.name}_followed": share_followed(imagined),
            f"{motion.name}_followed_in_true_frames": share_followed(true),
        }
    return figures
