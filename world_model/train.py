"""Trains a world model on the tokens of a trained tokenizer.

    python world_model/train.py env=MontezumaRevenge
    python world_model/train.py env=MontezumaRevenge budget.max_minutes=10 run=longer
    accelerate launch --num_processes 2 world_model/train.py env=MontezumaRevenge

The run lies in runs/<env>/<run>/. The same command continues an interrupted run.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses
import sys

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.added_keys import with_values_of_run
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import launch
from worldtokens.training.optimization import optimizer_step
from worldtokens.training.session import Session
from worldtokens.world_model.config import WorldModelConfig, fitting_merge
from worldtokens.world_model.data.event_windows import WindowSampler
from worldtokens.world_model.data.segments import TokenDataset, TokenSegments
from worldtokens.world_model.data.token_cache import load_tokens, note_another_game
from worldtokens.world_model.evaluation.validation import Heldout
from worldtokens.world_model.imagination.precision import compile_training
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.networks.refinement import random_draft
from worldtokens.world_model.training.calibration import calibrate
from worldtokens.world_model.training.config import TrainConfig
from worldtokens.world_model.training.initial_weights import TokenMatch, start_from
from worldtokens.world_model.training.losses import choose_reward_values, world_model_loss
from worldtokens.world_model.training.optimizers import MuonAdamW
from worldtokens.world_model.training.scheduled_sampling import make_context
from worldtokens.world_model.training.token_matching import check_grids, match_tokens
from worldtokens.world_model.training.token_sampling import sample_tokens


def main(config: TrainConfig) -> None:
    """Trains until the budget is spent; continues where an earlier call stopped."""
    config = with_values_of_run(config)
    accelerator = make_accelerator(config.mixed_precision)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(accelerator.device)
    if accelerator.is_main_process:
        note_another_game(tokenizer, config.env)
    config = with_fitting_merge(config, tokenizer.grid)
    with accelerator.main_process_first():
        data = load_tokens(EpisodeDataset(config.data, "train"), tokenizer)
        heldout = Heldout(
            config.data, tokenizer, config.heldout_segments, config.segment, config.batch_size,
            config.model.context,
        )  # fmt: skip
    session = Session(accelerator, config)
    torch.manual_seed(config.seed)
    saved_config = session.saved["config"] if session.saved is not None else None
    world_model = build_model(config, tokenizer, data, heldout.dataset, saved_config)
    if config.init_from is not None and saved_config is None:
        with accelerator.main_process_first():
            match = match_of_tokenizers(config, tokenizer, data)
        start_from(world_model, config.init_from, match)
    compile_training(world_model.network, config.compile)
    optimizer = MuonAdamW(world_model, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(world_model, optimizer)
    num_frames = sum(len(episode.tokens) for episode in data.episodes)
    windows = WindowSampler(data, config.segment, config.windows)
    session.begin(
        {"model": world_model, "optimizer": optimizer, **windows.parts},
        unit="frames",
        data=f"{num_frames:,} frames of {len(data.episodes):,} episodes of {config.data}",
    )
    description = {"config": dataclasses.asdict(world_model.config)}
    frames = config.batch_size * (config.segment - 1)
    for progress, rng in session.steps():
        segments, drawn = windows.draw(config.batch_size, rng)
        segments = segments.to(accelerator.device)
        metrics, losses = train_step(accelerator, model, optimizer, segments, config, progress)
        windows.remember(drawn, losses)
        session.log(metrics, shown="nats_per_frame", units=frames)
        if session.is_evaluation_due:
            sample(session, world_model, heldout)
        if session.is_checkpoint_due:
            session.save(world_model, description)
    finish = (lambda: calibrate(world_model, heldout.tokens)) if config.calibrate else None
    session.end(world_model, description, finish)


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    segments: TokenSegments,
    config: TrainConfig,
    progress: Progress,
) -> tuple[dict[str, float], Tensor]:
    """Trains one step on one batch.

    Args:
        accelerator: Whose precision and process group are used.
        model: The prepared world model.
        optimizer: Over its parameters.
        segments: The batch, on the device.
        config: Learning rate and clipping.
        progress: Where the run stands.

    Returns:
        The terms of the loss, nats per frame, the gradient norm and the learning rate, by name;
        and the token loss of each window, float32 (B,).

    Raises:
        FloatingPointError: The loss is not finite; nothing was changed.
    """
    model.train()
    world_model = accelerator.unwrap_model(model)
    rate = config.schedule.rate(config.learning_rate, progress.share)
    with accelerator.autocast():
        context = make_context(world_model, segments, config.context)
        share = None if world_model.config.stay_gate else config.unchanged_sample_prob
        chosen = sample_tokens(segments, share, context, config.foreground_weight)
        draft = None
        if world_model.config.refine_layers:
            draft = random_draft(segments.tokens[:, 1:], chosen.predict_mask, chosen.hard)
        prediction = model(
            context, segments.actions, chosen.predict_mask, draft,
            if_changed=world_model.config.stay_gate,
        )  # fmt: skip
    loss = world_model_loss(prediction, segments, world_model.reward_values, chosen, draft)
    norm = optimizer_step(
        accelerator, loss.total(config.outcome_weight), model, optimizer, learning_rate=rate,
        max_gradient_norm=config.max_gradient_norm, step=progress.step,
    )  # fmt: skip
    tokens_per_frame = world_model.config.tokens_per_frame
    metrics = {
        "nats_per_frame": float(loss.tokens.detach()) * tokens_per_frame,
        "reward_loss": float(loss.rewards.detach()),
        "end_loss": float(loss.ends.detach()),
        "gradient_norm": norm,
        "learning_rate": rate,
    }
    for name, term in (("refined_loss", loss.refined), ("life_loss", loss.lives_lost)):
        metrics |= {} if term is None else {name: float(term.detach())}
    if loss.latents is not None:
        metrics["latent_nats"] = float(loss.latents.detach()) * tokens_per_frame
    assert loss.window_tokens is not None
    return metrics, loss.window_tokens


def sample(session: Session, model: WorldModel, heldout: Heldout) -> None:
    """Logs the held-out metrics, short dreams as a picture, and the curves."""
    picture = session.sample_path()
    with session.accelerator.autocast():
        metrics = heldout.metrics(model)
        heldout.draw(model, picture)
    session.write_evaluation(metrics, "dreams", picture)


def with_fitting_merge(config: TrainConfig, grid: tuple[int, int]) -> TrainConfig:
    """Returns the config with a `merge` that divides the grid of tokens; a note says if it is new.

    Args:
        config: Of the command line.
        grid: Rows and columns of a frame's tokens.
    """
    merge = fitting_merge(config.model.merge, grid)
    if merge == config.model.merge:
        return config
    print(
        f"note: model.merge={config.model.merge} does not divide the {grid[0]} x {grid[1]} tokens "
        f"of a frame; this run has model.merge={merge}",
        file=sys.stderr,
    )
    return dataclasses.replace(config, model=dataclasses.replace(config.model, merge=merge))


def match_of_tokenizers(
    config: TrainConfig, tokenizer: Tokenizer, data: TokenDataset
) -> TokenMatch | None:
    """Matches the tokens of `init_tokenizer` with those of the run; None where there is none."""
    if config.init_tokenizer is None:
        return None
    other = Tokenizer.from_pretrained(config.init_tokenizer).to(tokenizer.device)
    check_grids(tokenizer, other)
    its = load_tokens(EpisodeDataset(config.data, "train"), other)
    return TokenMatch(other.fingerprint, match_tokens(data, its, tokenizer.vocab_size))


def build_model(
    config: TrainConfig,
    tokenizer: Tokenizer,
    data: TokenDataset,
    dataset: EpisodeDataset,
    saved_config: dict | None,
) -> WorldModel:
    """Builds the model for this tokenizer and dataset, or that of the checkpoint, untrained.

    Raises:
        ValueError: The checkpoint's model was trained on another tokenizer, or for other actions.
    """
    if saved_config is not None:
        # Checkpoints of earlier versions lack fields, too.
        model = WorldModel(WorldModelConfig(**{**WorldModel.kind.legacy_values, **saved_config}))
        model.check_tokenizer(tokenizer.fingerprint)
        if model.config.num_actions != dataset.num_actions:
            raise ValueError(
                f"data={config.data}: this run was trained on {model.config.num_actions} actions, "
                f"the dataset has {dataset.num_actions}; choose another folder with run=NAME"
            )
        return model
    all_tokens = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    codes = tokenizer.embed(all_tokens.expand(-1, tokenizer.tokens_per_frame))[:, 0].cpu()
    model = WorldModel(
        WorldModelConfig(
            **dataclasses.asdict(config.model),
            tokenizer=tokenizer.fingerprint,
            game=dataset.game,
            vocab_size=tokenizer.vocab_size,
            code_dim=codes.shape[1] if config.model.codes else 0,
            grid=tokenizer.grid,
            num_actions=dataset.num_actions,
            reward_values=choose_reward_values(
                np.concatenate([episode.rewards for episode in data.episodes])
            ),
        )
    )
    if config.model.codes:
        model.network.set_codes(codes)
    return model


def cli() -> None:
    """Runs the command line."""
    launch(main, TrainConfig, "world_model")


if __name__ == "__main__":
    cli()
