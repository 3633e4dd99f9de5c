"""Weights of IRIS's own tokenizer (https://github.com/eloialonso/iris) in the network of this one.

IRIS stores the state of its agent with torch.save in checkpoints/last.pt, the tokenizer's tensors
under "tokenizer."; files with the state of a tokenizer alone are read, too. Its networks are those
of the preset `iris` with other names.
"""

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.config import TokenizerConfig

PREFIX = "tokenizer."
# LPIPS, which IRIS stores beside the tokenizer, is part of its loss only.
LEFT_OUT = "lpips."
_OUTER = {
    "embedding.weight": "quantizers.0.codes",
    "pre_quant_conv": "network.quant_conv",
    "post_quant_conv": "network.post_quant_conv",
}
_BLOCK = {
    "norm1": "norm_1", "conv1": "conv_1", "norm2": "norm_2", "conv2": "conv_2",
    "nin_shortcut": "shortcut",
}  # fmt: skip
_ATTENTION = {"norm": "norm", "proj_out": "project_out"}
_PATH = re.compile(
    r"(?P<half>encoder|decoder)\.(?P<way>down|up)\.(?P<level>\d+)\."
    r"(?P<kind>block|attn|downsample|upsample)\.(?P<rest>.+)"
)


def load_iris(path: str | Path, frame_size: int = 64) -> Tokenizer:
    """Loads a tokenizer that IRIS's own code trained.

    Args:
        path: Its file; only tensors are read from it.
        frame_size: Height and width of the frames that it was trained on.

    Raises:
        ValueError: The file cannot be read, or holds no tokenizer of IRIS.
    """
    state = _read(Path(path))
    try:
        config = _config(state, frame_size)
        levels = len(config.channel_multipliers)
        weights = _joined({_name(name, levels): value for name, value in state.items()})
        tokenizer = Tokenizer(config)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"weights={path}: expected the tensors of IRIS's tokenizer, got others ({error})"
        ) from error
    weights["quantizers.0.mass"] = tokenizer.state_dict()["quantizers.0.mass"]
    expected = {name: value.shape for name, value in tokenizer.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if found != expected:
        wrong = sorted(name for name in found | expected if found.get(name) != expected.get(name))
        raise ValueError(
            f"weights={path}: expected the tensors of IRIS's tokenizer, got others at "
            f"{', '.join(wrong[:3])}"
        )
    tokenizer.load_state_dict(weights)
    return tokenizer.eval()


def _read(path: Path) -> dict[str, Tensor]:
    """Returns the tokenizer's tensors under IRIS's names."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"weights={path}: cannot be read ({error})") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"weights={path}: expected a state dict of tensors, got something else")
    if any(name.startswith(PREFIX) for name in state):
        state = {n.removeprefix(PREFIX): v for n, v in state.items() if n.startswith(PREFIX)}
    return {name: value for name, value in state.items() if not name.startswith(LEFT_OUT)}


def _config(state: dict[str, Tensor], frame_size: int) -> TokenizerConfig:
    """Reads the architecture from the shapes."""
    codes = state["embedding.weight"]
    width = state["encoder.conv_in.weight"].shape[0]
    blocks = re.compile(r"encoder\.down\.(\d+)\.block\.(\d+)\.conv2\.weight")
    found = {match[0]: match for name in state if (match := blocks.fullmatch(name))}
    levels = 1 + max(int(match[1]) for match in found.values())
    outs = [state[f"encoder.down.{level}.block.0.conv2.weight"].shape[0] for level in range(levels)]
    has_attention = [f"encoder.down.{level}.attn.0.q.weight" in state for level in range(levels)]
    return TokenizerConfig(
        frame_height=frame_size,
        frame_width=frame_size,
        network="vqgan",
        encoder_width=width,
        encoder_depth=1 + max(int(match[2]) for match in found.values()),
        channel_multipliers=[out // width for out in outs],
        attention_resolutions=[
            frame_size >> level for level, has in enumerate(has_attention) if has
        ],
        latent_channels=state["encoder.conv_out.weight"].shape[0],
        quantizer="vq",
        codebook_size=codes.shape[0],
        code_dim=codes.shape[1],
        codebook_update="gradient",
    )


def _name(name: str, levels: int) -> str:
    """Returns the name that a tensor of IRIS has here; q, k and v keep their last words."""
    for theirs, ours in _OUTER.items():
        if name == theirs or name.startswith(f"{theirs}."):
            return ours + name[len(theirs) :]
    match = _PATH.fullmatch(name)
    if match is None:
        for part in ("block_1", "block_2"):
            head, found, rest = name.partition(f".mid.{part}.")
            if found:
                return f"network.{head}.mid.{part}.{_renamed(rest, _BLOCK)}"
        head, found, rest = name.partition(".mid.attn_1.")
        if found:
            return f"network.{head}.mid.attention.{_renamed(rest, _ATTENTION)}"
        return f"network.{name}"
    half, way, kind, rest = match["half"], match["way"], match["kind"], match["rest"]
    # Here the level that the decoder runs first has the number 0, there it has the last.
    level = int(match["level"]) if way == "down" else levels - 1 - int(match["level"])
    place = f"network.{half}.{way}.{level}"
    if kind in ("downsample", "upsample"):
        return f"{place}.{kind}.{rest}"
    number, _, rest = rest.partition(".")
    if kind == "attn":
        return f"{place}.blocks.{number}.attention.{_renamed(rest, _ATTENTION)}"
    return f"{place}.blocks.{number}.{_renamed(rest, _BLOCK)}"


def _renamed(rest: str, names: dict[str, str]) -> str:
    part, _, last = rest.partition(".")
    return f"{names.get(part, part)}.{last}"


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Joins queries, keys and values, three layers there and one here."""
    joined = {}
    for name, value in weights.items():
        head, part, last = (name.rsplit(".", 2) + ["", ""])[:3]
        if part in ("k", "v"):
            continue
        if part == "q":
            parts = [weights[f"{head}.{which}.{last}"] for which in "qkv"]
            joined[f"{head}.project_in.{last}"] = torch.cat(parts)
        else:
            joined[name] = value
    return joined
