"""The films of a dream: what was real, what the tokenizer keeps of it, what was imagined."""

from collections.abc import Sequence

import numpy as np

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.evaluation.open_loop import OpenLoop
from worldtokens.world_model.video.writer import Panel, step_caption


def make_panels(
    found: OpenLoop,
    dataset: EpisodeSource,
    tokenizer: Tokenizer,
    titles: Sequence[str],
    shows_truth: bool,
) -> list[Panel]:
    """The films of one start, context included.

    A dream goes dark once the world model said that the game ended: what follows means nothing.

    Args:
        found: The start's dreams.
        dataset: Has the real frames.
        tokenizer: Decodes the dreams.
        titles: One per dream.
        shows_truth: Whether what really came, and its reconstruction, stand before the dreams.
    """
    context, frames = found.context, found.truth.tokens.shape[1]
    known = tokenizer.decode(found.truth.tokens[0, :context]).cpu().numpy()
    names = [""] * (frames - context)
    panels = []
    for row, title in enumerate(titles):
        dream = tokenizer.decode(found.rollout.tokens[row]).cpu().numpy()
        rewards, ends = found.rollout.rewards[row].tolist(), found.rollout.ends[row].tolist()
        if not acts_alike(found):
            names = [dataset.action_meanings[action] for action in found.actions[row].tolist()]
        captions = ["known frame"] * context + list(map(step_caption, rewards, ends, names))
        if True in ends:
            dream[ends.index(True) + 1 :] //= 3
        panels.append(Panel(title, np.concatenate([known, dream]), captions))
    if not shows_truth:
        return panels
    rewards, ends = found.truth.rewards[0].tolist(), found.truth.terminated[0].tolist()
    captions = ["", *map(step_caption, rewards, ends)]
    real = Panel("real", dataset.gather_frames(found.frame_numbers[0]), captions)
    made = tokenizer.decode(found.truth.tokens[0]).cpu().numpy()
    return [real, Panel("reconstruction", made, [""] * frames), *panels]


def make_header(found: OpenLoop, meanings: Sequence[str]) -> list[str]:
    """The line above all panels: the step, and the action that led there if all dreams share it."""
    before = found.truth.actions[0, : found.context - 1].tolist()
    names = [meanings[action] for action in before]
    horizon = found.actions.shape[1]
    taken = found.actions[0].tolist()
    names += [meanings[action] for action in taken] if acts_alike(found) else [""] * horizon
    steps = range(1 - found.context, horizon + 1)
    return [f"step {step:+d}   {name}" for step, name in zip(steps, ["", *names], strict=True)]


def acts_alike(found: OpenLoop) -> bool:
    """Whether all dreams of a start are dreamt under the same actions."""
    return bool((found.actions == found.actions[:1]).all())
