"""Whether the imagined player goes where it is steered to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collect import EpisodeSource
from tokenizer import Tokenizer
from world_model.model import WorldModel
from world_model.open_loop import roll_out
from world_model.probe import PositionProbe, label_byte
from world_model.segments import TokenEpisode

RUN = 8
MOST_RUNS = 256


@dataclass(frozen=True)
class SidewaysRun:
    """Some steps of an episode in which the player was steered to one side and went there.

    Attributes:
        episode: Where.
        first: First frame of the context; the run begins at its last.
        direction: 1 to the right, -1 to the left.
        begin: The player's x at the last known frame, in RAM units.
        way: How far it went in the run's 8 steps, RAM units, above 0.
        scene: The room that it happened in.
    """

    episode: TokenEpisode
    first: int
    direction: int
    begin: int
    way: int
    scene: int


def find_runs(
    dataset: EpisodeSource, episodes: Sequence[TokenEpisode], context: int, most: int = MOST_RUNS
) -> list[SidewaysRun]:
    """Finds runs of 8 steps: every action holds one side and every step takes the player there.

    Left out is where the player is not free to go: before a wall, in a jump or fall (its y
    changes), where a life is lost or the room changes.

    Args:
        dataset: Has the RAM and the actions' names.
        episodes: Its episodes as tokens.
        context: Frames wanted up to the start of a run.
        most: Takes at most so many, evenly.
    """
    byte = label_byte(dataset.game, "player_x")
    if byte is None:
        return []
    labels = (label_byte(dataset.game, label) for label in ("player_y", "lives", "room"))
    still = [label for label in labels if label is not None]
    sides = np.array([("RIGHT" in m) - ("LEFT" in m) for m in dataset.action_meanings])
    ram = dataset.read("ram", 0, dataset.num_frames)
    runs = []
    for episode in episodes:
        rows = ram[episode.first_frame : episode.first_frame + len(episode.tokens)].astype(int)
        side = sides[episode.actions]
        goes = (np.diff(rows[:, byte]) * side >= 1) & (side != 0)
        goes &= (rows[1:, still] == rows[:-1, still]).all(axis=1)
        start = context - 1
        while start + RUN < len(rows):
            window = slice(start, start + RUN)
            if goes[window].all() and (side[window] == side[start]).all():
                begin, end = rows[start, byte], rows[start + RUN, byte]
                scene = int(dataset.scene[episode.first_frame + start])
                runs.append(
                    SidewaysRun(
                        episode, start + 1 - context, int(side[start]),
                        int(begin), int(abs(end - begin)), scene,
                    )
                )  # fmt: skip
                start += RUN
            else:
                start += 1
    if len(runs) <= most:
        return runs
    return [runs[i * len(runs) // most] for i in range(most)]


def share_followed(runs: Sequence[SidewaysRun], read_x: np.ndarray) -> float:
    """Share of runs in which the player is seen to have gone to the right side.

    It must have come at least half as far as in truth and at most half as far again: a player
    that stays, vanishes or appears somewhere else did not follow.

    Args:
        runs: What was steered.
        read_x: Where a probe sees the player after the run, RAM units, float32 (n,); NaN for
            nowhere.
    """
    direction = np.array([run.direction for run in runs])
    begin = np.array([run.begin for run in runs])
    way = np.array([run.way for run in runs])
    share = (read_x - begin) * direction / way
    return float(((share >= 0.5) & (share <= 1.5)).mean())


def follow_figures(
    model: WorldModel,
    tokenizer: Tokenizer,
    probe: PositionProbe | None,
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    context: int,
) -> dict[str, float]:
    """How often the player follows in greedy dreams, and in the same runs as they really were.

    Returns:
        sideways_runs, their number; followed, in dreams; followed_by_true_frames, where the probe
        reads the tokenizer's reconstruction of the true last frame: below 1 by the probe's own
        errors and what the tokenizer lost. Empty where the game does not say where its player is.
    """
    runs = find_runs(dataset, episodes, context)
    if probe is None or not runs:
        return {}
    found = roll_out(model, [(run.episode, run.first) for run in runs], context, RUN, top_k=1)
    scenes = np.array([run.scene for run in runs])
    shares = [
        share_followed(runs, probe.read(tokenizer.decode(last).cpu().numpy(), scenes))
        for last in (found.rollout.tokens[:, -1], found.truth.tokens[:, -1])
    ]
    return {
        "sideways_runs": float(len(runs)),
        "followed": shares[0],
        "followed_by_true_frames": shares[1],
    }


def probe_figures(
    probe: PositionProbe | None,
    tokenizer: Tokenizer,
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    most: int = 1000,
) -> dict[str, float]:
    """How well the probe reads reconstructions of true frames of these episodes.

    Returns:
        probe_seen, the share of frames in which it finds the player; probe_error, the mean error
        there in RAM units; probe_error_pixels, in pixels of the frame where the RAM counts the
        screen's 160 columns, as Montezuma's does; probe_within_4, the share of all frames in which
        it is at most 4 RAM units off, one step's way.
    """
    byte = label_byte(dataset.game, "player_x")
    if probe is None or byte is None:
        return {}
    numbers = np.concatenate([e.first_frame + np.arange(len(e.tokens)) for e in episodes])
    tokens = np.concatenate([episode.tokens for episode in episodes])
    chosen = np.unique(np.linspace(0, len(numbers) - 1, most).astype(int))
    frames = tokenizer.decode(tokens[chosen].astype(np.int64)).cpu().numpy()
    true = dataset.read("ram", 0, dataset.num_frames)[numbers[chosen], byte]
    error = np.abs(probe.read(frames, dataset.scene[numbers[chosen]]) - true)
    mean = float(np.nanmean(error)) if not np.isnan(error).all() else float("nan")
    return {
        "probe_seen": float((~np.isnan(error)).mean()),
        "probe_error": mean,
        "probe_error_pixels": mean * dataset.frame_shape[1] / 160,
        "probe_within_4": float((error <= 4).mean()),
    }
