"""Trains a frame tokenizer.

    python tokenizer/train.py env=MontezumaRevenge
    python tokenizer/train.py env=MontezumaRevenge budget.max_minutes=10 run=longer
    accelerate launch --num_processes 2 tokenizer/train.py env=MontezumaRevenge

The run lies in runs/<env>/<run>/. The same command continues an interrupted run.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from worldtokens.common.atomic import replacing
from worldtokens.common.checks import (
    check_at_least,
    check_number,
    check_positive,
    check_positive_or_infinite,
)
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.averaging import WeightAverage
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.data.design_choice import with_chosen_design
from worldtokens.tokenizer.data.heldout import HeldoutFrames, load_heldout
from worldtokens.tokenizer.data.sources import open_sources
from worldtokens.tokenizer.data.training import FrameBatch, TrainingFrames
from worldtokens.tokenizer.evaluation.plots import save_sheet
from worldtokens.tokenizer.evaluation.reconstruction import evaluate, one_per_scene
from worldtokens.tokenizer.initial_weights import start_from
from worldtokens.tokenizer.losses.adversarial import Adversary, make_adversary
from worldtokens.tokenizer.losses.discriminator import AdversaryConfig
from worldtokens.tokenizer.losses.lpips_loss import (
    MissingWeightsError,
    Perceptual,
    load_perceptual,
)
from worldtokens.tokenizer.losses.terms import LossConfig, tokenizer_loss
from worldtokens.tokenizer.renamed_preset import check_preset_of_run
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.added_keys import with_values_of_run
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import launch
from worldtokens.training.optimization import optimizer_step
from worldtokens.training.random_streams import step_rng
from worldtokens.training.session import Session, SessionConfig


@dataclass
class TrainConfig(SessionConfig):
    """The keys of configs/tokenizer.yaml.

    Attributes:
        data: The folder of a dataset, a folder of images or a .npy file of them.
        image_aspect: How images get the frame's proportions: crop or stretch.
        in_memory: Copy the frames into memory.
        balance_scenes: Draw every scene (room) equally often.
        heldout_frames: Held-out frames to evaluate on during training.
        start_frames: Training frames from which a codebook starts.
        choose_design: Where `model` has its defaults and a dictionary of its size lacks too many
            patches, take a larger one; or the preset vqgan, where the data come from an
            environment of gymnasium that draws too many distinct patches for any dictionary.
        init_from: Other weights to start from: a run folder, an export folder, the name of shipped
            weights or a Hub repo id. Layers that they do not fit start fresh, and codes that they
            do fit need no start from training frames. Only a new run reads it.
        batch_size: Frames per step and process.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay of AdamW.
        max_gradient_norm: Gradients are scaled down to this norm; inf for no limit.
        mixed_precision: auto, no, bf16 or fp16.
        ema_decay: Decay of the moving average of the weights that is evaluated and exported; 0 for
            no average.
        model: Architecture.
        loss: Weights of the loss terms.
        adversary: The discriminator, if any.
    """

    data: str
    image_aspect: str
    in_memory: bool
    balance_scenes: bool
    heldout_frames: int
    start_frames: int
    choose_design: bool
    init_from: str | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    mixed_precision: str
    ema_decay: float
    model: TokenizerConfig
    loss: LossConfig
    adversary: AdversaryConfig

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        super().__post_init__()
        check_at_least(1, batch_size=self.batch_size, heldout_frames=self.heldout_frames)
        check_positive(learning_rate=self.learning_rate)
        check_positive_or_infinite(max_gradient_norm=self.max_gradient_norm)
        check_number(0, weight_decay=self.weight_decay)


def main(config: TrainConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    config = with_values_of_run(with_chosen_design(config))
    run = Path(config.root) / config.env / config.run
    check_preset_of_run(run, config.model, config.overwrite)
    accelerator = make_accelerator(config.mixed_precision)
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(config.model)
    training, heldout = open_data(config, tokenizer.frame_shape)
    lpips = open_lpips(config, accelerator)
    session = Session(accelerator, config)
    start_time, is_new = time.perf_counter(), session.saved is None
    if is_new:
        start(tokenizer, training, config)
    start_seconds = time.perf_counter() - start_time
    optimizer = torch.optim.AdamW(
        tokenizer.parameters(),
        config.learning_rate,
        (0.9, 0.95),
        weight_decay=config.weight_decay,
        fused=True,
    )
    model, optimizer = accelerator.prepare(tokenizer, optimizer)
    adversary = make_adversary(accelerator, config.adversary, config.schedule, lpips is not None)
    average = WeightAverage(tokenizer, config.ema_decay)
    session.begin(
        {"model": tokenizer, "optimizer": optimizer, "average": average, **adversary.parts},
        unit="frames",
        data=f"{training.num_frames:,} frames of {config.data}",
    )
    if is_new:
        # The start is a part of the training, and takes much longer with some designs.
        session.clock.seconds = start_seconds
    for progress, rng in session.steps():
        batch = training.draw(config.batch_size, rng).to(accelerator.device)
        metrics = train_step(
            accelerator, model, optimizer, adversary, lpips, batch, config, progress,
        )  # fmt: skip
        average.update()
        session.log(metrics, shown="loss", units=config.batch_size)
        if session.is_evaluation_due:
            sample(session, average.model, heldout)
        if session.is_checkpoint_due:
            session.save(average.model)
    session.end(average.model)


def open_lpips(config: TrainConfig, accelerator: Accelerator) -> Perceptual | None:
    """Loads LPIPS if the loss has it; says so where it goes on without.

    Raises:
        ValueError: Its weights are required and missing, or they are damaged.
    """
    loss, matching = config.loss, config.adversary.feature_matching
    if not loss.perceptual:
        return None
    try:
        lpips = load_perceptual(loss.perceptual_weights, download=loss.perceptual_required)
    except MissingWeightsError as error:
        if loss.perceptual_required:
            raise
        instead = (
            "the discriminator's features take its place" if matching else "nothing replaces it"
        )
        accelerator.print(f"{error}: training without LPIPS, {instead}")
        return None
    return lpips.to(accelerator.device)


def start(tokenizer: Tokenizer, training: TrainingFrames, config: TrainConfig) -> None:
    """Starts from other weights, if there are any, and codes that they lack from training frames.

    Raises:
        ValueError: There are no such weights, or none of them fits.
    """
    if config.init_from is not None and start_from(tokenizer, config.init_from):
        return
    count, rng = config.start_frames, step_rng(config.seed, 0, 0)
    if tokenizer.weighs_changes:
        first, previous = training.draw_pairs(count, rng)
    else:
        first, previous = training.draw(count, rng).frames, None
    tokenizer.start(first, torch.Generator().manual_seed(config.seed), previous)


def open_data(
    config: TrainConfig, frame_shape: tuple[int, int, int]
) -> tuple[TrainingFrames, HeldoutFrames]:
    """Opens the frames to train on and those to evaluate on.

    Raises:
        ValueError: There is no dataset, it has no held-out episodes, or frames of another shape.
    """
    sources = open_sources(config.data, frame_shape, config.image_aspect, config.in_memory)
    heldout = load_heldout(sources.heldout, sources.backgrounds, config.heldout_frames)
    backgrounds = sources.backgrounds if config.loss.foreground else None
    if config.loss.foreground and backgrounds is None:
        raise ValueError(
            f"loss.foreground: expected 0 for images, which have no foreground, got "
            f"{config.loss.foreground} with data={config.data}"
        )
    return TrainingFrames(sources.train, config.balance_scenes, backgrounds), heldout


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    adversary: Adversary,
    lpips: Perceptual | None,
    batch: FrameBatch,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, float]:
    """Trains the tokenizer, and the discriminator if there is one, on one batch.

    Args:
        accelerator: Gives the precision and the process group.
        model: The prepared Tokenizer.
        optimizer: The optimizer of its parameters.
        adversary: The discriminator with its optimizer, or none.
        lpips: LPIPS, if the loss needs it.
        batch: Frames on the device.
        config: Loss and learning rate.
        progress: The progress of the run.

    Returns:
        The terms of the loss, the loss, the gradient norm and the learning rate, by name.

    Raises:
        FloatingPointError: The loss is not finite; nothing was changed.
    """
    model.train()
    rate = config.schedule.rate(config.learning_rate, progress.share)
    with accelerator.autocast():
        output = model(batch.frames)
        loss = tokenizer_loss(output, config.loss, batch.foreground, lpips)
    last_layer = accelerator.unwrap_model(model).last_layer
    term, metrics = adversary.generator_term(output, loss.pixels, last_layer, progress)
    norm = optimizer_step(
        accelerator, loss.total + term, model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    metrics |= adversary.step(output, progress)
    metrics |= {name: float(value) for name, value in loss.terms.items()}
    metrics["loss"] = float(loss.total.detach())
    return {**metrics, "gradient_norm": norm, "learning_rate": rate}


def sample(session: Session, tokenizer: Tokenizer, heldout: HeldoutFrames) -> None:
    """Evaluates on held-out frames; writes the metrics and a picture of reconstructions."""
    evaluation = evaluate(tokenizer, heldout, with_ssim=False)
    picture = session.sample_path()
    with replacing(picture) as partial:
        save_sheet(partial, heldout, evaluation, one_per_scene(heldout, 12))
    session.write_evaluation(evaluation.metrics(), "reconstructions", picture)


def cli() -> None:
    """Runs the command line."""
    launch(main, TrainConfig, "tokenizer")


if __name__ == "__main__":
    cli()
