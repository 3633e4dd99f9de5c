"""Trains a prior over single frames on the tokens of a trained tokenizer.

    python world_model/train_prior.py env=MontezumaRevenge
    python world_model/train_prior.py env=MontezumaRevenge condition=previous run=next_frame
    python world_model/train_prior.py env=Flowers data=photos tokenizer=runs/Flowers/tokenizer

The data are a dataset of episodes, a folder of images or a .npy file of them. The run lies in
runs/<env>/<run>/. The same command continues an interrupted run.
"""

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from worldtokens.common.devices import native_autocast_dtype
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress, learning_rate
from worldtokens.training.command_line import launch
from worldtokens.training.optimization import optimizer_step
from worldtokens.training.session import Session, SessionConfig
from worldtokens.world_model.evaluation.plots import save_strips
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.optimizers import MuonAdamW
from worldtokens.world_model.prior.config import CONDITIONS, FramePriorConfig, PriorArchitecture
from worldtokens.world_model.prior.data import (
    PriorBatch,
    PriorDataConfig,
    PriorFrames,
    load_prior_frames,
)
from worldtokens.world_model.prior.model import ANY_CLASS, FramePrior

PICTURES = 8


@dataclass
class TrainPriorConfig(SessionConfig):
    """The keys of configs/prior.yaml beside those of every session.

    Attributes:
        data: See PriorDataConfig, as the next five.
        image_aspect: How images get the frame's proportions.
        classes: What the frames are told apart by.
        condition: What other image is given.
        condition_data: Where the user's own other images are.
        low_resolution: By what factor low_resolution shrinks.
        max_frames: At most so many frames of each split.
        tokenizer: Whose tokens to train on: a run folder, an export folder or a Hub repo id.
        class_dropout: Share of frames whose class is withheld, so that frames of any class can be
            asked for.
        batch_size: Frames per step and process.
        learning_rate: Its peak.
        weight_decay: Of Muon, on the transformer's matrices.
        max_gradient_norm: Gradients are scaled down to this norm.
        mixed_precision: auto, no, bf16 or fp16.
        heldout_frames: Held-out frames that an evaluation looks at.
        model: Architecture.
    """

    data: str
    image_aspect: str
    classes: str
    condition: str
    condition_data: str | None
    low_resolution: int
    max_frames: int
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
        """Checks the numbers that nobody else checks."""
        super().__post_init__()
        positive = ("batch_size", "learning_rate", "max_gradient_norm", "heldout_frames")
        for name in (*positive, "max_frames", "low_resolution"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.class_dropout <= 1:
            raise ValueError(f"class_dropout: expected a share, got {self.class_dropout}")
        if self.condition not in CONDITIONS:
            raise ValueError(f"condition: expected one of {CONDITIONS}, got {self.condition!r}")

    @property
    def frames(self) -> PriorDataConfig:
        """The keys about the data."""
        names = [field.name for field in dataclasses.fields(PriorDataConfig)]
        return PriorDataConfig(**{name: getattr(self, name) for name in names})


def main(config: TrainPriorConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    accelerator = make_accelerator(config.mixed_precision, native_autocast_dtype)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(accelerator.device)
    with accelerator.main_process_first():
        data = load_prior_frames(config.frames, tokenizer, "train")
        heldout = load_prior_frames(config.frames, tokenizer, "heldout")
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
    made_of = {"config": dataclasses.asdict(prior.config)}
    for progress, rng in session.steps():
        batch = data.draw(config.batch_size, rng).to(accelerator.device)
        metrics = train_step(accelerator, model, optimizer, batch, config, progress)
        session.log(metrics, shown="nats_per_frame", units=config.batch_size)
        if session.is_evaluation_due:
            sample(session, prior, tokenizer, heldout, config)
        if session.is_checkpoint_due:
            session.save(prior, made_of)
    session.end(prior, made_of)


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: PriorBatch,
    config: TrainPriorConfig,
    progress: Progress,
) -> dict[str, float]:
    """One step on one batch.

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
    rate = learning_rate(config.learning_rate, progress.share)
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
    """What a frame costs under its class and other image, in nats, over evenly chosen frames."""
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


def sample(
    session: Session,
    prior: FramePrior,
    tokenizer: Tokenizer,
    heldout: PriorFrames,
    config: TrainPriorConfig,
) -> None:
    """Logs the held-out nats, frames drawn beside held-out ones as a picture, and the curves."""
    prior.eval()
    truth = heldout.pick(heldout.spread(PICTURES)).to(prior.device)
    generators = seeded_generators(config.seed, len(truth.tokens))
    with session.accelerator.autocast():
        nats = nats_per_frame(prior, heldout, config.heldout_frames, config.batch_size)
        drawn = prior.sample(truth.classes, truth.condition, generator=generators)
    rows = {"held out": truth.tokens, "condition": truth.condition, "drawn": drawn}
    shown = {name: tokens for name, tokens in rows.items() if tokens is not None}
    picture = session.sample_path()
    frames = [tokenizer.decode(tokens).cpu().numpy() for tokens in shown.values()]
    save_strips(picture, frames, list(shown), [""] * len(drawn))
    session.write_evaluation({"nats_per_frame": nats}, "frames", picture)


def build_prior(
    config: TrainPriorConfig, tokenizer: Tokenizer, data: PriorFrames, saved_config: dict | None
) -> FramePrior:
    """The prior for this tokenizer and data, or that of the checkpoint, without its weights.

    Raises:
        ValueError: The checkpoint's prior was trained on another tokenizer or for other classes.
    """
    if saved_config is not None:
        prior = FramePrior(FramePriorConfig(**saved_config))
        prior.check_tokenizer(tokenizer.fingerprint)
        if prior.config.classes != data.names:
            raise ValueError(
                f"data={config.data}: this run was trained on {len(prior.config.classes)} classes, "
                f"the data now have {len(data.names)}; choose another folder with run=NAME"
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


if __name__ == "__main__":
    launch(main, TrainPriorConfig, "prior")
