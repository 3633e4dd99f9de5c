import torch

from worldtokens.world_model import Rollout


def rollout() -> Rollout:
    """Two dreams of three frames; the first is paid once and ends at its second step."""
    return Rollout(
        tokens=torch.zeros(2, 3, 6, dtype=torch.int64),
        rewards=torch.tensor([[0.0, 100.0, 5.0], [0.0, 0.0, 0.0]]),
        ends=torch.tensor([[False, True, False], [False, False, False]]),
        lives_lost=torch.zeros(2, 3, dtype=torch.bool),
    )


def test_the_repr_counts_what_happens_before_the_ends():
    assert (
        repr(rollout()) == "Rollout(2 dreams x 3 frames of 6 tokens, 1 reward, 0 lives lost, 1 end)"
    )
    assert "100 at step 2" in rollout()._repr_html_()


def test_a_rollout_shows_its_decoded_frames(tiny_tokenizer):
    clip = rollout().show(tiny_tokenizer, scale=2)
    assert "<video" in clip._repr_html_() or "<img" in clip._repr_html_()
