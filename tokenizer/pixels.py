"""Frames as pixels for the networks: scaled, channels first, padded; and back."""

import torch
from torch import Tensor
from torch.nn import functional

# As how many patches that change a patch counts that stands still; of Montezuma's Revenge's patches
# one in ten changes from frame to frame.
STILL_WEIGHT = 0.05


def scale_frames(frames: Tensor) -> Tensor:
    """Scales frames uint8 (n, height, width, 3) to float32 (n, 3, height, width) in [-1, 1]."""
    return frames.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def unscale_frames(pixels: Tensor) -> Tensor:
    """Turns pixels (n, 3, height, width), clipped to [-1, 1], into uint8 (n, height, width, 3)."""
    scaled = (pixels.float().clamp(-1.0, 1.0) + 1.0) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1)


def pad_pixels(pixels: Tensor, shape: tuple[int, int]) -> Tensor:
    """Repeats the last row and the last column of pixels (n, 3, height, width) up to a shape.

    A mirrored edge would put rows of the patch above into the last patch: a token would change
    although nothing under it did.
    """
    down, right = (size - now for size, now in zip(shape, pixels.shape[2:], strict=True))
    if not down and not right:
        return pixels
    return functional.pad(pixels, (0, right, 0, down), mode="replicate")


def crop_pixels(pixels: Tensor, shape: tuple[int, int]) -> Tensor:
    """Undoes `pad_pixels`: returns the first rows and columns, (n, 3, *shape)."""
    return pixels[:, :, : shape[0], : shape[1]]


def change_weights(frames: Tensor, previous: Tensor, grid: tuple[int, int]) -> Tensor:
    """Weighs the patches of frames: 1 where a pixel changed, else STILL_WEIGHT.

    Args:
        frames: uint8 (n, height, width, 3).
        previous: The frame before each of them, of that shape.
        grid: Rows and columns of the patches.

    Returns:
        float32 (n, rows x columns).
    """
    changed = (frames != previous).any(dim=-1)[:, None].float()
    pooled = functional.adaptive_max_pool2d(changed, grid)[:, 0].flatten(1)
    return torch.where(pooled > 0, 1.0, STILL_WEIGHT)
