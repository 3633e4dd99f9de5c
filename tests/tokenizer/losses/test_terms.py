import pytest
import torch

from worldtokens.tokenizer.losses.terms import LossConfig, hard_pixels, masked_mean, tokenizer_loss
from worldtokens.tokenizer.output import TokenizerOutput

NOTHING = dict(
    absolute=0.0, squared=0.0, hard=0.0, hard_share=0.5, foreground=0.0, perceptual=0.0,
    perceptual_required=True, perceptual_weights=None, codebook=0.0, commitment=0.0, entropy=0.0,
)  # fmt: skip


def output_with(error, commitment=0.0):
    target = torch.zeros_like(error)
    zero = torch.zeros(())
    return TokenizerOutput(
        target=target,
        reconstruction=error.clone().requires_grad_(),
        tokens=torch.zeros(1, 1, dtype=torch.int64),
        codebook=zero,
        commitment=torch.tensor(commitment, requires_grad=True),
        entropy=zero,
    )


def test_hard_pixels_is_the_mean_of_the_worst():
    error = torch.zeros(2, 3, 2, 2)
    error[0, :, 0, 0] = torch.tensor([0.3, 0.6, 0.9])
    error[0, :, 1, 1] = 0.2
    error[1, :, 0, 1] = 1.0
    assert float(hard_pixels(error, 0.5)) == pytest.approx((0.6 + 0.2 + 1.0 + 0.0) / 4)
    assert float(hard_pixels(error, 0.01)) == pytest.approx((0.6 + 1.0) / 2)


def test_total_is_the_weighted_sum_and_terms_are_unweighted():
    error = torch.full((1, 3, 2, 2), -0.5)
    config = LossConfig(**{**NOTHING, "absolute": 2.0, "squared": 4.0, "commitment": 0.25})
    loss = tokenizer_loss(output_with(error, commitment=8.0), config)
    assert {name: float(term) for name, term in loss.terms.items()} == {
        "reconstruction": 0.5, "squared": 0.25, "commitment": 8.0,
    }  # fmt: skip
    assert float(loss.total.detach()) == pytest.approx(2 * 0.5 + 4 * 0.25 + 0.25 * 8)
    loss.total.backward()


def test_foreground_is_the_mean_over_its_pixels():
    error = torch.zeros(2, 3, 2, 2)
    error[0, :, 0, 0] = torch.tensor([0.3, 0.6, 0.9])
    error[1, :, 1, 1] = 5.0
    mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    mask[0, 0, :] = True
    assert float(masked_mean(error, mask)) == pytest.approx(1.8 / 6)
    assert float(masked_mean(error, torch.zeros_like(mask))) == 0.0
    config = LossConfig(**{**NOTHING, "absolute": 1.0, "foreground": 2.0})
    loss = tokenizer_loss(output_with(error), config, mask)
    assert float(loss.terms["foreground"]) == pytest.approx(0.3)
    assert float(loss.pixels.detach()) == pytest.approx(float(error.mean()) + 0.6)


def test_terms_of_weight_zero_are_left_out():
    config = LossConfig(**{**NOTHING, "hard": 1.0})
    assert set(tokenizer_loss(output_with(torch.ones(1, 3, 2, 2), 1.0), config).terms) == {"hard"}


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_hard_share_outside_its_range(share):
    with pytest.raises(ValueError, match=r"loss.hard_share: expected a number in \(0, 1\], got"):
        LossConfig(**{**NOTHING, "absolute": 1.0, "hard_share": share})


def test_a_loss_without_any_pixel_term():
    with pytest.raises(
        ValueError, match="loss: expected a weight above 0 of absolute, squared, hard"
    ):
        LossConfig(**{**NOTHING, "commitment": 1.0})


def test_perceptual_is_the_mean_distance_of_lpips():
    def lpips(reconstruction, target):
        return (reconstruction - target).abs().amax(dim=(1, 2, 3))

    error = torch.zeros(2, 3, 2, 2)
    error[0, 0, 0, 0], error[1, 1, 1, 1] = 0.5, -1.5
    config = LossConfig(**{**NOTHING, "perceptual": 2.0})
    loss = tokenizer_loss(output_with(error), config, lpips=lpips)
    assert float(loss.terms["perceptual"]) == 1.0
    assert float(loss.total.detach()) == float(loss.pixels.detach()) == 2.0
