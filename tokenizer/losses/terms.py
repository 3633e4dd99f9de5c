"""Training losses; each term has its paper's name and is logged under it."""

from dataclasses import dataclass

from torch import Tensor

from worldtokens.tokenizer.losses.lpips_loss import Perceptual
from worldtokens.tokenizer.output import TokenizerOutput


@dataclass
class LossConfig:
    """Weights of the terms; a term of weight 0 is not computed.

    Attributes:
        absolute: Mean absolute error.
        squared: Mean squared error.
        hard: Mean absolute error over the worst pixels of each frame.
        hard_share: Share of a frame's pixels that are the worst, in (0, 1].
        foreground: Mean absolute error over the foreground of the frames.
        perceptual: LPIPS.
        perceptual_required: Whether to stop, or to go on without LPIPS, where its weights are
            missing; only if they are required are they downloaded.
        perceptual_weights: Path of VGG16's weights, see load_perceptual.
        codebook: The quantizer's codebook loss.
        commitment: The quantizer's commitment loss (beta).
        entropy: The quantizer's entropy loss.
    """

    absolute: float
    squared: float
    hard: float
    hard_share: float
    foreground: float
    perceptual: float
    perceptual_required: bool
    perceptual_weights: str | None
    codebook: float
    commitment: float
    entropy: float

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0.0 < self.hard_share <= 1.0:
            raise ValueError(f"loss.hard_share: expected a number in (0, 1], got {self.hard_share}")
        if self.absolute + self.squared + self.hard + self.perceptual <= 0.0:
            raise ValueError(
                "loss: expected a weight above 0 of absolute, squared, hard or perceptual, got none"
            )


@dataclass
class LossTerms:
    """A loss and its terms.

    Attributes:
        total: Scalar to minimize.
        pixels: The part of it that compares frames, without the quantizer's terms.
        terms: The unweighted terms by name, scalars without gradient, for the log.
    """

    total: Tensor
    pixels: Tensor
    terms: dict[str, Tensor]


def tokenizer_loss(
    output: TokenizerOutput,
    config: LossConfig,
    foreground: Tensor | None = None,
    lpips: Perceptual | None = None,
) -> LossTerms:
    """Computes the weighted sum of the terms of `config`, on the [-1, 1] scale of pixels.

    Args:
        output: The tokenizer's output.
        config: The weights.
        foreground: bool (n, height, width), needed where config.foreground is not 0.
        lpips: LPIPS; without it the term is left out.
    """
    reconstruction = output.reconstruction.float()
    error = (reconstruction - output.target).abs()
    weighted: list[tuple[str, float, Tensor]] = []
    if config.absolute:
        weighted.append(("reconstruction", config.absolute, error.mean()))
    if config.squared:
        weighted.append(("squared", config.squared, error.square().mean()))
    if config.hard:
        weighted.append(("hard", config.hard, hard_pixels(error, config.hard_share)))
    if config.foreground:
        assert foreground is not None
        weighted.append(("foreground", config.foreground, masked_mean(error, foreground)))
    if config.perceptual and lpips is not None:
        distance = lpips(reconstruction, output.target).mean()
        weighted.append(("perceptual", config.perceptual, distance))
    pixels = _sum(weighted, error)
    weighted += [
        (name, weight, term)
        for name, weight, term in (
            ("codebook", config.codebook, output.codebook),
            ("commitment", config.commitment, output.commitment),
            ("entropy", config.entropy, output.entropy),
        )
        if weight and term.requires_grad
    ]
    terms = {name: term.detach() for name, _, term in weighted}
    return LossTerms(_sum(weighted, error), pixels, terms)


def masked_mean(error: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean of errors (n, 3, height, width) over a mask (n, height, width), or 0."""
    selected = error * mask[:, None]
    return selected.sum() / (3 * mask.sum()).clamp_min(1)


def _sum(weighted: list[tuple[str, float, Tensor]], like: Tensor) -> Tensor:
    return sum((weight * term for _, weight, term in weighted), start=like.new_zeros(()))


def hard_pixels(error: Tensor, share: float) -> Tensor:
    """Returns the mean over the worst pixels of each frame.

    A player of 20 pixels is half a percent of a frame: in a plain mean it costs less than a
    slightly wrong background, and would not be learned.

    Args:
        error: Absolute errors (n, 3, height, width).
        share: Share of a frame's pixels that are the worst, in (0, 1].
    """
    per_pixel = error.mean(dim=1).flatten(1)
    count = max(1, round(share * per_pixel.shape[1]))
    return per_pixel.topk(count, dim=1, sorted=False).values.mean()
