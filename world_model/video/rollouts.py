"""Rollouts to look at: as a clip, as a table, in one line."""

import numpy as np
from torch import Tensor

from worldtokens.common.checks import check_at_least
from worldtokens.world_model.video.display import Clip, as_frames, check_size, count_noun
from worldtokens.world_model.video.writer import COLUMNS, Panel, compose_clip, step_caption

# Dreams of a rollout that are shown.
MOST_DREAMS = 16


def show_rollout(
    frames: Tensor | np.ndarray,
    rewards: Tensor,
    ends: Tensor,
    lives_lost: Tensor,
    fps: int = 15,
    scale: int = 4,
) -> Clip:
    """Makes a rollout visible: its dreams side by side, with what happens below each.

    A dream goes dark after its end, since what follows an end means nothing. Of more than 16 dreams
    the first 16 are shown.

    Args:
        frames: The decoded tokens, uint8 (B, H, height, width, 3).
        rewards: float (B, H).
        ends: bool (B, H).
        lives_lost: bool (B, H).
        fps: Frames per second.
        scale: Screen pixels per pixel; pixels stay sharp.

    Raises:
        ValueError: See `show`.
    """
    array = as_frames(frames)[:MOST_DREAMS]
    check_at_least(1, fps=fps, scale=scale)
    check_size((COLUMNS * array.shape[2], COLUMNS * array.shape[3]), scale)
    lengths = _lengths(ends[:MOST_DREAMS])
    panels = []
    for row, length in enumerate(lengths):
        dream = array[row].copy()
        dream[length:] //= 3
        steps = (part[row].tolist() for part in (rewards, ends, lives_lost))
        captions = list(map(step_caption, *steps))
        captions[length:] = [""] * (len(captions) - length)
        panels.append(Panel(f"dream {row + 1}", dream, captions))
    header = [f"step {step + 1}" for step in range(array.shape[1])]
    composed = np.stack(compose_clip(panels, header, scale))
    return Clip(composed, fps, scale=1, num_clips=len(panels))


def rollout_repr(tokens: Tensor, rewards: Tensor, ends: Tensor, lives_lost: Tensor) -> str:
    """Says what a rollout holds in one line; what follows an end does not count.

    Args:
        tokens: int64 (B, H, K).
        rewards: float (B, H).
        ends: bool (B, H).
        lives_lost: bool (B, H).
    """
    dreams, frames, count = tokens.shape
    lengths = _lengths(ends)
    paid = sum(int((rewards[row, :length] != 0).sum()) for row, length in enumerate(lengths))
    lost = sum(int(lives_lost[row, :length].sum()) for row, length in enumerate(lengths))
    num_ends = int(ends.any(dim=1).sum())
    return (
        f"Rollout({count_noun(dreams, 'dream')} x {count_noun(frames, 'frame')} of "
        f"{count_noun(count, 'token')}, {count_noun(paid, 'reward')}, "
        f"{lost} {'life' if lost == 1 else 'lives'} lost, {count_noun(num_ends, 'end')})"
    )


def rollout_html(rewards: Tensor, ends: Tensor, lives_lost: Tensor) -> str:
    """Lists rewards, lost lives and the end of each dream with their steps, as an HTML table.

    Args:
        rewards: float (B, H).
        ends: bool (B, H).
        lives_lost: bool (B, H).
    """
    lines = ["<tr><th>dream</th><th>rewards</th><th>lives lost</th><th>end</th></tr>"]
    lengths = _lengths(ends)
    for row, length in enumerate(lengths[:MOST_DREAMS]):
        values = rewards[row, :length].tolist()
        paid = [f"{value:g} at step {step + 1}" for step, value in enumerate(values) if value]
        lost = [step + 1 for step, is_lost in enumerate(lives_lost[row, :length]) if is_lost]
        deaths = ", ".join(f"at step {step}" for step in lost) or "none"
        end = f"at step {length}" if bool(ends[row].any()) else "none"
        lines.append(
            f"<tr><td>{row + 1}</td><td>{', '.join(paid) or 'none'}</td><td>{deaths}</td>"
            f"<td>{end}</td></tr>"
        )
    if len(lengths) > MOST_DREAMS:
        lines.append(f'<tr><td colspan="4">and {len(lengths) - MOST_DREAMS} more</td></tr>')
    return "<table>" + "".join(lines) + "</table>"


def _lengths(ends: Tensor) -> list[int]:
    """Steps of each dream up to its first end, that step included."""
    return [row.index(True) + 1 if True in row else len(row) for row in ends.tolist()]
