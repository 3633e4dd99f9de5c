import math

import numpy as np
import pytest
import torch

from tests.world_model.tiny import episode, real_segments, small_segments, tiny
from worldtokens.world_model.networks.predictions import Prediction
from worldtokens.world_model.networks.refinement import Draft
from worldtokens.world_model.training.losses import (
    WeightedCrossEntropy,
    choose_reward_values,
    reward_classes,
    world_model_loss,
)
from worldtokens.world_model.training.token_sampling import TokenSample, sample_tokens


def prediction():
    tokens = torch.zeros(1, 2, 2, 2)
    tokens[0, 0] = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])  # Right with 3/4, 1/4.
    rewards = torch.tensor([[[math.log(4), 0.0], [0.0, 0.0]]])  # 4/5 right, then 1/2.
    ends = torch.tensor([[[0.0, 0.0], [0.0, math.log(9)]]])  # 1/2, then 9/10 right.
    return Prediction(tokens, rewards, ends)


VALUES = torch.tensor([0.0, 100.0])


def test_terms_are_the_hand_computed_cross_entropies():
    loss = world_model_loss(prediction(), small_segments(), VALUES)
    first = (-math.log(3 / 4) - math.log(1 / 4)) / 2
    expected = [
        (first + math.log(2)) / 2,
        (-math.log(4 / 5) + math.log(2)) / 2,
        (math.log(2) - math.log(9 / 10)) / 2,
    ]
    got = [float(loss.tokens), float(loss.rewards), float(loss.ends)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert math.isclose(float(loss.total()), sum(expected), rel_tol=1e-6)
    assert math.isclose(float(loss.total(3)), expected[0] + 3 * sum(expected[1:]), rel_tol=1e-6)


def test_a_sample_of_still_tokens_has_the_loss_of_all_in_expectation():
    torch.manual_seed(0)
    batch = small_segments()
    whole = float(world_model_loss(prediction(), batch, VALUES).tokens)
    found = []
    for _ in range(400):
        sample = sample_tokens(batch, 0.5)
        # Token 1 of frame 1 stays as it was, the other three change and are always looked at.
        assert sample.predict_mask.flatten().tolist() in (
            [True, True, True, True],
            [True, False, True, True],
        )
        made = prediction()
        chosen = Prediction(made.tokens[sample.predict_mask], made.rewards, made.ends)
        found.append(float(world_model_loss(chosen, batch, VALUES, sample).tokens))
    assert len(set(found)) == 2
    assert abs(np.mean(found) - whole) < 0.05


def test_tokens_added_to_make_the_number_round_do_not_count():
    torch.manual_seed(0)
    tokens = torch.randint(2, (4, 12, 64))
    sample = sample_tokens(
        small_segments(tokens=tokens, mask=torch.ones(4, 12, dtype=torch.bool)), 0.5
    )
    still = tokens[:, 1:] == tokens[:, :-1]
    weights = sample.weights[sample.predict_mask & still]
    assert set(weights.tolist()) == {0.0, 2.0}
    assert int((weights == 0.0).sum()) < 128


def test_padding_reaches_no_term():
    made = prediction()
    made.tokens[0, 1] = torch.nan
    made.rewards[0, 1] = torch.nan
    made.ends[0, 1] = torch.nan
    loss = world_model_loss(made, small_segments(mask=torch.tensor([[True, True, False]])), VALUES)
    assert math.isclose(float(loss.tokens), (-math.log(3 / 4) - math.log(1 / 4)) / 2, rel_tol=1e-6)
    assert math.isclose(float(loss.rewards), -math.log(4 / 5), rel_tol=1e-6)
    assert math.isclose(float(loss.ends), math.log(2), rel_tol=1e-6)


def test_padding_gives_no_gradient():
    made = prediction()
    made.tokens.requires_grad_()
    mask = torch.tensor([[True, True, False]])
    world_model_loss(made, small_segments(mask=mask), VALUES).total().backward()
    assert made.tokens.grad is not None
    assert made.tokens.grad[0, 0].abs().sum() > 0 and made.tokens.grad[0, 1].abs().sum() == 0


def test_a_truncated_step_does_not_train_the_end_head_but_the_others():
    cut = small_segments(
        terminated=torch.tensor([[False, False]]), truncated=torch.tensor([[False, True]])
    )
    loss = world_model_loss(prediction(), cut, VALUES)
    assert math.isclose(float(loss.ends), math.log(2), rel_tol=1e-6)
    whole = world_model_loss(prediction(), small_segments(), VALUES)
    assert float(loss.tokens) == float(whole.tokens)
    assert float(loss.rewards) == float(whole.rewards)


def test_an_end_at_the_time_limit_is_still_an_end():
    both = small_segments(truncated=torch.tensor([[False, True]]))
    whole = world_model_loss(prediction(), small_segments(), VALUES)
    assert float(world_model_loss(prediction(), both, VALUES).ends) == float(whole.ends)


def test_reward_classes_are_the_nearest_values():
    values = torch.tensor([-1.0, 0.0, 100.0, 400.0])
    rewards = torch.tensor([-7.0, 0.0, 49.0, 51.0, 100.0, 300.0])
    assert reward_classes(rewards, values).tolist() == [0, 1, 1, 2, 2, 3]


def test_reward_values_are_those_that_occur_and_zero():
    assert choose_reward_values(np.array([100.0, 300.0, 100.0])) == [0.0, 100.0, 300.0]
    assert choose_reward_values(np.zeros(0)) == [0.0]


def test_many_reward_values_are_thinned_out_evenly_in_symlog_scale():
    values = choose_reward_values(np.arange(-3.0, 10_000.0), most=8)
    assert len(values) <= 8 and 0.0 in values
    assert values[0] == -3.0 and values[-1] == 9999.0
    assert values == sorted(values) and values[-2] < 3000


def test_the_refined_term_is_the_mean_over_hidden_tokens():
    batch = small_segments()
    sample = TokenSample(
        torch.ones(1, 2, 2, dtype=torch.bool), torch.ones(1, 2, 2), torch.ones(1, 2, 2).bool()
    )
    visible = torch.tensor([[[False, True], [True, False]]])
    draft = Draft(batch.tokens[:, 1:], visible, ~visible)
    made = prediction()
    mask = Prediction(
        made.tokens[sample.predict_mask], made.rewards, made.ends,
        refined=torch.tensor([[0.0, math.log(3)], [math.log(9), 0.0]]),
    )  # fmt: skip
    loss = world_model_loss(mask, batch, VALUES, sample, draft)
    expected = (-math.log(3 / 4) - math.log(9 / 10)) / 2
    assert loss.refined is not None and math.isclose(float(loss.refined), expected, rel_tol=1e-6)
    plain = world_model_loss(mask, batch, VALUES, sample)
    assert math.isclose(float(loss.total()), float(plain.total()) + expected, rel_tol=1e-6)


def test_the_weighted_cross_entropy_and_its_gradient_are_torch_s():
    torch.manual_seed(0)
    logits = (torch.randn(7, 5) * 4).requires_grad_()
    classes, weights = torch.randint(5, (7,)), torch.rand(7)
    got = WeightedCrossEntropy.apply(logits, classes, weights).sum()
    each = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    expected = (each * weights).sum()
    torch.testing.assert_close(got, expected)
    (found,) = torch.autograd.grad(3 * got, logits)
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, logits)[0])


