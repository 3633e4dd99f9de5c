"""Where dreams begin: at real frames of recorded episodes, or at given frames."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from torch import Tensor

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenDataset, stack_windows

# Draws of a start before one with less than the whole context is taken.
TRIES = 16
Candidate = TypeVar("Candidate")
Start = EpisodeSource | TokenDataset | np.ndarray | Tensor


class Starts:
    """Where dreams may begin."""

    def __init__(self, start: Start, tokenizer: Tokenizer):
        """Encodes given frames.

        Raises:
            ValueError: `start` is an array without frames, or of another shape.
        """
        self._tokenizer = tokenizer
        self._source = start
        if isinstance(start, EpisodeSource | TokenDataset):
            return
        if not isinstance(start, np.ndarray | Tensor):
            raise TypeError(
                "start: expected an EpisodeDataset, a TokenDataset or frames uint8 (N, height, "
                f"width, 3), got {type(start).__name__}"
            )
        if len(start) == 0:
            raise ValueError("start: expected at least one frame to start from, got none")
        if start.ndim != 4:
            raise ValueError(
                "start: expected a dataset or frames uint8 (N, height, width, 3), got shape "
                f"{tuple(start.shape)}"
            )
        try:
            self._source = tokenizer.encode(start).cpu().numpy()
        except ValueError as error:
            raise ValueError(f"start: {error}") from None

    def draw(self, context: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws up to `context` frames' tokens, int64 (T, K), and the actions between them."""
        source = self._source
        if isinstance(source, np.ndarray):
            return source[rng.integers(len(source))][None], np.zeros(0, np.int64)
        assert not isinstance(source, Tensor)
        if isinstance(source, TokenDataset):
            return _draw_tokens(source, context, rng)

        def draw() -> tuple[int, int]:
            last = int(source.sample_starts(1, rng)[0])
            episode = np.searchsorted(source.frame_starts, last, side="right") - 1
            return int(source.frame_starts[episode]), last

        begin, last = _prefer(draw, lambda start: start[1] + 1 - start[0] >= context)
        first = max(begin, last + 1 - context)
        tokens = self._tokenizer.encode(source.read_frames(first, last + 1))
        return tokens.cpu().numpy(), source.steps.actions[first:last]


def _draw_tokens(
    dataset: TokenDataset, context: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    episode, last = _prefer(lambda: dataset.draw_step(rng), lambda start: start[1] + 1 >= context)
    first = max(0, last + 1 - context)
    window = stack_windows([episode], [first], last + 1 - first)
    return window.tokens[0].numpy(), window.actions[0].numpy()


def _prefer(draw: Callable[[], Candidate], fits: Callable[[Candidate], bool]) -> Candidate:
    """Draws until the result fits, a few times at most."""
    candidate = draw()
    for _ in range(TRIES):
        if fits(candidate):
            break
        candidate = draw()
    return candidate
