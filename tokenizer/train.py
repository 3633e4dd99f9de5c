"""Trains a frame tokenizer.

    python tokenizer/train.py env=MontezumaRevenge
    python tokenizer/train.py env=MontezumaRevenge budget.max_minutes=10 run=longer
    accelerate launch --num_processes 2 tokenizer/train.py env=MontezumaRevenge

The run lies in runs/<env>/<run>/. The same command continues an interrupted run.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from tqdm import tqdm

from collect import EpisodeDataset
from tokenizer.autoencoder import Tokenizer
from tokenizer.evaluation import HeldoutFrames, evaluate, one_per_scene
from tokenizer.frame_data import (
    TrainingFrames,
    check_frame_shape,
    fit_backgrounds,
    load_heldout,
)
from tokenizer.losses import LossConfig, tokenizer_loss
from tokenizer.model_config import TokenizerConfig
from tokenizer.pictures import save_sheet
from training.accelerator import make_accelerator
from training.atomic import replacing
from training.budget import BudgetConfig, Clock, Progress, learning_rate
from training.checkpoint import load_checkpoint, save_checkpoint
from training.command_line import launch
from training.curves import draw_curves
from training.metric_writers import (
    JsonlWriter,
    MetricWriter,
    NullWriter,
    WandbConfig,
    WandbWriter,
    WriterGroup,
)
from training.optimization import optimizer_step
from training.random_streams import seed_torch, step_rng
from training.run_folder import RunFolder, replace_folder

FREE_KEYS = ("wandb", "overwrite", "log_every", "checkpoint_every_minutes", "evaluations")


@dataclass
class TrainConfig:
    """The keys of configs/tokenizer.yaml.

    Attributes:
        env: The game's usual name; names the folders.
        data: The dataset's folder.
        in_memory: Copy its frames into memory.
        balance_scenes: Draw every scene (room) equally often.
        heldout_frames: Held-out frames for the figures.
        root: Folder of all runs.
        run: Name of this run's folder in root/env/.
        overwrite: Delete an earlier run of that name.
        seed: Of the weights and the batches.
        budget: When to stop.
        batch_size: Frames per step and process.
        learning_rate: Its peak.
        weight_decay: Of AdamW.
        max_gradient_norm: Gradients are scaled down to this norm.
        mixed_precision: auto, no, bf16 or fp16.
        log_every: Steps between lines in metrics.jsonl.
        evaluations: Evaluations over the budget, evenly spaced.
        checkpoint_every_minutes: Wall-clock minutes between checkpoints.
        wandb: Copy of the figures to Weights & Biases.
        model: Architecture.
        loss: Weights of the terms.
    """

    env: str
    data: str
    in_memory: bool
    balance_scenes: bool
    heldout_frames: int
    root: str
    run: str
    overwrite: bool
    seed: int
    budget: BudgetConfig
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    mixed_precision: str
    log_every: int
    evaluations: int
    checkpoint_every_minutes: float
    wandb: WandbConfig
    model: TokenizerConfig
    loss: LossConfig

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("batch_size", "learning_rate", "max_gradient_norm", "log_every"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


def main(config: TrainConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    accelerator = make_accelerator(config.mixed_precision)
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(config.model)
    training, heldout = open_data(config, tokenizer.frame_shape)
    folder = open_folder(accelerator, config)
    optimizer = torch.optim.AdamW(
        tokenizer.parameters(), config.learning_rate, (0.9, 0.95), weight_decay=config.weight_decay
    )
    model, optimizer = accelerator.prepare(tokenizer, optimizer)
    clock = restore(folder, config.budget, tokenizer, optimizer, accelerator)
    writer = make_writer(accelerator, folder, config, clock.step)
    bar = tqdm(
        total=100.0,
        initial=100.0 * clock.share(),
        desc="tokenizer",
        disable=not accelerator.is_main_process,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    )
    saved = time.monotonic()
    for progress in clock.steps():
        seed_torch(config.seed, accelerator.process_index, progress.step)
        rng = step_rng(config.seed, accelerator.process_index, progress.step)
        frames = torch.from_numpy(training.draw(config.batch_size, rng)).to(accelerator.device)
        metrics = train_step(accelerator, model, optimizer, frames, config, progress)
        before, progress = progress, agreed(accelerator, clock)
        if progress.step % config.log_every == 0 or progress.share >= 1.0:
            report(writer, bar, metrics, progress, config.batch_size * accelerator.num_processes)
        if not accelerator.is_main_process:
            continue
        share_of_evaluations = progress.share * config.evaluations
        if int(share_of_evaluations) > int(before.share * config.evaluations):
            sample(tokenizer, heldout, folder, writer, progress.step)
        if time.monotonic() - saved > 60 * config.checkpoint_every_minutes:
            save(folder, clock, tokenizer, optimizer, accelerator)
            saved = time.monotonic()
    bar.close()
    if accelerator.is_main_process:
        save(folder, clock, tokenizer, optimizer, accelerator)
        writer.close()
        draw_curves(folder.metrics, folder.curves)
        print(f"tokenizer: {folder.export} after {clock.step} steps, {clock.seconds:.0f} s")
    accelerator.end_training()


def open_data(
    config: TrainConfig, frame_shape: tuple[int, int, int]
) -> tuple[TrainingFrames, HeldoutFrames]:
    """The frames to train on and those to judge by.

    Raises:
        ValueError: No dataset there, no held-out episodes, or frames of another shape.
    """
    episodes = EpisodeDataset(config.data, split="train")
    check_frame_shape(config.data, episodes.frame_shape, frame_shape)
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    heldout = load_heldout(
        EpisodeDataset(config.data, split="heldout"), backgrounds, config.heldout_frames
    )
    source = episodes.in_memory() if config.in_memory else episodes
    return TrainingFrames(source, config.balance_scenes), heldout


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    frames: Tensor,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, float]:
    """One step on one batch.

    Args:
        accelerator: Whose precision and process group are used.
        model: The prepared Tokenizer.
        optimizer: Over its parameters.
        frames: uint8 (n, height, width, 3) on the device.
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
        loss = tokenizer_loss(model(frames), config.loss)
    norm = optimizer_step(
        accelerator, loss.total, model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    terms = {name: float(term) for name, term in loss.terms.items()}
    return {
        **terms,
        "loss": float(loss.total.detach()),
        "gradient_norm": norm,
        "learning_rate": rate,
    }


def agreed(accelerator: Accelerator, clock: Clock) -> Progress:
    """The clock after a step; all processes take the first one's, so that all stop together."""
    progress = clock.stepped()
    if accelerator.num_processes == 1:
        return progress
    seconds = torch.tensor([clock.seconds], dtype=torch.float64, device=accelerator.device)
    clock.seconds = float(broadcast(seconds))  # pyright: ignore[reportArgumentType]
    return Progress(clock.step, clock.seconds, clock.share())


def open_folder(accelerator: Accelerator, config: TrainConfig) -> RunFolder:
    """The run's folder; only the first process creates or checks it."""
    path = Path(config.root) / config.env / config.run
    if accelerator.is_main_process:
        RunFolder.open(path, config, FREE_KEYS, overwrite=config.overwrite)
    accelerator.wait_for_everyone()
    return RunFolder(path)


def make_writer(
    accelerator: Accelerator, folder: RunFolder, config: TrainConfig, step: int
) -> MetricWriter:
    """Where figures go: nowhere for all processes but the first."""
    if not accelerator.is_main_process:
        return NullWriter()
    writers: list[MetricWriter] = [JsonlWriter(folder.metrics, step)]
    if config.wandb.mode != "disabled":
        name = f"{config.env}-{config.run}"
        writers.append(WandbWriter(folder.path, config.wandb, name, {"seed": config.seed}))
    return WriterGroup(writers)


def report(
    writer: MetricWriter, bar: tqdm, metrics: Mapping[str, float], progress: Progress, batch: int
) -> None:
    """Logs one step's figures and moves the bar."""
    speed = progress.step * batch / progress.seconds
    writer.write(progress.step, {f"train/{name}": value for name, value in metrics.items()})
    bar.n = 100.0 * progress.share
    bar.set_postfix_str(f", loss {metrics['loss']:.4f}, {speed:.0f} frames/s")


def sample(
    tokenizer: Tokenizer,
    heldout: HeldoutFrames,
    folder: RunFolder,
    writer: MetricWriter,
    step: int,
) -> None:
    """Evaluates on held-out frames; logs the figures, a sheet of reconstructions and the curves."""
    found = evaluate(tokenizer, heldout)
    writer.write(step, {f"heldout/{name}": value for name, value in found.figures().items()})
    picture = folder.samples / f"step_{step:07d}.png"
    with replacing(picture) as partial:
        save_sheet(partial, heldout, found, one_per_scene(heldout, 12))
    writer.write_picture(step, "reconstructions", picture)
    draw_curves(folder.metrics, folder.curves)


def save(
    folder: RunFolder,
    clock: Clock,
    tokenizer: Tokenizer,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> None:
    """Writes the checkpoint, then the export."""
    scaler = accelerator.scaler
    save_checkpoint(
        folder.checkpoint,
        {
            "model": tokenizer.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "step": clock.step,
            "seconds": clock.seconds,
        },
    )
    partial = folder.path / ".export"
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer.save_pretrained(partial)
    replace_folder(partial, folder.export)


def restore(
    folder: RunFolder,
    budget: BudgetConfig,
    tokenizer: Tokenizer,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> Clock:
    """Loads the checkpoint, if there is one, and returns the clock that goes on from it."""
    state = load_checkpoint(folder.checkpoint)
    if state is None:
        return Clock(budget)
    tokenizer.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    return Clock(budget, state["step"], state["seconds"])


if __name__ == "__main__":
    launch(main, TrainConfig, "tokenizer")
