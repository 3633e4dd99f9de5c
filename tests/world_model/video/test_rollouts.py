import numpy as np
import pytest
import torch

from worldtokens.world_model.video.rollouts import rollout_html, rollout_repr, show_rollout
from worldtokens.world_model.video.writer import CAPTION, GAP


def test_a_rollout_says_what_it_holds():
    rewards = torch.tensor([[0.0, 100.0, 0.0, 5.0], [0.0, 0.0, 0.0, 0.0]])
    ends = torch.tensor([[False, False, True, False], [False, False, False, False]])
    lives = torch.tensor([[True, False, False, True], [False, False, False, False]])
    tokens = torch.zeros(2, 4, 64, dtype=torch.int64)
    # What comes after the end does not count.
    assert (
        rollout_repr(tokens, rewards, ends, lives)
        == "Rollout(2 dreams x 4 frames of 64 tokens, 1 reward, 1 life lost, 1 end)"
    )
    assert rollout_html(rewards, ends, lives) == (
        "<table><tr><th>dream</th><th>rewards</th><th>lives lost</th><th>end</th></tr>"
        "<tr><td>1</td><td>100 at step 2</td><td>at step 1</td><td>at step 3</td></tr>"
        "<tr><td>2</td><td>none</td><td>none</td><td>none</td></tr></table>"
    )
    many = torch.zeros(20, 3)
    assert '<td colspan="4">and 4 more</td>' in rollout_html(many, many > 0, many > 0)


def test_a_rollout_goes_dark_after_its_end():
    frames = np.full((2, 3, 16, 16, 3), 210, np.uint8)
    ends = torch.tensor([[False, True, False], [False, False, False]])
    lives = torch.zeros_like(ends)
    shown = show_rollout(frames, torch.tensor([[0.0, 7.0, 0.0]] * 2), ends, lives, scale=2)
    assert repr(shown).startswith("Clip(2 clips, 3 frames of ")
    top, left = 2 * CAPTION + 5, GAP + 5
    assert shown.frames[:, top, left, 0].tolist() == [210, 210, 70]
    assert shown.frames[:, top, left + 32 + GAP, 0].tolist() == [210] * 3
    assert frames.min() == 210
    nothing = torch.zeros(20, 3)
    many = show_rollout(frames[:1].repeat(20, axis=0), nothing, nothing > 0, nothing > 0)
    assert repr(many).startswith("Clip(16 clips, 3 frames of ")
    with pytest.raises(ValueError, match="scale: expected at most 128 for a side of 64 pixels"):
        show_rollout(frames, torch.zeros(2, 3), ends, lives, scale=129)
