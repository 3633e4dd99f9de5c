import math

import pytest
import torch

from worldtokens.tokenizer.losses.discriminator import (
    AdversaryConfig,
    Discriminator,
    adaptive_lambda,
    adversarial_loss,
    discriminator_loss,
    lecam,
    match_features,
    r1_penalty,
)

CONFIG = dict(
    weight=0.5, loss="hinge", start=0, warmup=0, learning_rate=1e-3, width=4, depth=1,
    regularizer="none", regularizer_weight=0.1, feature_matching=0.0,
)  # fmt: skip


def config_with(**changes):
    return AdversaryConfig(**{**CONFIG, **changes})


def test_losses_of_known_scores():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    assert float(discriminator_loss(real, fake, "hinge")) == pytest.approx(0.5 * (0.25 + 0.75))
    softplus = [math.log1p(math.exp(x)) for x in (-2.0, -0.5, -3.0, 0.5)]
    assert float(discriminator_loss(real, fake, "vanilla")) == pytest.approx(sum(softplus) / 4)
    assert float(adversarial_loss(fake)) == pytest.approx(1.25)


def test_adaptive_lambda_is_the_ratio_of_the_gradients():
    layer = torch.tensor([1.0, 2.0], requires_grad=True)
    reconstruction, adversarial = (layer * torch.tensor([3.0, 4.0])).sum(), 0.5 * layer[0]
    ratio = adaptive_lambda(reconstruction, adversarial, layer)
    assert float(ratio) == pytest.approx(5.0 / (0.5 + 1e-6))
    assert not ratio.requires_grad
    assert float(adaptive_lambda(reconstruction, 0.0 * layer[0], layer)) == 1e4


def test_weight_starts_and_warms_up():
    config = config_with(weight=2.0, start=10, warmup=4)
    assert [config.weight_at(step) for step in (0, 9, 10, 11, 13, 99)] == [0, 0, 0.5, 1.0, 2.0, 2.0]


def test_features_end_with_the_scores():
    torch.manual_seed(0)
    model = Discriminator(4, 2)
    pixels = torch.randn(2, 3, 16, 16)
    *features, scores = model.features(pixels)
    assert torch.equal(scores, model(pixels))
    # A layer of 4 channels at half the size, then 8 at a quarter, then 16.
    assert [tuple(f.shape[1:]) for f in features] == [(4, 8, 8), (8, 4, 4), (16, 3, 3)]
    assert torch.equal(features[0], torch.nn.functional.leaky_relu(model.layers[0](pixels), 0.2))


def test_feature_matching_is_the_mean_over_layers():
    real = [torch.tensor([1.0, 2.0], requires_grad=True), torch.zeros(4)]
    fake = [torch.tensor([0.0, 0.0], requires_grad=True), torch.tensor([2.0, 0.0, 0.0, 0.0])]
    distance = match_features(real, fake)
    assert float(distance.detach()) == pytest.approx((1.5 + 0.5) / 2)
    distance.backward()
    assert fake[0].grad is not None and fake[0].grad.tolist() == [-0.25, -0.25]
    assert real[0].grad is None


def test_lecam_pulls_scores_to_the_opposite_averages():
    model = Discriminator(4, 1)
    model.real_mean.fill_(1.0)
    model.fake_mean.fill_(-1.0)
    term = lecam(model, torch.tensor([1.0]), torch.tensor([-1.0]), decay=0.5)
    assert float(term) == pytest.approx(8.0)
    lecam(model, torch.tensor([3.0]), torch.tensor([-1.0]), decay=0.5)
    assert (float(model.real_mean), float(model.fake_mean)) == (2.0, -1.0)


def test_r1_is_half_the_squared_gradient():
    pixels = torch.zeros(2, 3, 1, 1, requires_grad=True)
    scores = (pixels * torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)).sum(dim=(1, 2, 3))
    assert float(r1_penalty(scores, pixels)) == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "wgan"}, "adversary.loss: expected one of"),
        ({"regularizer": "l2"}, "adversary.regularizer: expected one of"),
        ({"weight": -0.5}, "adversary.weight: expected at least 0, got -0.5"),
        ({"feature_matching": -1.0}, "adversary.feature_matching: expected at least 0, got -1.0"),
        ({"start": -1}, "adversary.start: expected a whole number of at least 0, got -1"),
        ({"width": 0}, "adversary.width: expected a whole number of at least 1, got 0"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        config_with(**changes)
