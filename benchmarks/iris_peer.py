"""Times IRIS's own networks, from a local clone of its repository, in a process of their own.

    python benchmarks/iris_peer.py --iris ../iris --work encode --precision fp32 --batch 64

Prints one JSON line: {"frames_per_second": 71.3}. benchmarks/speed.py calls it once per row, in
turn with our own work. It runs in a process of its own because IRIS's modules are called `envs` and
`utils`. The networks are built from IRIS's classes with the values of its default configs, and
nothing in them is changed. Where IRIS's own code can be called alone, it is: the loss functions,
the imagination step. LPIPS is left out of tokenizer training, which favours IRIS: its weights are a
download, and the rows compare networks.
"""

import argparse
import contextlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VOCAB_SIZE = 512
TOKENS_PER_FRAME = 16
CONTEXT = 20
WORKS = (
    "encode",
    "decode",
    "train_tokenizer",
    "train_world_model",
    "imagine",
    "imagine_tokens",
    "parameters",
)


def import_iris(path: Path) -> Any:
    """Imports IRIS's `models` package.

    An empty module takes the place of gym, of which IRIS only names a class.

    Raises:
        ValueError: `path` is no clone of IRIS.
    """
    source = path / "src"
    if not (source / "models" / "world_model.py").is_file():
        raise ValueError(
            f"--iris: expected a clone of IRIS, got {path}, which has no src/models/world_model.py"
        )
    gym = types.ModuleType("gym")
    gym.Env = object  # type: ignore[attr-defined]
    sys.modules.setdefault("gym", gym)
    sys.path.insert(0, str(source))
    import models.tokenizer  # type: ignore[import-not-found]
    import models.world_model  # type: ignore[import-not-found]

    return models


def world_model_env(path: Path) -> Any:
    """Loads IRIS's imagination module by its file, since its package imports an old gym."""
    file = path / "src" / "envs" / "world_model_env.py"
    spec = importlib.util.spec_from_file_location("iris_world_model_env", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_tokenizer(models: Any) -> nn.Module:
    """Builds the tokenizer of config/tokenizer/default.yaml, without LPIPS."""
    config = models.tokenizer.EncoderDecoderConfig(
        resolution=64,
        in_channels=3,
        z_channels=512,
        ch=64,
        ch_mult=[1, 1, 1, 1, 1],
        num_res_blocks=2,
        attn_resolutions=[8, 16],
        out_ch=3,
        dropout=0.0,
    )
    encoder, decoder = models.tokenizer.Encoder(config), models.tokenizer.Decoder(config)
    return models.tokenizer.Tokenizer(VOCAB_SIZE, 512, encoder, decoder, with_lpips=False)


def build_world_model(models: Any) -> nn.Module:
    """Builds the transformer of config/world_model/default.yaml, with Montezuma's 18 actions."""
    config = models.transformer.TransformerConfig(
        tokens_per_block=TOKENS_PER_FRAME + 1,
        max_blocks=CONTEXT,
        attention="causal",
        num_layers=10,
        num_heads=4,
        embed_dim=256,
        embed_pdrop=0.1,
        resid_pdrop=0.1,
        attn_pdrop=0.1,
    )
    return models.world_model.WorldModel(VOCAB_SIZE, 18, config)


def train_tokenizer(tokenizer: nn.Module, frames: Tensor) -> Callable[[], None]:
    """Returns a call that takes an optimizer step on IRIS's reconstruction and commitment loss."""
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=1e-4)

    def step() -> None:
        scaled = frames.mul(2).sub(1)
        z, quantized, reconstruction = tokenizer(scaled)
        commitment = (z.detach() - quantized).pow(2).mean() + (z - quantized.detach()).pow(2).mean()
        loss = commitment + (scaled - reconstruction).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tokenizer.parameters(), 10.0)
        optimizer.step()

    return step


def train_world_model(world_model: Any, batch: int) -> Callable[[], None]:
    """Returns a call that takes one optimizer step on random tokens by IRIS's own loss function."""
    tokens = torch.randint(VOCAB_SIZE, (batch, CONTEXT, TOKENS_PER_FRAME))
    content = {
        "observations": tokens,
        "actions": torch.randint(18, (batch, CONTEXT)),
        "rewards": torch.zeros(batch, CONTEXT),
        "ends": torch.zeros(batch, CONTEXT, dtype=torch.long),
        "mask_padding": torch.ones(batch, CONTEXT, dtype=torch.bool),
    }

    class Encoded:
        """A tokenizer for frames that are tokens already."""

        def encode(self, observations: Tensor, should_preprocess: bool) -> Any:
            return types.SimpleNamespace(tokens=observations)

    optimizer = torch.optim.AdamW(world_model.parameters(), lr=1e-4)

    def step() -> None:
        losses = world_model.compute_loss(content, Encoded())
        optimizer.zero_grad()
        losses.loss_total.backward()
        nn.utils.clip_grad_norm_(world_model.parameters(), 10.0)
        optimizer.step()

    return step


def build_work(options: argparse.Namespace) -> tuple[Callable[[], Any], int]:
    """Returns the call to time, and the frames that one call handles."""
    models = import_iris(options.iris)
    device, batch = torch.device(options.device), options.batch
    torch.set_default_device(device)
    frames = torch.rand(batch, 3, 64, 64)
    tokenizer: Any = build_tokenizer(models)
    if options.work == "encode":
        return no_grad(lambda: tokenizer.encode(frames, should_preprocess=True)), batch
    if options.work == "decode":
        latents = torch.randn(batch, 512, 4, 4)
        return no_grad(lambda: tokenizer.decode(latents, should_postprocess=True)), batch
    if options.work == "train_tokenizer":
        return train_tokenizer(tokenizer, frames), batch
    world_model = build_world_model(models)
    if options.work == "train_world_model":
        return train_world_model(world_model, batch), batch * CONTEXT
    env = world_model_env(options.iris).WorldModelEnv(tokenizer, world_model, device)
    env.reset_from_initial_observations(frames)
    actions = torch.randint(18, (batch,))
    if options.work == "imagine_tokens":
        # IRIS's step decodes each frame, which this work leaves out.
        env.decode_obs_tokens = lambda: None
    return lambda: env.step(actions), batch


def no_grad(call: Callable[[], Any]) -> Callable[[], Any]:
    """Returns the call without recording gradients."""
    return torch.no_grad()(call)


def main() -> None:
    """Times one work and prints its JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--iris", type=Path, required=True, help="a clone of IRIS")
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.work == "parameters":
        models = import_iris(options.iris)
        counts = [
            sum(p.numel() for p in build(models).parameters())
            for build in (build_tokenizer, build_world_model)
        ]
        print(json.dumps({"tokenizer": counts[0], "world_model": counts[1]}))
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from timing import rate  # type: ignore[import-not-found]

    call, frames = build_work(options)
    low = options.precision == "bf16"
    context = torch.autocast(options.device, torch.bfloat16) if low else contextlib.nullcontext()
    with context:
        measured = rate(call, frames, options.seconds)
    print(json.dumps({"frames_per_second": measured}))


if __name__ == "__main__":
    main()
