"""Speeds of the default tokenizer: encode, decode and one training step."""

import torch
from work import PeerWork, Work

from tokenizer import Tokenizer
from tokenizer.train import TrainConfig, train_step
from training.accelerator import make_accelerator
from training.budget import Progress
from training.command_line import compose

BATCH = 64


def tokenizer_works(device: str) -> list[Work]:
    """The rows to measure, with the weights of a fresh tokenizer: speed does not depend on them."""
    config = compose(TrainConfig, "tokenizer", ["env=MontezumaRevenge"])
    accelerator = make_accelerator(config.mixed_precision, cpu=device == "cpu")
    torch.manual_seed(0)
    tokenizer = Tokenizer(config.model).to(device)
    frames = torch.randint(256, (BATCH, *tokenizer.frame_shape), dtype=torch.uint8, device=device)
    tokens = tokenizer.encode(frames)
    trained = Tokenizer(config.model)
    model, optimizer = accelerator.prepare(trained, torch.optim.AdamW(trained.parameters()))
    progress = Progress(step=0, seconds=0.0, share=0.5)
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32

    def step() -> None:
        train_step(accelerator, model, optimizer, frames, config, progress)

    return [
        Work("encode", lambda: tokenizer.encode(frames), BATCH, device, dtype,
             PeerWork("encode", BATCH)),
        Work("decode", lambda: tokenizer.decode(tokens), BATCH, device, dtype,
             PeerWork("decode", BATCH)),
        Work("train the tokenizer", step, BATCH, device, dtype,
             PeerWork("train_tokenizer", BATCH)),
    ]  # fmt: skip
