"""Speeds of the default world model: one training step, and dreams decoded to pixels."""

from collections.abc import Callable

import torch
from work import PeerWork, Work

from tokenizer import Tokenizer
from tokenizer.precision import native_autocast_dtype
from tokenizer.train import TrainConfig as TokenizerTrainConfig
from training.accelerator import make_accelerator
from training.budget import Progress
from training.command_line import compose
from world_model import WorldModel, WorldModelConfig
from world_model.optimizers import MuonAdamW
from world_model.segments import TokenSegments
from world_model.train import TrainConfig, train_step

NUM_ACTIONS = 18
HORIZON = 10
IRIS_SEGMENTS = 8


def world_model_works(device: str) -> list[Work]:
    """The rows to measure, with fresh weights: speed does not depend on them."""
    config = compose(TrainConfig, "world_model", ["env=MontezumaRevenge"])
    tokenizer_config = compose(TokenizerTrainConfig, "tokenizer", ["env=MontezumaRevenge"])
    accelerator = make_accelerator(
        config.mixed_precision, native_autocast_dtype, cpu=device == "cpu"
    )
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    torch.manual_seed(0)
    tokenizer = Tokenizer(tokenizer_config.model).to(device).eval()
    code = tokenizer.embed(
        torch.zeros(tokenizer.tokens_per_frame, dtype=torch.int64, device=device)
    )
    model_config = WorldModelConfig(
        **vars(config.model),
        vocab_size=tokenizer.vocab_size,
        code_dim=code.shape[-1] if config.model.codes else 0,
        grid=tokenizer.grid,
        num_actions=NUM_ACTIONS,
    )
    train, frames = training_call(WorldModel(model_config), config)
    works = [
        Work("train the world model", train, frames, device, dtype,
             PeerWork("train_world_model", IRIS_SEGMENTS)),
    ]  # fmt: skip
    dreamer = WorldModel(model_config).to(device).eval()
    for batch in (1, 8, 64):
        call = dream_call(dreamer, tokenizer, batch, device)
        peer = PeerWork("imagine", batch)
        name = f"imagine and decode, batch {batch}"
        works.append(Work(name, call, batch * HORIZON, device, dtype, peer))
    return works


def training_call(world_model: WorldModel, config: TrainConfig) -> tuple[Callable[[], None], int]:
    """One training step on random tokens, and the frames that it predicts."""
    shape, made = (config.batch_size, config.segment), world_model.config
    accelerator = make_accelerator(config.mixed_precision, native_autocast_dtype)
    optimizer = MuonAdamW(world_model, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(world_model, optimizer)
    steps = (shape[0], shape[1] - 1)
    segments = TokenSegments(
        tokens=torch.randint(made.vocab_size, (*shape, made.tokens_per_frame)),
        actions=torch.randint(made.num_actions, steps),
        rewards=torch.zeros(steps),
        ends=torch.zeros(steps, dtype=torch.bool),
        truncated=torch.zeros(steps, dtype=torch.bool),
        mask=torch.ones(shape, dtype=torch.bool),
    ).to(accelerator.device)
    progress = Progress(step=0, seconds=0.0, share=0.5)

    def step() -> None:
        train_step(accelerator, model, optimizer, segments, config, progress)

    return step, steps[0] * steps[1]


def dream_call(
    model: WorldModel, tokenizer: Tokenizer, batch: int, device: str
) -> Callable[[], torch.Tensor]:
    """One dream of HORIZON frames from a whole context, decoded to frames."""
    made = model.config
    context = torch.randint(
        made.vocab_size, (batch, made.context, made.tokens_per_frame), device=device
    )
    before = torch.randint(made.num_actions, (batch, made.context - 1), device=device)
    actions = torch.randint(made.num_actions, (batch, HORIZON), device=device)

    def dream() -> torch.Tensor:
        return tokenizer.decode(model.imagine(context, before, actions).tokens)

    return dream
