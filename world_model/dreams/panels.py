"""The clips of a dream: the real frames, their reconstruction, and the imagined frames."""

from collections.abc import Sequence

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.evaluation.open_loop import OpenLoop
from worldtokens.world_model.video.writer import Panel, step_caption


def make_panels(
    open_loop: OpenLoop,
    dataset: EpisodeSource,
    tokenizer: Tokenizer,
    titles: Sequence[str],
    shows_truth: bool,
) -> list[Panel]:
    """Makes the clips of one start, context included.

    A dream goes dark once the world model predicted that the game ended: the frames after that mean
    nothing.

    Args:
        open_loop: The dreams of that start.
        dataset: Has the real frames.
        tokenizer: Decodes the dreams.
        titles: One per dream.
        shows_truth: Whether the real frames and their reconstruction stand before the dreams.
    """
    context, frames = open_loop.context, open_loop.truth.tokens.shape[1]
    known = tokenizer.decode(open_loop.truth.tokens[0, :context]).cpu().numpy()
    names = [""] * (frames - context)
    panels = []
    for row, title in enumerate(titles):
        dream = tokenizer.decode(open_loop.rollout.tokens[row]).cpu().numpy()
        rollout = open_loop.rollout
        rewards, ends, lives = (
            part[row].tolist() for part in (rollout.rewards, rollout.ends, rollout.lives_lost)
        )
        if not has_same_actions(open_loop):
            names = [dataset.action_meanings[action] for action in open_loop.actions[row].tolist()]
        captions = ["known frame"] * context + list(map(step_caption, rewards, ends, lives, names))
        if True in ends:
            dream[ends.index(True) + 1 :] //= 3
        panels.append(Panel(title, np.concatenate([known, dream]), captions))
    if not shows_truth:
        return panels
    truth = open_loop.truth
    steps = (part[0].tolist() for part in (truth.rewards, truth.terminated, truth.lives_lost))
    captions = ["", *map(step_caption, *steps)]
    real = Panel("real", dataset.gather_frames(open_loop.frame_numbers[0]), captions)
    reconstruction = tokenizer.decode(open_loop.truth.tokens[0]).cpu().numpy()
    return [real, Panel("reconstruction", reconstruction, [""] * frames), *panels]


def make_header(open_loop: OpenLoop, meanings: Sequence[str]) -> list[str]:
    """Makes the lines above all panels: the step, and its action if all dreams share it."""
    before = open_loop.truth.actions[0, : open_loop.context - 1].tolist()
    names = [meanings[action] for action in before]
    horizon = open_loop.actions.shape[1]
    taken = open_loop.actions[0].tolist()
    names += (
        [meanings[action] for action in taken] if has_same_actions(open_loop) else [""] * horizon
    )
    steps = range(1 - open_loop.context, horizon + 1)
    return [f"step {step:+d}   {name}" for step, name in zip(steps, ["", *names], strict=True)]


def has_same_actions(open_loop: OpenLoop) -> bool:
    """Returns whether all dreams of a start have the same actions."""
    return bool((open_loop.actions == open_loop.actions[:1]).all())
