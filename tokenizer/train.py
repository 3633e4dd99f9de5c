"""Trains a frame tokenizer.

    python tokenizer/train.py env=MontezumaRevenge
    python tokenizer/train.py env=MontezumaRevenge budget.max_minutes=10 run=longer
    accelerate launch --num_processes 2 tokenizer/train.py env=MontezumaRevenge

The run lies in runs/<env>/<run>/. The same command continues an interrupted run.
"""

import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import nn

from worldtokens.common.atomic import replacing
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.averaging import WeightAverage
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.data.heldout import HeldoutFrames, load_heldout
from worldtokens.tokenizer.data.sources import open_sources
from worldtokens.tokenizer.data.training import FrameBatch, TrainingFrames
from worldtokens.tokenizer.evaluation.plots import save_sheet
from worldtokens.tokenizer.evaluation.reconstruction import evaluate, one_per_scene
from worldtokens.tokenizer.losses.adversarial import Adversary, make_adversary
from worldtokens.tokenizer.losses.discriminator import AdversaryConfig
from worldtokens.tokenizer.losses.lpips_loss import Perceptual, load_perceptual
from worldtokens.tokenizer.losses.terms import LossConfig, tokenizer_loss
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress, learning_rate
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
        in_memory: Copy its frames into memory.
        balance_scenes: Draw every scene (room) equally often.
        heldout_frames: Held-out frames for the figures.
        start_frames: Training frames that the codes start from.
        batch_size: Frames per step and process.
        learning_rate: Its peak.
        weight_decay: Of AdamW.
        max_gradient_norm: Gradients are scaled down to this norm.
        mixed_precision: auto, no, bf16 or fp16.
        ema_decay: Of the moving average of the weights that is evaluated and exported; 0 for none.
        model: Architecture.
        loss: Weights of the terms.
        adversary: The discriminator, if any.
    """

    data: str
    image_aspect: str
    in_memory: bool
    balance_scenes: bool
    heldout_frames: int
    start_frames: int
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
        """Checks the numbers that nobody else checks."""
        super().__post_init__()
        for name in ("batch_size", "learning_rate", "max_gradient_norm", "heldout_frames"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


def main(config: TrainConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    accelerator = make_accelerator(config.mixed_precision)
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(config.model)
    training, heldout = open_data(config, tokenizer.frame_shape)
    judge = load_perceptual(config.loss.perceptual_weights) if config.loss.perceptual else None
    judge = judge.to(accelerator.device) if judge else None
    session = Session(accelerator, config)
    began, is_new = time.perf_counter(), session.saved is None
    if is_new:
        first = training.draw(config.start_frames, step_rng(config.seed, 0, 0))
        tokenizer.start(first.frames, torch.Generator().manual_seed(config.seed))
    spent = time.perf_counter() - began
    optimizer = torch.optim.AdamW(
        tokenizer.parameters(),
        config.learning_rate,
        (0.9, 0.95),
        weight_decay=config.weight_decay,
        fused=True,
    )
    model, optimizer = accelerator.prepare(tokenizer, optimizer)
    adversary = make_adversary(accelerator, config.adversary)
    average = WeightAverage(tokenizer, config.ema_decay)
    session.begin(
        {"model": tokenizer, "optimizer": optimizer, "average": average, **adversary.parts},
        unit="frames",
        data=f"{training.num_frames:,} frames of {config.data}",
    )
    if is_new:
        # The start is a part of the training, and takes some designs much longer than others.
        session.clock.seconds = spent
    for progress, rng in session.steps():
        batch = training.draw(config.batch_size, rng).to(accelerator.device)
        metrics = train_step(
            accelerator, model, optimizer, adversary, judge, batch, config, progress
        )
        average.update()
        session.log(metrics, shown="loss", units=config.batch_size)
        if session.is_evaluation_due:
            sample(session, average.model, heldout)
        if session.is_checkpoint_due:
            session.save(average.model)
    session.end(average.model)


def open_data(
    config: TrainConfig, frame_shape: tuple[int, int, int]
) -> tuple[TrainingFrames, HeldoutFrames]:
    """The frames to train on and those to judge by.

    Raises:
        ValueError: No dataset there, no held-out episodes, or frames of another shape.
    """
    sources = open_sources(config.data, frame_shape, config.image_aspect, config.in_memory)
    heldout = load_heldout(sources.heldout, sources.backgrounds, config.heldout_frames)
    needed = sources.backgrounds if config.loss.foreground else None
    if config.loss.foreground and needed is None:
        raise ValueError(f"loss.foreground: data={config.data} are images, without foreground")
    return TrainingFrames(sources.train, config.balance_scenes, needed), heldout


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    adversary: Adversary,
    judge: Perceptual | None,
    batch: FrameBatch,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, float]:
    """One step of the tokenizer on one batch, and one of the discriminator if there is one.

    Args:
        accelerator: Whose precision and process group are used.
        model: The prepared Tokenizer.
        optimizer: Over its parameters.
        adversary: See tokenizer/adversary.py.
        judge: LPIPS, where the loss asks for it.
        batch: Frames on the device.
        config: Loss and learning rate.
        progress: Where the run stands.

    Returns:
        The terms of the loss, the loss, the gradient norm and the learning rate, by name.

    Raises:
        FloatingPointError: The loss is not finite; nothing was changed.
    """
    model.train()
    rate = learning_rate(config.learning_rate, progress.share)
    with accelerator.autocast():
        output = model(batch.frames)
        loss = tokenizer_loss(output, config.loss, batch.foreground, judge)
    last_layer = accelerator.unwrap_model(model).last_layer
    term, figures = adversary.generator_term(output, loss.pixels, last_layer, progress)
    norm = optimizer_step(
        accelerator, loss.total + term, model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    figures |= adversary.step(output, progress)
    figures |= {name: float(value) for name, value in loss.terms.items()}
    figures["loss"] = float(loss.total.detach())
    return {**figures, "gradient_norm": norm, "learning_rate": rate}


def sample(session: Session, tokenizer: Tokenizer, heldout: HeldoutFrames) -> None:
    """Evaluates on held-out frames; writes the figures and a sheet of reconstructions."""
    found = evaluate(tokenizer, heldout, with_ssim=False)
    picture = session.sample_path()
    with replacing(picture) as partial:
        save_sheet(partial, heldout, found, one_per_scene(heldout, 12))
    session.write_evaluation(found.figures(), "reconstructions", picture)


def cli() -> None:
    """Runs the command line."""
    launch(main, TrainConfig, "tokenizer")


if __name__ == "__main__":
    cli()
