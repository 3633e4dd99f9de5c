"""Trains a world model on the tokens of a trained tokenizer.

    python world_model/train.py env=MontezumaRevenge
    python world_model/train.py env=MontezumaRevenge budget.max_minutes=10 run=longer
    accelerate launch --num_processes 2 world_model/train.py env=MontezumaRevenge

The run lies in runs/<env>/<run>/. The same command continues an interrupted run.
"""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn
from tqdm import tqdm

from collect import EpisodeDataset
from tokenizer import Tokenizer
from training.accelerator import make_accelerator
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
from world_model.configuration import Architecture, WorldModelConfig
from world_model.heldout import Heldout
from world_model.losses import choose_reward_values, world_model_loss
from world_model.model import WorldModel
from world_model.optimizers import MuonAdamW
from world_model.segments import TokenDataset, TokenSegments
from world_model.token_cache import load_tokens

FREE_KEYS = ("wandb", "overwrite", "log_every", "checkpoint_every_minutes", "evaluations")


@dataclass
class TrainConfig:
    """The keys of configs/world_model.yaml.

    Attributes:
        env: The game's usual name; names the folders.
        data: The dataset's folder.
        root: Folder of all runs.
        run: Name of this run's folder in root/env/.
        tokenizer: Whose tokens to train on: a run folder, an export folder or a Hub repo id.
        overwrite: Delete an earlier run of that name.
        seed: Of the weights and the batches.
        budget: When to stop.
        batch_size: Segments per step and process.
        segment: Frames of a segment.
        learning_rate: Its peak.
        weight_decay: Of Muon, on the transformer's matrices.
        max_gradient_norm: Gradients are scaled down to this norm.
        mixed_precision: auto, no, bf16 or fp16.
        log_every: Steps between lines in metrics.jsonl.
        evaluations: Evaluations over the budget, evenly spaced.
        heldout_segments: Held-out segments that an evaluation looks at.
        checkpoint_every_minutes: Wall-clock minutes between checkpoints.
        wandb: Copy of the figures to Weights & Biases.
        model: Architecture.
    """

    env: str
    data: str
    root: str
    run: str
    tokenizer: str
    overwrite: bool
    seed: int
    budget: BudgetConfig
    batch_size: int
    segment: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    mixed_precision: str
    log_every: int
    evaluations: int
    heldout_segments: int
    checkpoint_every_minutes: float
    wandb: WandbConfig
    model: Architecture

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("batch_size", "learning_rate", "max_gradient_norm", "log_every"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if self.segment < 2:
            raise ValueError(f"segment: expected at least 2 frames, got {self.segment}")
        if self.model.positions == "absolute" and self.segment > self.model.context:
            raise ValueError(
                f"segment: expected at most model.context={self.model.context} frames with "
                f"absolute positions, got {self.segment}"
            )


def main(config: TrainConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    accelerator = make_accelerator(config.mixed_precision)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(accelerator.device)
    with accelerator.main_process_first():
        data = load_tokens(EpisodeDataset(config.data, "train"), tokenizer)
        heldout = Heldout(
            config.data, tokenizer, config.heldout_segments, config.segment, config.batch_size,
            config.model.context,
        )  # fmt: skip
    folder = open_folder(accelerator, config)
    state = load_checkpoint(folder.checkpoint)
    torch.manual_seed(config.seed)
    world_model = build_model(config, tokenizer, data, heldout.dataset, state)
    optimizer = MuonAdamW(world_model, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(world_model, optimizer)
    clock = restore(state, config.budget, world_model, optimizer, accelerator)
    bar = tqdm(
        total=100.0, initial=100.0 * clock.share(), desc="world model",
        disable=not accelerator.is_main_process,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
    )  # fmt: skip
    frames = config.batch_size * (config.segment - 1) * accelerator.num_processes
    saved = time.monotonic()
    with bar, closing(make_writer(accelerator, folder, config, clock.step)) as writer:
        for progress in clock.steps():
            seed_torch(config.seed, accelerator.process_index, progress.step)
            rng = step_rng(config.seed, accelerator.process_index, progress.step)
            segments = data.sample(config.batch_size, config.segment, rng).to(accelerator.device)
            metrics = train_step(accelerator, model, optimizer, segments, config, progress)
            before, progress = progress, agreed(accelerator, clock)
            if progress.step % config.log_every == 0 or progress.share >= 1.0:
                report(writer, bar, metrics, progress, frames)
            if not accelerator.is_main_process:
                continue
            if int(progress.share * config.evaluations) > int(before.share * config.evaluations):
                sample(world_model, heldout, accelerator, folder, writer, progress.step)
            if time.monotonic() - saved > 60 * config.checkpoint_every_minutes:
                save(folder, clock, world_model, optimizer, accelerator)
                saved = time.monotonic()
    if accelerator.is_main_process:
        save(folder, clock, world_model, optimizer, accelerator)
        draw_curves(folder.metrics, folder.curves)
        print(f"world model: {folder.export} after {clock.step} steps, {clock.seconds:.0f} s")
    accelerator.end_training()


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    segments: TokenSegments,
    config: TrainConfig,
    progress: Progress,
) -> dict[str, float]:
    """One step on one batch.

    Args:
        accelerator: Whose precision and process group are used.
        model: The prepared world model.
        optimizer: Over its parameters.
        segments: The batch, on the device.
        config: Learning rate and clipping.
        progress: Where the run stands.

    Returns:
        The terms of the loss, nats per frame, the gradient norm and the learning rate, by name.

    Raises:
        FloatingPointError: The loss is not finite; nothing was changed.
    """
    model.train()
    world_model = accelerator.unwrap_model(model)
    rate = learning_rate(config.learning_rate, progress.share)
    with accelerator.autocast():
        prediction = model(segments.tokens, segments.actions)
    loss = world_model_loss(prediction, segments, world_model.reward_values)
    norm = optimizer_step(
        accelerator, loss.total, model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    return {
        "nats_per_frame": float(loss.tokens.detach()) * world_model.config.tokens_per_frame,
        "reward_loss": float(loss.rewards.detach()),
        "end_loss": float(loss.ends.detach()),
        "gradient_norm": norm,
        "learning_rate": rate,
    }


def sample(
    model: WorldModel,
    heldout: Heldout,
    accelerator: Accelerator,
    folder: RunFolder,
    writer: MetricWriter,
    step: int,
) -> None:
    """Logs the held-out figures, short dreams as a picture, and the curves."""
    picture = folder.samples / f"step_{step:07d}.png"
    with accelerator.autocast():
        figures = heldout.figures(model)
        heldout.draw(model, picture)
    writer.write(step, {f"heldout/{name}": value for name, value in figures.items()})
    writer.write_picture(step, "dreams", picture)
    draw_curves(folder.metrics, folder.curves)


def build_model(
    config: TrainConfig,
    tokenizer: Tokenizer,
    data: TokenDataset,
    dataset: EpisodeDataset,
    state: dict | None,
) -> WorldModel:
    """The model for this tokenizer and dataset, or that of the checkpoint, without its weights.

    Raises:
        ValueError: The checkpoint's model was trained on another tokenizer, or for other actions.
    """
    if state is not None:
        model = WorldModel(WorldModelConfig(**state["config"]))
        model.check_tokenizer(tokenizer.fingerprint)
        if model.config.num_actions != dataset.num_actions:
            raise ValueError(
                f"data={config.data}: this run was trained on {model.config.num_actions} actions, "
                f"the dataset has {dataset.num_actions}; choose another folder with run=NAME"
            )
        return model
    model = WorldModel(
        WorldModelConfig(
            **dataclasses.asdict(config.model),
            tokenizer=tokenizer.fingerprint,
            game=dataset.game,
            vocab_size=tokenizer.vocab_size,
            grid=tokenizer.grid,
            num_actions=dataset.num_actions,
            reward_values=choose_reward_values(
                np.concatenate([episode.rewards for episode in data.episodes])
            ),
        )
    )
    codes = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    model.embed_codes(tokenizer.embed(codes.expand(-1, tokenizer.tokens_per_frame))[:, 0].cpu())
    return model


def agreed(accelerator: Accelerator, clock: Clock) -> Progress:
    """The clock after a step; all processes take the first one's time, to stop together."""
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
    writer: MetricWriter, bar: tqdm, metrics: Mapping[str, float], progress: Progress, frames: int
) -> None:
    """Logs one step's figures and moves the bar."""
    speed = progress.step * frames / progress.seconds
    writer.write(progress.step, {f"train/{name}": value for name, value in metrics.items()})
    bar.n = 100.0 * progress.share
    bar.set_postfix_str(f", {metrics['nats_per_frame']:.2f} nats/frame, {speed:.0f} frames/s")


def save(
    folder: RunFolder,
    clock: Clock,
    model: WorldModel,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> None:
    """Writes the checkpoint, then the export."""
    scaler = accelerator.scaler
    save_checkpoint(
        folder.checkpoint,
        {
            "config": dataclasses.asdict(model.config),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "step": clock.step,
            "seconds": clock.seconds,
        },
    )
    partial = folder.path / ".export"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    replace_folder(partial, folder.export)


def restore(
    state: dict | None,
    budget: BudgetConfig,
    model: WorldModel,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> Clock:
    """Loads a checkpoint's state, if there is one, and returns the clock that goes on from it."""
    if state is None:
        return Clock(budget)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    return Clock(budget, state["step"], state["seconds"])


if __name__ == "__main__":
    launch(main, TrainConfig, "world_model")
