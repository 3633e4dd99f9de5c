"""Rows of benchmarks/speed.py: encode, decode and train the default tokenizer and the VQGAN."""

import numpy as np
import torch
from torch import Tensor
from work import PeerWork, Work

from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.training import FrameBatch
from worldtokens.tokenizer.losses.adversarial import make_adversary
from worldtokens.tokenizer.train import TrainConfig, train_step
from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import compose

BATCH = 64


def tokenizer_works(device: str) -> list[Work]:
    """Returns the rows to measure; with fresh weights, since speed does not depend on them."""
    return [*_works("fast", "", device), *_works("vqgan", " (vqgan)", device)]


def _works(preset: str, suffix: str, device: str) -> list[Work]:
    """Returns the rows of a preset, their names with a suffix."""
    config = compose(
        TrainConfig, "tokenizer", ["env=MontezumaRevenge", f"tokenizer_preset={preset}"]
    )
    accelerator = make_accelerator(config.mixed_precision, cpu=device == "cpu")
    torch.manual_seed(0)
    tokenizer = Tokenizer(config.model).to(device)
    frames = game_frames(BATCH).to(device)
    tokens = tokenizer.encode(frames)
    trained = Tokenizer(config.model)
    model, optimizer = accelerator.prepare(trained, torch.optim.AdamW(trained.parameters()))
    adversary = make_adversary(accelerator, config.adversary, config.schedule)
    # After the start of the discriminator, if there is one.
    step_number = config.adversary.start + config.adversary.warmup
    progress = Progress(step=step_number, seconds=0.0, share=0.5)
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32

    def step() -> None:
        batch = FrameBatch(frames, None)
        train_step(accelerator, model, optimizer, adversary, None, batch, config, progress)

    return [
        Work(
            f"encode{suffix}",
            lambda: tokenizer.encode(frames),
            BATCH,
            device,
            dtype,
            PeerWork("encode", BATCH),
        ),
        Work(
            f"decode{suffix}",
            lambda: tokenizer.decode(tokens),
            BATCH,
            device,
            dtype,
            PeerWork("decode", BATCH),
        ),
        Work(
            f"train the tokenizer{suffix}",
            step,
            BATCH,
            device,
            dtype,
            PeerWork("train_tokenizer", BATCH),
        ),
    ]


def game_frames(count: int, every: int = 10) -> Tensor:
    """Returns frames of random play, uint8 (count, 64, 64, 3).

    Noise would not do: a dictionary looks up each distinct patch once, however often it occurs.
    """
    env = make_env("MontezumaRevenge")
    rng = np.random.default_rng(0)
    frame, _ = env.reset(seed=0)
    frames = []
    while len(frames) < count:
        for _ in range(every):
            frame, _, terminated, truncated, _ = env.step(int(rng.integers(18)))
            if terminated or truncated:
                frame, _ = env.reset()
        frames.append(frame)
    return torch.from_numpy(np.stack(frames))
