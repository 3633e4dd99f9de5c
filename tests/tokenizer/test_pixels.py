import torch

from worldtokens.tokenizer.pixels import (
    STILL_WEIGHT,
    change_weights,
    crop_pixels,
    pad_pixels,
    scale_frames,
    unscale_frames,
)


def test_scaling_is_undone():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    pixels = scale_frames(frames)
    assert pixels.shape == (1, 3, 16, 16)
    assert pixels.min() == -1.0 and pixels.max() == 1.0
    assert torch.equal(unscale_frames(pixels), frames)
    assert unscale_frames(torch.full((1, 3, 1, 1), 7.0)).tolist() == [[[[255, 255, 255]]]]


def test_padding_repeats_the_last_row_and_column():
    pixels = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    padded = pad_pixels(pixels, (3, 4))
    assert padded[0, 0].tolist() == [[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]
    assert torch.equal(crop_pixels(padded, (2, 2)), pixels)
    assert pad_pixels(pixels, (2, 2)) is pixels


def test_patches_that_changed_weigh_more():
    previous = torch.zeros(2, 4, 6, 3, dtype=torch.uint8)
    frames = previous.clone()
    frames[0, 3, 5, 1] = 9
    weights = change_weights(frames, previous, (2, 3))
    still = STILL_WEIGHT
    expected = torch.tensor([[still] * 5 + [1.0], [still] * 6])
    torch.testing.assert_close(weights, expected)
