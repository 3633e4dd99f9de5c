"""Whether the imagined player does what the actions say: walk, climb, jump."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.probe import PositionProbe, label_byte
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel

MAX_RUNS = 256
# Frames up to a jump in which the player's height must not change.
STANDING_FRAMES = 3


def is_walk(positions: np.ndarray, sides: np.ndarray) -> bool:
    """Returns whether one side is held, and every step takes the player there."""
    held = sides[:-1]
    return bool(held[0] and (held == held[0]).all() and (np.diff(positions) * held >= 1).all())


def is_climb(positions: np.ndarray, directions: np.ndarray) -> bool:
    """Returns whether up or down is held and all steps go one way; y may count downwards."""
    held, moved = directions[:-1], np.sign(np.diff(positions))
    return bool(held[0] and (held == held[0]).all() and moved[0] and (moved == moved[0]).all())


def is_jump(positions: np.ndarray, fires: np.ndarray) -> bool:
    """Returns whether FIRE, which was not pressed before, is pressed by a player who stands."""
    pressed = fires[STANDING_FRAMES - 1] and not fires[STANDING_FRAMES - 2]
    return bool(pressed and (positions[:STANDING_FRAMES] == positions[0]).all())


def key_signs(meanings: Sequence[str], positive: str, negative: str) -> np.ndarray:
    """Returns 1 for actions that hold one key, -1 for those that hold another, else 0."""
    return np.array([(positive in meaning) - (negative in meaning) for meaning in meanings])


@dataclass(frozen=True)
class Motion:
    """A way to move.

    Attributes:
        name: Of its metrics.
        axis: The coordinate that it changes, x or y.
        keys: The names of the two keys for its two directions; "none" is no key.
        past_frames: Known frames that `is_done` looks at before the last one.
        steps: Steps of a run; of a jump those to its top.
        min_displacement: What counts as having moved, RAM units over all steps.
        constant_labels: RAM labels that must not change in a run.
        is_done: Says of the coordinates of the frames from `past_frames` before the last known one
            on, (past_frames + steps + 1,), and of the keys held at them whether this is the motion.
    """

    name: str
    axis: str
    keys: tuple[str, str]
    past_frames: int
    steps: int
    min_displacement: int
    constant_labels: tuple[str, ...]
    is_done: Callable[[np.ndarray, np.ndarray], bool]


MOTIONS = (
    Motion("sideways", "x", ("RIGHT", "LEFT"), 0, 8, 8, ("lives", "room", "player_y"), is_walk),
    Motion("climbing", "y", ("UP", "DOWN"), 0, 4, 4, ("lives", "room", "player_x"), is_climb),
    Motion("jumping", "y", ("FIRE", "none"), STANDING_FRAMES - 1, 3, 8, ("lives", "room"), is_jump),
)


@dataclass(frozen=True)
class Run:
    """Some steps of an episode in which the player was steered and moved so.

    Attributes:
        episode: The episode.
        first: First frame of the context; the run begins at its last.
        start_position: The player's coordinate at the last known frame, in RAM units.
        displacement: By how much it changed in the run, RAM units, not 0.
        scene: The room that it happened in.
    """

    episode: TokenEpisode
    first: int
    start_position: int
    displacement: int
    scene: int


def find_runs(
    motion: Motion,
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    context: int,
    max_runs: int = MAX_RUNS,
) -> list[Run]:
    """Finds runs of a motion, in one room, in which no life is lost.

    Runs in which the player is not free to go (before a wall, in a jump or fall) are left out.

    Args:
        motion: Of `MOTIONS`.
        dataset: Has the RAM and the actions' names.
        episodes: Its episodes as tokens.
        context: Frames wanted up to the start of a run.
        max_runs: Takes at most so many, evenly.
    """
    byte = label_byte(dataset.game, f"player_{motion.axis}")
    if byte is None:
        return []
    labels = (label_byte(dataset.game, label) for label in motion.constant_labels)
    constant = [label for label in labels if label is not None]
    signs = key_signs(dataset.action_meanings, *motion.keys)
    ram = dataset.read("ram", 0, dataset.num_frames)
    runs = []
    for episode in episodes:
        rows = ram[episode.first_frame : episode.first_frame + len(episode.tokens)].astype(int)
        positions, held = rows[:, byte], np.append(signs[episode.actions], 0)
        same = (rows[1:, constant] == rows[:-1, constant]).all(axis=1)
        start = max(context - 1, motion.past_frames)
        while start + motion.steps < len(rows):
            end = start + motion.steps
            displacement = int(positions[end] - positions[start])
            window = slice(start - motion.past_frames, end + 1)
            moved = abs(displacement) >= motion.min_displacement and same[start:end].all()
            if moved and motion.is_done(positions[window], held[window]):
                scene = int(dataset.scene[episode.first_frame + start])
                first = start + 1 - context
                runs.append(Run(episode, first, int(positions[start]), displacement, scene))
                start = end
            else:
                start += 1
    if len(runs) <= max_runs:
        return runs
    return [runs[i * len(runs) // max_runs] for i in range(max_runs)]


def displacement_ratios(runs: Sequence[Run], positions: np.ndarray) -> np.ndarray:
    """Computes how far the player moved, as a share of his true displacement: float (n,).

    Args:
        runs: The real runs.
        positions: Where a probe sees the player after the run, RAM units, float32 (n,); NaN where
            it sees none, of which the ratio is NaN.
    """
    start = np.array([run.start_position for run in runs])
    displacement = np.array([run.displacement for run in runs])
    return (positions - start) / displacement


def action_following_rate(ratios: np.ndarray) -> float:
    """Returns the share of runs with 0.5 to 1.5 times the true displacement.

    A player that stays, vanishes or appears somewhere else does not follow the actions.
    """
    return float(((ratios >= 0.5) & (ratios <= 1.5)).mean())


def direction_correct_rate(ratios: np.ndarray) -> float:
    """Returns the share of runs with at least a quarter of the true displacement."""
    return float((ratios >= 0.25).mean())


def action_following_metrics(
    model: WorldModel,
    tokenizer: Tokenizer,
    probes: Mapping[str, PositionProbe],
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    context: int,
) -> dict[str, float]:
    """Measures how often the player follows the actions, in greedy dreams and in real frames.

    Args:
        model: Dreams.
        tokenizer: Decodes its dreams.
        probes: By axis, x or y; without one of an axis its motions are left out.
        dataset: Held-out episodes, with RAM.
        episodes: The same as tokens.
        context: Known frames before a run.

    Returns:
        For each motion M of which there is a run: M_runs, their number; M_direction_correct and
        M_action_following, in dreams; M_action_following_in_true_frames, where the probe reads the
        tokenizer's reconstruction of the true last frame: below 1 by the probe's own errors and
        what the tokenizer lost.
    """
    metrics = {}
    for motion in MOTIONS:
        runs = find_runs(motion, dataset, episodes, context)
        if motion.axis not in probes or not runs:
            continue
        starts = [(run.episode, run.first) for run in runs]
        open_loop = roll_out(model, starts, context, motion.steps, sampling=Sampling(top_k=1))
        scenes = np.array([run.scene for run in runs])
        imagined, true = (
            displacement_ratios(
                runs, probes[motion.axis].read(tokenizer.decode(last).cpu().numpy(), scenes)
            )
            for last in (open_loop.rollout.tokens[:, -1], open_loop.truth.tokens[:, -1])
        )
        metrics |= {
            f"{motion.name}_runs": float(len(runs)),
            f"{motion.name}_direction_correct": direction_correct_rate(imagined),
            f"{motion.name}_action_following": action_following_rate(imagined),
            f"{motion.name}_action_following_in_true_frames": action_following_rate(true),
        }
    return metrics
