"""Counterfactuals: dreams under actions that nobody recorded, beside the game under the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from worldtokens.envs import EnvState
from worldtokens.tokenizer.data.backgrounds import is_close
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.game.saved_states import SavedStates, known_frames
from worldtokens.world_model.evaluation.metrics import MIN_SQUARED_ERROR
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.setup import GREEDY, SAMPLINGS, Setup
from worldtokens.world_model.video.action_scripts import parse_actions

HORIZONS = (1, 4, 8)
STEPS = max(HORIZONS)
# Walk, climb and jump, in games with these keys.
SCRIPTS = ("NOOP", "LEFT", "RIGHT", "UP", "DOWN", "FIRE,NOOP")
KEYS = ("NOOP", "LEFT", "RIGHT", "UP", "DOWN", "FIRE")
MOST_SCRIPTS = 8
ALL = "all"
NAN = float("nan")


@dataclass(frozen=True)
class CounterfactualRow:
    """How near greedy dreams come to the game under one script.

    Attributes:
        script: The actions, or "all".
        horizon: Steps after the last known frame.
        states: Saved states that were played and dreamt from.
        psnr: Of the squared error pooled over all of them, dB.
        copy_psnr: The same of the last known frame.
        tokenizer_psnr: The same of the tokenizer's reconstruction of the true frame.
        foreground_recall: Share of foreground pixels within 40/255; NaN if there are none.
        copy_foreground_recall: The same of the last known frame.
        compared: States in which not all scripts have the same future.
        nearest: Share of them in which the dream is nearer to its own script's future, in squared
            error below the score bar, than to those of the other scripts; equal futures count as
            one.
        copy_nearest: The same of the last known frame.
        chance: The same of a script chosen at random.
    """

    script: str
    horizon: int
    states: int
    psnr: float
    copy_psnr: float
    tokenizer_psnr: float
    foreground_recall: float
    copy_foreground_recall: float
    compared: int
    nearest: float
    copy_nearest: float
    chance: float


@dataclass(frozen=True)
class Futures:
    """What follows n states under s scripts, `STEPS` frames each.

    Attributes:
        episodes: The known frames of each state.
        last: The last known frames, uint8 (n, height, width, 3).
        frames: The true futures, uint8 (n, s, STEPS, height, width, 3).
        scenes: Of their frames, int64 (n, s, STEPS).
    """

    episodes: Sequence[TokenEpisode]
    last: np.ndarray
    frames: np.ndarray
    scenes: np.ndarray


def choose_scripts(meanings: Sequence[str]) -> list[str]:
    """Chooses scripts: walking, climbing and jumping where there are such keys.

    In other games each of the first eight actions is held.
    """
    if all(key in meanings for key in KEYS):
        return list(SCRIPTS)
    return list(meanings[:MOST_SCRIPTS])


def measure_counterfactuals(
    setup: Setup, states: SavedStates, count: int
) -> list[CounterfactualRow]:
    """Plays and dreams on from saved states under every script.

    Args:
        setup: The models.
        states: Where to begin.
        count: How many states, at most.

    Returns:
        Rows by script and horizon; none if the game ends soon from all states.
    """
    meanings = states.env.action_meanings
    scripts = choose_scripts(meanings)
    rng = np.random.default_rng(setup.seed)
    actions = np.stack([parse_actions(text, meanings, STEPS, rng) for text in scripts])
    futures = play_futures(setup, states, actions, count)
    if futures is None:
        return []
    open_loop = roll_out(
        setup.model,
        [(episode, 0) for episode in futures.episodes],
        setup.context,
        STEPS,
        actions=torch.from_numpy(np.tile(actions, (len(futures.episodes), 1))),
        samples=len(scripts),
        sampling=SAMPLINGS[GREEDY],
    )
    tokens = open_loop.rollout.tokens.reshape(*futures.frames.shape[:3], -1)
    rows = []
    for horizon in HORIZONS:
        dreams = setup.decode(tokens[:, :, horizon - 1])
        rows += _rows(setup, futures, dreams, horizon, scripts)
    return rows


def play_futures(
    setup: Setup, states: SavedStates, actions: np.ndarray, count: int
) -> Futures | None:
    """Plays all scripts, int64 (s, STEPS), from the same moment of every state.

    The known frames are played with held random actions. States from which a game ends are left
    out; None if that leaves none.
    """
    rng = np.random.default_rng(setup.seed)
    episodes, last, frames, scenes = [], [], [], []
    for number, state in enumerate(states.draw(count, rng)):
        agent = states.random_agent(np.random.default_rng((setup.seed, number)))
        known = states.play(state, agent, setup.context - 1)
        if known.ends.any() or len(known.actions) < setup.context - 1:
            continue
        moment = states.env.get_state()
        played = [_play_script(states, moment, script) for script in actions]
        if any(len(one[1]) < STEPS for one in played):
            continue
        episodes.append(known_frames(known, setup.tokenizer, setup.context, state.name))
        last.append(known.frames[-1])
        frames.append(np.stack([one[0] for one in played]))
        scenes.append(np.stack([one[1] for one in played]))
    if not episodes:
        return None
    return Futures(episodes, np.stack(last), np.stack(frames), np.stack(scenes))


def _play_script(
    states: SavedStates, moment: EnvState, script: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns frames and scenes; fewer than the script is long if the game ends before."""
    frame, info = states.env.restore_state(moment)
    played = states.play_on(frame, info, _Script(script), len(script))
    if played.ends.any():
        return played.frames[:0], played.scenes[:0]
    return played.frames[1:], played.scenes[1:]


