"""Trains a prior over single frames on the tokens of a trained tokenizer.

    python world_model/train_prior.py env=MontezumaRevenge
    python world_model/train_prior.py env=MontezumaRevenge condition=previous run=next_frame
    python world_model/train_prior.py env=Flowers data=photos tokenizer=runs/Flowers/tokenizer

The data are a dataset of episodes, a folder of images or a .npy file of them. The run lies in
runs/<env>/<run>/. The same command continues an interrupted run.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from worldtokens.common.checks import (
    check_at_least,
    check_number,
    check_positive,
    check_positive_or_infinite,
    check_probability,
)
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import launch
from worldtokens.training.optimization import optimizer_step
from worldtokens.training.session import Session, SessionConfig
from worldtokens.world_model.data.token_cache import note_another_game
from worldtokens.world_model.evaluation.plots import save_clip_grid
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.prior.config import CONDITIONS, FramePriorConfig, PriorArchitecture
from worldtokens.world_model.prior.data import (
    PriorBatch,
    PriorDataConfig,
    PriorFrames,
    load_prior_frames,
)
from worldtokens.world_model.prior.model import ANY_CLASS, FramePrior
from worldtokens.world_model.training.optimizers import MuonAdamW

PICTURES = 8


@dataclass
class TrainPriorConfig(SessionConfig, PriorDataConfig):
    """The keys of configs/prior.yaml beside those of every session and those of the data.

    Attributes:
        tokenizer: Whose tokens to train on: a run folder, an export folder or a Hub repo id.
        class_dropout: Share of frames whose class is withheld, so that the prior can also draw
            frames of any class.
        batch_size: Frames per step and process.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay of Muon, on the transformer's matrices.
        max_gradient_norm: Gradients are scaled down to this norm; inf for no limit.
        mixed_precision: auto, no, bf16 or fp16.
        heldout_frames: Held-out frames that an evaluation looks at.
        model: Architecture.
    """

    tokenizer: str
    class_dropout: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    mixed_precision: str
    heldout_frames: int
    model: PriorArchitecture

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        super().__post_init__()
        check_at_least(1, batch_size=self.batch_size, heldout_frames=self.heldout_frames)
        check_at_least(1, max_frames=self.max_frames, low_resolution=self.low_resolution)
        check_positive(learning_rate=self.learning_rate)
        check_positive_or_infinite(max_gradient_norm=self.max_gradient_norm)
        check_number(0, weight_decay=self.weight_decay)
        check_probability(class_dropout=self.class_dropout)
        if self.condition not in CONDITIONS:
            raise ValueError(f"condition: expected one of {CONDITIONS}, got {self.condition!r}")


def main(config: TrainPriorConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    accelerator = make_accelerator(config.mixed_precision)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(accelerator.device)
    if accelerator.is_main_process:
        note_another_game(tokenizer, config.env)
    with accelerator.main_process_first():
        data = load_prior_frames(config, tokenizer, "train")
        heldout = load_prior_frames(config, tokenizer, "heldout")
    session = Session(accelerator, config)
    torch.manual_seed(config.seed)
    saved_config = session.saved["config"] if session.saved is not None else None
    prior = build_prior(config, tokenizer, data, saved_config)
    optimizer = MuonAdamW(prior, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(prior, optimizer)
    session.begin(
        {"model": prior, "optimizer": optimizer},
        unit="frames",
        data=f"{len(data.tokens):,} frames of {config.data}",
    )
    extra = {"config": dataclasses.asdict(prior.config)}
    for progress, rng in session.steps():
        batch = data.draw(config.batch_size, rng).to(accelerator.device)
        metrics = train_step(accelerator, model, optimizer, batch, config, progress)
        session.log(metrics, shown="nats_per_frame", units=config.batch_size)
        if session.is_evaluation_due:
            evaluate(session, prior, tokenizer, heldout, config)
        if session.is_checkpoint_due:
            session.save(prior, extra)
    session.end(prior, extra)


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: PriorBatch,
    config: TrainPriorConfig,
    progress: Progress,
) -> dict[str, float]:
    """Takes one step on one batch.

    Args:
        accelerator: Whose precision and process group are used.
        model: The prepared prior.
        optimizer: Over its parameters.
        batch: On the device.
        config: Learning rate, clipping and the share of classes withheld.
        progress: Where the run stands.

    Returns:
        Nats per frame, the gradient norm and the learning rate, by name.

    Raises:
        FloatingPointError: The loss is not finite; nothing was changed.
    """
    model.train()
    rate = config.schedule.rate(config.learning_rate, progress.share)
    withheld = torch.rand(len(batch.classes), device=batch.classes.device) < config.class_dropout
    classes = torch.where(withheld, ANY_CLASS, batch.classes)
    with accelerator.autocast():
        logits = model(batch.tokens, classes, batch.condition)
    loss = F.cross_entropy(logits.mT, batch.tokens)
    norm = optimizer_step(
        accelerator, loss, model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    nats = float(loss.detach()) * batch.tokens.shape[1]
    return {"nats_per_frame": nats, "gradient_norm": norm, "learning_rate": rate}


@torch.no_grad()
def nats_per_frame(prior: FramePrior, frames: PriorFrames, count: int, batch_size: int) -> float:
    """Returns the nats per frame given its class and other image, over evenly chosen frames."""
    was_training = prior.training
    prior.eval()
    total, seen = 0.0, 0
    for batch in frames.batches(count, batch_size):
        batch = batch.to(prior.device)
        logits = prior(batch.tokens, batch.classes, batch.condition)
        total += float(F.cross_entropy(logits.mT, batch.tokens, reduction="sum"))
        seen += len(batch.tokens)
    prior.train(was_training)
    return total / seen


def evaluate(
    session: Session,
    prior: FramePrior,
    tokenizer: Tokenizer,
    heldout: PriorFrames,
    config: TrainPriorConfig,
) -> None:
    """Logs the held-out nats per frame, and a picture of drawn frames beside held-out ones."""
    prior.eval()
    truth = heldout.pick(heldout.spread(PICTURES)).to(prior.device)
    generator = seeded_generators(config.seed, len(truth.tokens))
    with session.accelerator.autocast():
        nats = nats_per_frame(prior, heldout, config.heldout_frames, config.batch_size)
        drawn = prior.sample(truth.classes, truth.condition, generator=generator)
    rows = {"held out": truth.tokens, "condition": truth.condition, "drawn": drawn}
    rows = {name: tokens for name, tokens in rows.items() if tokens is not None}
    picture = session.sample_path()
    frames = [tokenizer.decode(tokens).cpu().numpy() for tokens in rows.values()]
    save_clip_grid(picture, frames, list(rows), [""] * len(drawn))
    session.write_evaluation({"nats_per_frame": nats}, "frames", picture)


def build_prior(
    config: TrainPriorConfig, tokenizer: Tokenizer, data: PriorFrames, saved_config: dict | None
) -> FramePrior:
    """Builds the prior for this tokenizer and data, or as in the checkpoint; loads no weights.

    Raises:
        ValueError: The checkpoint's prior was trained on another tokenizer or for other classes.
    """
    if saved_config is not None:
        prior = FramePrior(FramePriorConfig(**saved_config))
        prior.check_tokenizer(tokenizer.fingerprint)
        if prior.config.classes != data.names:
            raise ValueError(
                f"data: expected the {len(prior.config.classes)} classes that this run was trained "
                f"on, got {len(data.names)} in {config.data}; choose another folder with run=NAME"
            )
        return prior
    prior = FramePrior(
        FramePriorConfig(
            **dataclasses.asdict(config.model),
            tokenizer=tokenizer.fingerprint,
            vocab_size=tokenizer.vocab_size,
            grid=tokenizer.grid,
            classes=data.names,
            condition=config.condition,
            low_resolution=config.low_resolution,
        )
    )
    every = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    prior.set_codes(tokenizer.embed(every.expand(-1, tokenizer.tokens_per_frame))[:, 0].cpu())
    return prior


def cli() -> None:
    """Runs the command line."""
    launch(main, TrainPriorConfig, "prior")


if __name__ == "__main__":
    cli()
