"""Speeds of world models: training steps, and imagined frames decoded to pixels.

The default model has rows of its own. Its output layer is needed for tokens that may change only,
so its fresh weights are given the odds that a token of the game stays. The rows of the preset
`iris` are of IRIS's architecture and sizes, with our code: what they gain is what the code gains.
With its fresh weights a token never is what stood there before, so in these rows autoregressive
dreams do not guess; the last row is of dreams that guess, and whose tokens stay as often as those
of the game.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from work import PeerWork, Work

from worldtokens.common.devices import native_autocast_dtype
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.train import TrainConfig as TokenizerTrainConfig
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import compose
from worldtokens.world_model import Sampling, WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.optimizers import MuonAdamW
from worldtokens.world_model.train import TrainConfig, train_step

NUM_ACTIONS = 18
IRIS_SEGMENTS = 8
# Of the tokens of Montezuma's Revenge, from one frame to the next (demo dataset: 0.06 to 0.07).
CHANGING_TOKENS = 0.07
# The same of 4 x 4 tokens: squares of four of the default's tokens, any of which changes.
CHANGING_TOKENS_IRIS = 0.19


@dataclass(frozen=True)
class Design:
    """A world model with the tokenizer that it dreams for.

    Attributes:
        name: Ends the names of its rows.
        world_model: Overrides of configs/world_model.yaml.
        tokenizer: Overrides of configs/tokenizer.yaml.
        batches: Dreams at a time, a row each.
        bare: Whether there are rows without decoding too.
        stays: Chance that a drawn token is the one that stood there before, for models with the
            copy bonus; None leaves fresh weights as they are.
        guesses: Whether autoregressive dreams guess. Such a design has no row of training.
    """

    name: str
    world_model: tuple[str, ...]
    tokenizer: tuple[str, ...]
    batches: tuple[int, ...]
    bare: bool
    stays: float | None = None
    guesses: bool = False


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
        ", IRIS's architecture and guesses",
        (*IRIS, "model.copies=1"),
        ("tokenizer_preset=iris",),
        (1,),
        True,
        1 - CHANGING_TOKENS_IRIS,
        True,
    ),
)


def world_model_works(device: str, designs: tuple[Design, ...] = DESIGNS) -> list[Work]:
    """The rows to measure, with fresh weights: speed does not depend on them."""
    works = []
    for design in designs:
        config = compose(TrainConfig, "world_model", ["env=MontezumaRevenge", *design.world_model])
        tokenizer = make_tokenizer(design, device)
        model_config = make_config(config, tokenizer)
        accelerator = make_accelerator(
            config.mixed_precision, native_autocast_dtype, cpu=device == "cpu"
        )
        dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
        if not design.guesses:
            train, frames = training_call(WorldModel(model_config), config)
            peer = PeerWork("train_world_model", IRIS_SEGMENTS)
            works.append(
                Work(f"train the world model{design.name}", train, frames, device, dtype, peer)
            )
        dreamer = make_dreamer(model_config, design).to(device)
        for batch in design.batches:
            name, peer = (
                f"imagine and decode{design.name}, batch {batch}",
                PeerWork("imagine", batch),
            )
            call = dream_call(dreamer, batch, tokenizer)
            works.append(Work(name, call, batch, device, dtype, peer))
        for batch in design.batches if design.bare else ():
            name, peer = (
                f"imagine tokens{design.name}, batch {batch}",
                PeerWork("imagine_tokens", batch),
            )
            works.append(Work(name, dream_call(dreamer, batch), batch, device, dtype, peer))
    return works


def make_tokenizer(design: Design, device: str) -> Tokenizer:
    """The tokenizer of a design, untrained."""
    overrides = ["env=MontezumaRevenge", *design.tokenizer]
    torch.manual_seed(0)
    return Tokenizer(compose(TokenizerTrainConfig, "tokenizer", overrides).model).to(device).eval()


def make_config(config: TrainConfig, tokenizer: Tokenizer) -> WorldModelConfig:
    """What training would make of the config beside this tokenizer."""
    nothing = torch.zeros(tokenizer.tokens_per_frame, dtype=torch.int64, device=tokenizer.device)
    return WorldModelConfig(
        **vars(config.model),
        vocab_size=tokenizer.vocab_size,
        code_dim=tokenizer.embed(nothing).shape[-1] if config.model.codes else 0,
        grid=tokenizer.grid,
        num_actions=NUM_ACTIONS,
    )


def make_dreamer(config: WorldModelConfig, design: Design) -> WorldModel:
    """A model with fresh weights, see `Design.stays`."""
    model = WorldModel(config).eval()
    model.guesses_tokens = None if design.guesses else False
    if design.stays is not None:
        bonus = math.log(design.stays / (1 - design.stays))
        # Without a gate: fresh logits are about 0, all others together weigh V - 1 times as one.
        bonus += 0.0 if config.stay_gate else math.log(config.vocab_size - 1)
        # Bonuses of older frames, if any, stay at 0.
        torch.nn.init.constant_(model.copy_gate.bias[:1], bonus)
    return model


def game_tokens(batch: int, frames: int, tokens: int, vocab_size: int) -> Tensor:
    """Random tokens int64 (batch, frames, tokens) that change as often as those of the game.

    Training looks at all tokens that change and some of the others, so its speed depends on it.
    """
    drawn = torch.randint(vocab_size, (batch, frames, tokens))
    changes = torch.rand(batch, frames, tokens) < CHANGING_TOKENS
    for t in range(1, frames):
        drawn[:, t] = torch.where(changes[:, t], drawn[:, t], drawn[:, t - 1])
    return drawn


def training_call(world_model: WorldModel, config: TrainConfig) -> tuple[Callable[[], None], int]:
    """One training step, and the frames that it predicts."""
    shape, made = (config.batch_size, config.segment), world_model.config
    accelerator = make_accelerator(config.mixed_precision, native_autocast_dtype)
    optimizer = MuonAdamW(world_model, config.learning_rate, config.weight_decay)
    model, optimizer = accelerator.prepare(world_model, optimizer)
    steps = (shape[0], shape[1] - 1)
    segments = TokenSegments(
        tokens=game_tokens(*shape, made.tokens_per_frame, made.vocab_size),
        actions=torch.randint(made.num_actions, steps),
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
    """The next frame of a batch of dreams that go on from call to call, decoded if asked for.

    Memory is full when the clock runs, or, with absolute positions, goes through all it holds.
    """
    made, device = model.config, model.device
    memory = model.new_memory(batch)
    shape = (batch, made.context, made.tokens_per_frame)
    known = torch.randint(made.vocab_size, shape, device=device)
    actions = torch.randint(made.num_actions, (batch,), device=device)
    for t in range(made.context - 1):
        model.read(known[:, t], actions, memory)
    last = [known[:, -1]]

    def dream() -> Tensor:
        frame = model.next_frame(last[0], actions, memory, Sampling(), measure=False)
        last[0] = frame.tokens
        return frame.tokens if tokenizer is None else tokenizer.decode(frame.tokens)

    return dream