def gated(shape="gated", **changes):
    model = tiny(shape, stay_gate=True, **changes)
    # Gates that are sure of staying, sure of change and neither.
    model.network.copy_gate.weight.data[0] *= 10
    return model


@pytest.mark.parametrize("if_changed", [False, True])
def test_the_loss_of_gate_and_changes_is_the_cross_entropy_of_all_tokens(if_changed):
    model = gated()
    tokens, actions = episode(4)
    tokens[:, 2] = tokens[:, 1]  # One frame in which all tokens stay.
    batch = real_segments(tokens, actions)
    sample = sample_tokens(batch, None)
    assert torch.equal(sample.predict_mask, tokens[:, 1:] != tokens[:, :-1])
    # Some that stay join them, as where their number is rounded up.
    sample.predict_mask[:, 1, :3] = True
    whole = world_model_loss(model(tokens, actions), batch, model.reward_values)
    prediction = model(tokens, actions, sample.predict_mask, if_changed=if_changed)
    assert prediction.tokens.isinf().any() == if_changed
    parts = world_model_loss(prediction, batch, model.reward_values, sample)
    torch.testing.assert_close(parts.tokens, whole.tokens)
    assert parts.window_tokens is not None
    torch.testing.assert_close(parts.window_tokens.mean(), whole.tokens.detach())
    gradients = [
        torch.autograd.grad(loss.tokens, list(model.parameters()), allow_unused=True)
        for loss in (whole, parts)
    ]
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_padding_reaches_neither_the_gate_nor_the_output_layer():
    model = gated()
    tokens, actions = episode(4)
    batch = real_segments(tokens, actions)
    batch.mask[:, 2:] = False
    sample = sample_tokens(batch, None)
    loss = world_model_loss(
        model(tokens, actions, sample.predict_mask), batch, model.reward_values, sample
    )
    whole = world_model_loss(model(tokens, actions), batch, model.reward_values)
    torch.testing.assert_close(loss.tokens, whole.tokens)
