import numpy as np
import pytest
import torch

from tests.world_model.tiny import episode, real_segments, small_segments
from worldtokens.world_model.training.token_sampling import foreground_tokens, sample_tokens


@pytest.mark.parametrize("unchanged_sample_prob", [None, 0.25])
def test_few_different_numbers_of_tokens_are_predicted(unchanged_sample_prob):
    generator = torch.Generator().manual_seed(0)
    counts, shape = set(), (4, 12, 64)
    for step in range(40):
        tokens = torch.randint(2, shape, generator=generator)
        tokens *= torch.rand(shape, generator=generator) < 0.02 + 0.005 * step
        mask = torch.ones(shape[:2], dtype=torch.bool)
        mask[0, 7:] = False
        sample = sample_tokens(small_segments(tokens=tokens, mask=mask), unchanged_sample_prob)
        assert not sample.predict_mask[0, 6:].any()
        assert sample.predict_mask[sample.hard & mask[:, 1:, None]].all()
        counts.add(int(sample.predict_mask.sum()))
    assert len(counts) < 20 and all(count % 128 == 0 for count in counts if count > 128)


def test_padded_tokens_are_never_predicted():
    batch = small_segments(mask=torch.tensor([[True, True, False]]))
    assert sample_tokens(batch, 1.0).predict_mask.tolist() == [[[True, True], [False, False]]]


def test_a_token_that_was_wrong_in_the_context_changes_when_it_becomes_right():
    batch = small_segments()
    context = batch.tokens.clone()
    context[0, 0, 1] = 0  # Really 1, as it stays in frame 1.
    for _ in range(20):
        assert bool(sample_tokens(batch, 0.01, context).predict_mask[0, 0, 1])
    assert not all(bool(sample_tokens(batch, 0.01).predict_mask[0, 0, 1]) for _ in range(20))


def test_foreground_is_what_its_position_shows_in_less_than_half_of_the_real_frames():
    tokens = torch.tensor([[[5, 1], [5, 1], [6, 2], [5, 2], [0, 0]]])
    steps = (1, 4)
    batch = small_segments(
        tokens=tokens, actions=torch.zeros(steps).long(), rewards=torch.zeros(steps),
        terminated=torch.zeros(steps, dtype=torch.bool),
        truncated=torch.zeros(steps, dtype=torch.bool),
        mask=torch.tensor([[True] * 4 + [False]]),
    )  # fmt: skip
    # Of four real frames: 5 three times and 6 once; 1 and 2 twice each.
    expected = [[False, False], [True, False], [False, False]]
    assert foreground_tokens(batch)[0, :3].tolist() == expected
    sample = sample_tokens(batch, 1.0, foreground_weight=4.0)
    # Six real tokens, one of which counts four times: a mean of 9 / 6.
    np.testing.assert_allclose(sample.weights[0, 1, 0], 4 / 1.5)
    np.testing.assert_allclose(sample.weights[0, 0], 1 / 1.5)
    assert bool(sample.hard[0, 1, 0]) and not bool(sample.hard[0, 0, 0])


def test_foreground_counts_more_at_the_gate_too():
    tokens, actions = episode(4, batch=1)
    tokens[:] = 1
    tokens[0, 1, 0] = 2  # Comes and goes: foreground at frame 1, background at 2 and 3.
    batch = real_segments(tokens, actions)
    sample = sample_tokens(batch, None, foreground_weight=3.0)
    assert sample.predict_mask.nonzero().tolist() == [[0, 0, 0], [0, 1, 0]]
    # 23 tokens of weight 1 and one of weight 3, scaled to a mean of 1.
    torch.testing.assert_close(sample.weights[0, 0, 0], torch.tensor(3 * 24 / 26))
    torch.testing.assert_close(sample.weights[0, 2, 5], torch.tensor(24 / 26))
