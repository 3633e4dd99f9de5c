"""Rows of benchmarks/speed.py: train world models, imagine frames, decode them to pixels.

The default model computes its output layer only for tokens that may change, so that its speed
depends on how many do: its fresh weights are given the odds with which a token of the game stays
as it was. The rows of the preset `iris` have IRIS's architecture and sizes, but our code: what they
gain is what the code gains. With fresh weights a token is never the one of the frame before, so
these rows draw token by token; the last rows are of speculative decoding, with tokens that stay as
often as those of the game.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from work import PeerWork, Work

from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.train import TrainConfig as TokenizerTrainConfig
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import compose
from worldtokens.world_model import Sampling, WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.train import train_step
from worldtokens.world_model.training.config import TrainConfig
from worldtokens.world_model.training.optimizers import MuonAdamW

NUM_ACTIONS = 18
IRIS_SEGMENTS = 8
# Share of the tokens of Montezuma's Revenge that change per frame (demo dataset: 0.06 to 0.07).
CHANGING_TOKENS = 0.07
# The same for 4 x 4 tokens: squares of four of the default's tokens, any of which changes.
CHANGING_TOKENS_IRIS = 0.19


@dataclass(frozen=True)
class Design:
    """A world model, its tokenizer, and the rows to measure.

    Attributes:
        name: Ends the names of its rows.
        world_model: Overrides of configs/world_model.yaml.
        tokenizer: Overrides of configs/tokenizer.yaml.
        batches: Numbers of dreams at once, a row each.
        bare: Whether there are also rows without decoding to pixels.
        unchanged: Probability that a drawn token is the one of the frame before, for models with
            the copy bonus; None leaves fresh weights as they are.
        speculative: Whether dreams use speculative decoding. Such a design has no training row.
    """

    name: str
    world_model: tuple[str, ...]
    tokenizer: tuple[str, ...]
    batches: tuple[int, ...]
    bare: bool
    unchanged: float | None = None
    speculative: bool = False


IRIS = ("world_model_preset=iris", f"batch_size={IRIS_SEGMENTS}")
DESIGNS = (
    Design("", (), (), (1, 8, 64), True, 1 - CHANGING_TOKENS),
    Design(
        ", IRIS's architecture",
        IRIS,
        ("tokenizer_preset=iris",),
        (1, 64),
        True,
    ),
    Design(
        ", IRIS's architecture, speculative",
        (*IRIS, "model.copies=1"),
        ("tokenizer_preset=iris",),
        (1,),
        True,
        1 - CHANGING_TOKENS_IRIS,
        True,
    ),
)


def world_model_works(device: str, designs: tuple[Design, ...] = DESIGNS) -> list[Work]:
    """Returns the rows to measure, with fresh weights; see the top of this file."""
    works = []
    for design in designs:
        config = compose(TrainConfig, "world_model", ["env=MontezumaRevenge", *design.world_model])
        tokenizer = make_tokenizer(design, device)
        model_config = make_config(config, tokenizer)
        accelerator = make_accelerator(config.mixed_precision, cpu=device == "cpu")
        dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
        if not design.speculative:
            train, frames = training_call(WorldModel(model_config), config)
            peer = PeerWork("train_world_model", IRIS_SEGMENTS)
            works.append(
                Work(f"train the world model{design.name}", train, frames, device, dtype, peer)
            )
        model = make_model(model_config, design).to(device)
        for batch in design.batches:
            name, peer = (
                f"imagine and decode{design.name}, batch {batch}",
                PeerWork("imagine", batch),
            )
            call = dream_call(model, batch, tokenizer)
            works.append(Work(name, call, batch, device, dtype, peer))
        for batch in design.batches if design.bare else ():
            name, peer = (
                f"imagine tokens{design.name}, batch {batch}",
                PeerWork("imagine_tokens", batch),
            )
            works.append(Work(name, dream_call(model, batch), batch, device, dtype, peer))
    return works


def make_tokenizer(design: Design, device: str) -> Tokenizer:
    """Returns the tokenizer of a design, untrained."""
    overrides = ["env=MontezumaRevenge", *design.tokenizer]
    torch.manual_seed(0)
    return Tokenizer(compose(TokenizerTrainConfig, "tokenizer", overrides).model).to(device).eval()


def make_config(config: TrainConfig, tokenizer: Tokenizer) -> WorldModelConfig:
    """Returns the config that training would use with this tokenizer."""
    zeros = torch.zeros(tokenizer.tokens_per_frame, dtype=torch.int64, device=tokenizer.device)
    return WorldModelConfig(
        **vars(config.model),
        vocab_size=tokenizer.vocab_size,
        code_dim=tokenizer.embed(zeros).shape[-1] if config.model.codes else 0,
        grid=tokenizer.grid,
        num_actions=NUM_ACTIONS,
    )


def make_model(config: WorldModelConfig, design: Design) -> WorldModel:
    """Returns a model with fresh weights; see `Design.unchanged`."""
    model = WorldModel(config).eval()
    model.imaginer.speculative = None if design.speculative else False
    if design.unchanged is not None:
        bonus = math.log(design.unchanged / (1 - design.unchanged))
        # Without a gate: fresh logits are about 0, all others together weigh V - 1 times as one.
        bonus += 0.0 if config.stay_gate else math.log(config.vocab_size - 1)
        # Bonuses of older frames, if any, stay at 0.
        torch.nn.init.constant_(model.network.copy_gate.bias[:1], bonus)
    return model


def game_tokens(batch: int, frames: int, tokens: int, vocab_size: int) -> Tensor:
    """Returns random tokens int64 (batch, frames, tokens) that change as often as the game's.

    Training predicts all tokens that change and some of the others, so its speed depends on this.
    """
    drawn = torch.randint(vocab_size, (batch, frames, tokens))
    changes = torch.rand(batch, frames, tokens) < CHANGING_TOKENS
    for t in range(1, frames):
        drawn[:, t] = torch.where(changes[:, t], drawn[:, t], drawn[:, t - 1])
    return drawn


def training_call(world_model: WorldModel, config: TrainConfig) -> tuple[Callable[[], None], int]:
    """Returns a training step, and the number of frames that it predicts."""
    shape, sizes = (config.batch_size, config.segment), world_model.config
    accelerator = make_accelerator(config.mixed_precision)
    optimizer = MuonAdamW(world_model, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(world_model, optimizer)
    steps = (shape[0], shape[1] - 1)
    segments = TokenSegments(
        tokens=game_tokens(*shape, sizes.tokens_per_frame, sizes.vocab_size),
        actions=torch.randint(sizes.num_actions, steps),
        rewards=torch.zeros(steps),
        terminated=torch.zeros(steps, dtype=torch.bool),
        truncated=torch.zeros(steps, dtype=torch.bool),
        mask=torch.ones(shape, dtype=torch.bool),
    ).to(accelerator.device)
    progress = Progress(step=0, seconds=0.0, share=0.5)

    def step() -> None:
        train_step(accelerator, model, optimizer, segments, config, progress)

    return step, steps[0] * steps[1]


def dream_call(
    model: WorldModel, batch: int, tokenizer: Tokenizer | None = None
) -> Callable[[], Tensor]:
    """Returns a call that imagines the next frame of a batch of dreams, and may decode it.

    The dreams go on from call to call. The KV cache is full before the first call; with absolute
    positions it is filled and emptied in turns.

    Args:
        model: Imagines.
        batch: Number of dreams.
        tokenizer: Decodes the frames; None for tokens only.
    """
    config, device = model.config, model.device
    state = model.imaginer.new_state(batch)
    shape = (batch, config.context, config.tokens_per_frame)
    known = torch.randint(config.vocab_size, shape, device=device)
    actions = torch.randint(config.num_actions, (batch,), device=device)
    for t in range(config.context - 1):
        model.imaginer.read_known(known[:, t], actions, state)
    last = [known[:, -1]]

    def dream() -> Tensor:
        frame = model.imaginer.next_frame(last[0], actions, state, Sampling(), with_entropy=False)
        last[0] = frame.tokens
        return frame.tokens if tokenizer is None else tokenizer.decode(frame.tokens)

    return dream
