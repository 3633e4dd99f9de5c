"""A moving average of a tokenizer's weights."""

import copy

import torch
from torch import Tensor

from worldtokens.tokenizer.autoencoder import Tokenizer


class WeightAverage:
    """The model that is evaluated and exported: the average, or without one the model itself.

    Attributes:
        model: That model.
    """

    def __init__(self, tokenizer: Tokenizer, decay: float):
        """Starts at the weights of `tokenizer`.

        Args:
            tokenizer: The model that is trained.
            decay: Share of the average that stays at each step, in [0, 1); 0 for no average.

        Raises:
            ValueError: `decay` is out of its range.
        """
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"ema_decay: expected a share in [0, 1), got {decay}")
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
        """The average's weights; nothing where there is none."""
        return dict(self.model.state_dict()) if self._decay else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes what `state_dict` gave."""
        if self._decay:
            self.model.load_state_dict(state)
