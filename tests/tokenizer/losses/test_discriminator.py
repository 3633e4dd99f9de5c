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
    r1_penalty,
)

CONFIG = dict(
    weight=0.5, loss="hinge", start=0, warmup=0, learning_rate=1e-3, width=4, depth=1,
    regularizer="none", regularizer_weight=0.1,
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
        ({"start": -1}, "adversary.start: expected a whole number of at least 0, got -1"),
        ({"width": 0}, "adversary.width: expected a whole number of at least 1, got 0"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        config_with(**changes)
