"""The discriminator of a VQGAN, which scores patches, and its losses.

Esser et al. 2021 (arXiv 2012.09841, section 3.1 and equation 7) on Isola et al. 2017 (1611.07004).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.common.checks import check_at_least

LOSSES = ("hinge", "vanilla")
REGULARIZERS = ("none", "lecam", "r1")
LARGEST_LAMBDA = 1e4
DELTA = 1e-6


@dataclass
class AdversaryConfig:
    """The discriminator and the schedule of its term.

    Attributes:
        weight: Weight of the adversarial term, times its adaptive weight; 0 for no discriminator.
        loss: hinge or vanilla.
        start: First step with the adversarial term.
        warmup: Steps over which the term grows from 0 to its full weight.
        learning_rate: The discriminator's peak learning rate.
        width: Channels of its first layer.
        depth: Layers of stride 2.
        regularizer: none, "lecam" (Tseng et al. 2021, arXiv 2104.03310, equation 5) or "r1"
            (Mescheder et al. 2018, arXiv 1801.04406, equation 9).
        regularizer_weight: Weight of that term.
        feature_matching: Weight of the distance between the discriminator's features of a frame and
            of its reconstruction, where the loss has no LPIPS; it grows as the adversarial term.
    """

    weight: float
    loss: str
    start: int
    warmup: int
    learning_rate: float
    width: int
    depth: int
    regularizer: str
    regularizer_weight: float
    feature_matching: float

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.loss not in LOSSES:
            raise ValueError(f"adversary.loss: expected one of {LOSSES}, got {self.loss!r}")
        if self.regularizer not in REGULARIZERS:
            raise ValueError(
                f"adversary.regularizer: expected one of {REGULARIZERS}, got {self.regularizer!r}"
            )
        if self.weight < 0:
            raise ValueError(f"adversary.weight: expected at least 0, got {self.weight}")
        if self.feature_matching < 0:
            raise ValueError(
                f"adversary.feature_matching: expected at least 0, got {self.feature_matching}"
            )
        for name, least in (("start", 0), ("warmup", 0), ("width", 1), ("depth", 1)):
            check_at_least(least, **{f"adversary.{name}": getattr(self, name)})

    def weight_at(self, step: int) -> float:
        """Returns the adversarial term's weight at a step."""
        return self.weight * self.growth(step)

    def growth(self, step: int) -> float:
        """Returns the share of their weights that the terms have at a step.

        It is 0 before `start`, then it grows evenly to 1.
        """
        if step < self.start:
            return 0.0
        return min(1.0, (step - self.start + 1) / max(1, self.warmup))


class Discriminator(nn.Module):
    """Scores each patch of a frame: high for true frames, low for reconstructions.

    Attributes:
        real_mean: Moving average of the scores of true frames, for LeCAM.
        fake_mean: Moving average of the scores of reconstructions.
    """

    real_mean: Tensor
    fake_mean: Tensor

    def __init__(self, width: int, depth: int):
        """Builds the layers.

        Args:
            width: Channels of the first layer; doubled at each of the next, at most eightfold.
            depth: Layers of stride 2.
        """
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        last = width
        for level in range(1, depth + 1):
            wide = width * min(2**level, 8)
            stride = 2 if level < depth else 1
            # GroupNorm where the original has BatchNorm: batches of single frames on each rank.
            layers += [
                nn.Conv2d(last, wide, 4, stride, 1, bias=False),
                nn.GroupNorm(1, wide),
                nn.LeakyReLU(0.2),
            ]
            last = wide
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, 1, 4, 1, 1))
        self.register_buffer("real_mean", torch.zeros(()))
        self.register_buffer("fake_mean", torch.zeros(()))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores pixels (n, 3, height, width) in [-1, 1]: float32 (n, 1, rows, columns)."""
        return self.features(pixels)[-1].float()

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Returns the features (n, C, rows, columns) after each activation, then the scores."""
        found = []
        for layer in self.layers:
            pixels = layer(pixels)
            if isinstance(layer, nn.LeakyReLU):
                found.append(pixels)
        return [*found, pixels]


def discriminator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Returns the discriminator's loss: small where `real` scores are high, `fake` ones low."""
    if loss == "hinge":
        return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())
    return 0.5 * (functional.softplus(-real).mean() + functional.softplus(fake).mean())


def adversarial_loss(fake: Tensor) -> Tensor:
    """Returns the generator's loss, small where `fake` scores are high."""
    return -fake.mean()


def match_features(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Returns the mean absolute difference of features, mean over layers.

    Wang et al. 2018 (arXiv 1711.11585, equation 4). No gradient reaches the features of true
    frames.
    """
    distances = [
        functional.l1_loss(own.float(), true.detach().float())
        for own, true in zip(fake, real, strict=True)
    ]
    return torch.stack(distances).mean()


def lecam(model: Discriminator, real: Tensor, fake: Tensor, decay: float = 0.99) -> Tensor:
    """Penalizes scores far from the moving averages of the other kind; updates the averages."""
    with torch.no_grad():
        model.real_mean.lerp_(_mean_over_ranks(real.mean()), 1 - decay)
        model.fake_mean.lerp_(_mean_over_ranks(fake.mean()), 1 - decay)
    real_excess = functional.relu(real - model.fake_mean).square().mean()
    fake_excess = functional.relu(model.real_mean - fake).square().mean()
    return real_excess + fake_excess


def r1_penalty(real: Tensor, pixels: Tensor) -> Tensor:
    """Returns half the squared gradient of the scores of true frames, mean over frames.

    Args:
        real: The scores.
        pixels: The true frames, which require a gradient.
    """
    (gradient,) = torch.autograd.grad(real.sum(), pixels, create_graph=True)
    return 0.5 * gradient.float().square().sum(dim=(1, 2, 3)).mean()


def adaptive_lambda(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Returns the ratio of the reconstruction's and the adversarial gradient at the last layer.

    Equation 7: the ratio of the norms, with a delta of 1e-6, clamped to [0, 1e4], detached, and the
    mean over ranks, whose gradients differ.
    """
    (first,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (second,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    ratio = first.float().norm() / (second.float().norm() + DELTA)
    return _mean_over_ranks(ratio.clamp(0.0, LARGEST_LAMBDA).detach())


def _mean_over_ranks(value: Tensor) -> Tensor:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        value = value.clone()
        torch.distributed.all_reduce(value)
        value /= torch.distributed.get_world_size()
    return value
