"""The adversarial part of a training step: a discriminator with its optimizer, or none."""

import dataclasses
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
    match_features,
    r1_penalty,
)
from worldtokens.tokenizer.output import TokenizerOutput
from worldtokens.training.budget import Progress, ScheduleConfig


class Adversary(Protocol):
    """The adversarial part of a training step.

    Attributes:
        parts: State to store in a checkpoint, by name.
    """

    parts: dict[str, Any]

    def generator_term(
        self, output: TokenizerOutput, pixels: Tensor, last_layer: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, float]]:
        """Computes the adversarial term of the tokenizer's loss, and metrics for the log.

        Args:
            output: The tokenizer's output on the batch.
            pixels: The part of its loss that compares frames.
            last_layer: The weight of the decoder's last layer.
            progress: The progress of the run.
        """
        ...

    def step(self, output: TokenizerOutput, progress: Progress) -> dict[str, float]:
        """Trains the discriminator on one batch; returns metrics for the log."""
        ...


class NoAdversary:
    """Training without a discriminator."""

    def __init__(self) -> None:
        """Makes an adversary without state."""
        self.parts: dict[str, Any] = {}

    def generator_term(
        self, output: TokenizerOutput, pixels: Tensor, last_layer: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, float]]:
        """Returns a term of 0 and no metrics."""
        return pixels.new_zeros(()), {}

    def step(self, output: TokenizerOutput, progress: Progress) -> dict[str, float]:
        """Does nothing and returns no metrics."""
        return {}


class PatchAdversary:
    """A discriminator of patches that is trained in turn with the tokenizer.

    Attributes:
        discriminator: The network.
        parts: It and its optimizer, to store in a checkpoint.
    """

    def __init__(self, accelerator: Accelerator, config: AdversaryConfig, schedule: ScheduleConfig):
        """Builds the discriminator and its optimizer on the accelerator's device."""
        self._accelerator = accelerator
        self._config = config
        self._schedule = schedule
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
        """See Adversary.generator_term; the discriminator gets no gradient."""
        growth = self._config.growth(progress.step)
        if not growth:
            return pixels.new_zeros(()), {}
        self.discriminator.requires_grad_(False)
        with self._accelerator.autocast():
            *fake, scores = self.discriminator.features(output.reconstruction)
        term = adversarial_loss(scores.float())
        scale = adaptive_lambda(pixels, term, last_layer)
        metrics = {"adversarial": float(term.detach()), "adaptive_lambda": float(scale)}
        total = self._config.weight * scale * term
        if self._config.feature_matching:
            with self._accelerator.autocast(), torch.no_grad():
                *real, _ = self.discriminator.features(output.target)
            matching = match_features(real, fake)
            metrics["feature_matching"] = float(matching.detach())
            total = total + self._config.feature_matching * matching
        return growth * total, metrics

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
        metrics = {"discriminator": float(loss.detach())}
        if config.regularizer != "none":
            if config.regularizer == "r1":
                term = r1_penalty(real, pixels)
            else:
                term = lecam(self.discriminator, real, fake)
            metrics[config.regularizer] = float(term.detach())
            loss = loss + config.regularizer_weight * term
        self._update(loss, progress)
        return metrics

    def _update(self, loss: Tensor, progress: Progress) -> None:
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"discriminator loss at step {progress.step}: expected a finite number, got "
                f"{float(loss.detach())}; nothing of this step was saved: "
                "lower adversary.learning_rate or use mixed_precision=no, then run the command "
                "again, it goes on from the last checkpoint"
            )
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(self._config.learning_rate, progress.share)
        self._optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        for parameter in self.discriminator.parameters():
            # DistributedDataParallel supports neither two passes nor a second derivative.
            parameter.grad = self._accelerator.reduce(parameter.grad, "mean")  # type: ignore[assignment]
        self._optimizer.step()


def make_adversary(
    accelerator: Accelerator,
    config: AdversaryConfig,
    schedule: ScheduleConfig,
    has_lpips: bool = False,
) -> Adversary:
    """Makes the adversary that `config` asks for; LPIPS takes the place of feature matching."""
    if config.weight == 0:
        return NoAdversary()
    if has_lpips:
        config = dataclasses.replace(config, feature_matching=0.0)
    return PatchAdversary(accelerator, config, schedule)
