"""Frames of more tokens than a tokenizer was trained on, decoded window by window."""

import numpy as np
from torch import Tensor

from worldtokens.tokenizer import Tokenizer


def check_decodes_larger(tokenizer: Tokenizer) -> None:
    """Raises a ValueError unless each token stands for a patch of the frame."""
    (height, width, _), (rows, columns) = tokenizer.frame_shape, tokenizer.grid
    if tokenizer.levels != ((rows, columns, 1),) or height % rows or width % columns:
        raise ValueError(
            "larger: expected a tokenizer with one token for each patch of the frame, got one with "
            f"(rows, columns, depth) {tokenizer.levels} for {height}x{width} pixels"
        )


def decode_larger(tokenizer: Tokenizer, tokens: Tensor) -> np.ndarray:
    """Decodes windows of the tokenizer's own size that overlap by half, and keeps their middles.

    Args:
        tokenizer: With one token for each patch, see `check_decodes_larger`.
        tokens: int64 (B, rows, columns), at least as many of each as `tokenizer.grid`.

    Returns:
        uint8 (B, height, width, 3), in proportion to the rows and columns.

    Raises:
        ValueError: The tokenizer is of another kind.
    """
    check_decodes_larger(tokenizer)
    rows, columns = tokenizer.grid
    high, wide = tokenizer.frame_shape[0] // rows, tokenizer.frame_shape[1] // columns
    count, all_rows, all_columns = tokens.shape
    frames = np.zeros((count, all_rows * high, all_columns * wide, 3), np.uint8)
    for top in _window_starts(all_rows, rows):
        for left in _window_starts(all_columns, columns):
            window = tokens[:, top : top + rows, left : left + columns]
            decoded = tokenizer.decode(window.flatten(1)).cpu().numpy()
            # A window's first quarter lies nearer to the middle of the window before.
            above, before = (rows // 4 if top else 0), (columns // 4 if left else 0)
            y, x = slice((top + above) * high, (top + rows) * high), (left + before) * wide
            frames[:, y, x : (left + columns) * wide] = decoded[:, above * high :, before * wide :]
    return frames


def _window_starts(size: int, window: int) -> list[int]:
    step = max(1, window // 2)
    return sorted({*range(0, size - window + 1, step), size - window})


def split_known(tokens: Tensor, grid: tuple[int, int], share: float) -> Tensor:
    """Returns the tokens of the upper part of frames: int64 (B, K) to (B, n), whole grid rows."""
    return tokens[:, : round(share * grid[0]) * grid[1]]


def show_known(frames: np.ndarray, share: float, rows: int) -> np.ndarray:
    """Returns frames uint8 (n, height, width, 3) that are grey below the known rows."""
    shown = frames.copy()
    shown[:, frames.shape[1] * round(share * rows) // rows :] = 90
    return shown
