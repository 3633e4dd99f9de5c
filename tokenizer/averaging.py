"""A moving average of a tokenizer's weights."""

import copy

import torch
from torch import Tensor

from worldtokens.tokenizer.autoencoder import Tokenizer


class WeightAverage:
    """A moving average of weights, which is evaluated and exported in place of the trained model.

    Attributes:
        model: The average; with decay 0 the trained model itself.
    """

    def __init__(self, tokenizer: Tokenizer, decay: float):
        """Starts at the weights of `tokenizer`.

        Args:
            tokenizer: The trained model.
            decay: Weight of the old average at each step, in [0, 1); 0 for no average.

        Raises:
            ValueError: `decay` is out of its range.
        """
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"ema_decay: expected a number in [0, 1), got {decay}")
        self._source = tokenizer
        self._decay = decay
        self.model = copy.deepcopy(tokenizer).requires_grad_(False) if decay else tokenizer

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights; codes and other buffers are copied."""
        if not self._decay:
            return
        for average, value in zip(self.model.parameters(), self._source.parameters(), strict=True):
            average.lerp_(value, 1 - self._decay)
        for average, value in zip(self.model.buffers(), self._source.buffers(), strict=True):
            average.copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the average's weights; nothing where there is no average."""
        return dict(self.model.state_dict()) if self._decay else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Loads the result of `state_dict`."""
        if self._decay:
            self.model.load_state_dict(state)
