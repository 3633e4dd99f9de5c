"""The adversarial part of a training step: a discriminator with its optimizer, or none."""

from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor

from worldtokens.tokenizer.losses.discriminator import (
    AdversaryConfig,
    Discriminator,
    adaptive_lambda,
    adversarial_loss,
    discriminator_loss,
    lecam,
    r1_penalty,
)
from worldtokens.tokenizer.output import TokenizerOutput
from worldtokens.training.budget import Progress, learning_rate


class Adversary(Protocol):
    """What a training step asks of it."""

    parts: dict[str, Any]

    def generator_term(
        self, output: TokenizerOutput, pixels: Tensor, last_layer: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, float]]:
        """What the tokenizer minimizes beside its own loss, and figures for the log.

        Args:
            output: Of the tokenizer.
            pixels: The part of its loss that compares frames.
            last_layer: The decoder's last weight.
            progress: Where the run stands.
        """
        ...

    def step(self, output: TokenizerOutput, progress: Progress) -> dict[str, float]:
        """Trains the discriminator on one batch; returns figures for the log."""
        ...


class NoAdversary:
    """Where no discriminator is asked for."""

    def __init__(self) -> None:
        """Has nothing to save."""
        self.parts: dict[str, Any] = {}

    def generator_term(
        self, output: TokenizerOutput, pixels: Tensor, last_layer: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, float]]:
        """Nothing."""
        return pixels.new_zeros(()), {}

    def step(self, output: TokenizerOutput, progress: Progress) -> dict[str, float]:
        """Nothing."""
        return {}


class PatchAdversary:
    """A discriminator of patches that trains in turn with the tokenizer."""

    def __init__(self, accelerator: Accelerator, config: AdversaryConfig):
        """Builds the discriminator and its optimizer on the accelerator's device."""
        self._accelerator = accelerator
        self._config = config
        self.discriminator = Discriminator(config.width, config.depth).to(accelerator.device)
        optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), config.learning_rate, (0.5, 0.9), weight_decay=0.0
        )
        self._optimizer = accelerator.prepare_optimizer(optimizer)
        self.parts = {
            "discriminator": self.discriminator,
            "discriminator_optimizer": self._optimizer,
        }

    def generator_term(
        self, output: TokenizerOutput, pixels: Tensor, last_layer: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, float]]:
        """See Adversary.generator_term; no gradient stays on the discriminator."""
        weight = self._config.weight_at(progress.step)
        if not weight:
            return pixels.new_zeros(()), {}
        self.discriminator.requires_grad_(False)
        with self._accelerator.autocast():
            term = adversarial_loss(self.discriminator(output.reconstruction))
        scale = adaptive_lambda(pixels, term, last_layer)
        figures = {"adversarial": float(term.detach()), "adaptive_lambda": float(scale)}
        return weight * scale * term, figures

    def step(self, output: TokenizerOutput, progress: Progress) -> dict[str, float]:
        """See Adversary.step; the frames are detached, so no gradient reaches the tokenizer."""
        config = self._config
        if not config.weight_at(progress.step):
            return {}
        self.discriminator.requires_grad_(True)
        pixels = output.target.detach().requires_grad_(config.regularizer == "r1")
        with self._accelerator.autocast():
            real = self.discriminator(pixels)
            fake = self.discriminator(output.reconstruction.detach())
        loss = discriminator_loss(real, fake, config.loss)
        figures = {"discriminator": float(loss.detach())}
        if config.regularizer != "none":
            if config.regularizer == "r1":
                term = r1_penalty(real, pixels)
            else:
                term = lecam(self.discriminator, real, fake)
            figures[config.regularizer] = float(term.detach())
            loss = loss + config.regularizer_weight * term
        self._update(loss, progress)
        return figures

    def _update(self, loss: Tensor, progress: Progress) -> None:
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"discriminator loss is {float(loss.detach())} at step {progress.step}; the last "
                "checkpoint is good: lower adversary.learning_rate or use mixed_precision=no"
            )
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._config.learning_rate, progress.share)
        self._optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        for parameter in self.discriminator.parameters():
            # Two passes and a second derivative do not go through DistributedDataParallel.
            parameter.grad = self._accelerator.reduce(parameter.grad, "mean")  # type: ignore[assignment]
        self._optimizer.step()


def make_adversary(accelerator: Accelerator, config: AdversaryConfig) -> Adversary:
    """The adversary that `config` asks for."""
    if config.weight == 0:
        return NoAdversary()
    return PatchAdversary(accelerator, config)