class _Script:
    """Plays given actions."""

    def __init__(self, actions: np.ndarray):
        self._actions = iter(actions.tolist())

    def begin(self, rng: np.random.Generator) -> None:
        """Needs nothing."""

    def act(self, frame: np.ndarray) -> int:
        """Returns the next action."""
        return next(self._actions)


def _rows(
    setup: Setup, futures: Futures, dreams: np.ndarray, horizon: int, scripts: Sequence[str]
) -> list[CounterfactualRow]:
    """Compares dreams, uint8 (n, s, height, width, 3), with the futures at one horizon."""
    true, scenes = futures.frames[:, :, horizon - 1], futures.scenes[:, :, horizon - 1]
    copies = np.broadcast_to(futures.last[:, None], true.shape)
    ceiling = setup.decode(setup.tokenizer.encode(true))
    errors = [_squared_error(true, frames) for frames in (dreams, copies, ceiling)]
    bar = setup.backgrounds.score_rows
    equal = _distances(true[:, :, bar:], true[:, :, bar:]) == 0
    nearest, copy_nearest = (
        np.take_along_axis(
            equal, _distances(frames[:, :, bar:], true[:, :, bar:]).argmin(2)[..., None], 2
        )[..., 0]
        for frames in (dreams, copies)
    )
    compared, chance = ~equal.all(axis=2), equal.mean(axis=2)
    flat = true.reshape(-1, *true.shape[2:])
    mask = setup.backgrounds.foreground(flat, scenes.ravel())
    recalled = [
        (mask & is_close(flat, frames.reshape(flat.shape))).sum(axis=(1, 2)).reshape(scenes.shape)
        for frames in (dreams, copies)
    ]
    foreground = mask.sum(axis=(1, 2)).reshape(scenes.shape)
    rows = []
    for number, script in enumerate((ALL, *scripts)):
        ours = slice(None) if script == ALL else slice(number - 1, number)
        valid = compared[:, ours]
        pixels = foreground[:, ours].sum()
        rows.append(
            CounterfactualRow(
                script=script,
                horizon=horizon,
                states=len(true),
                psnr=_psnr(errors[0][:, ours]),
                copy_psnr=_psnr(errors[1][:, ours]),
                tokenizer_psnr=_psnr(errors[2][:, ours]),
                foreground_recall=float(recalled[0][:, ours].sum() / pixels) if pixels else NAN,
                copy_foreground_recall=float(recalled[1][:, ours].sum() / pixels)
                if pixels
                else NAN,
                compared=int(valid.sum()),
                nearest=_mean(nearest[:, ours][valid]),
                copy_nearest=_mean(copy_nearest[:, ours][valid]),
                chance=_mean(chance[:, ours][valid]),
            )
        )
    return rows


def _squared_error(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns the mean over each frame's values, float64 (n, s)."""
    difference = true.astype(np.float32) - predicted
    return np.square(difference).mean(axis=(2, 3, 4), dtype=np.float64)


def _distances(frames: np.ndarray, futures: np.ndarray) -> np.ndarray:
    """Returns the squared error of each frame to each future of its state, float64 (n, s, s)."""
    return np.stack(
        [_squared_error(np.broadcast_to(futures[:, j, None], frames.shape), frames)
         for j in range(futures.shape[1])], axis=2,
    )  # fmt: skip


def _psnr(squared_error: np.ndarray) -> float:
    return float(10 * np.log10(255.0**2 / max(squared_error.mean(), MIN_SQUARED_ERROR)))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else NAN
