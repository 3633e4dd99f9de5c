"""A tokenizer as two ONNX graphs, for programs without PyTorch.

    files = export_onnx(tokenizer, "tokenizer_onnx")
    session = onnxruntime.InferenceSession(files.encode)
    (tokens,) = session.run(None, {"frames": frames})  # uint8 (n, height, width, 3) -> int64 (n, K)

The graphs compute in float32. `Tokenizer.encode` and `decode` do so too where `uses_autocast` is
off; where it is on and the device multiplies bfloat16 in hardware, they round otherwise.
"""

import copy
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from worldtokens.tokenizer.autoencoder import Tokenizer

NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxFiles:
    """What `export_onnx` wrote.

    Attributes:
        encode: frames, uint8 (batch, height, width, 3), to tokens, int64 (batch, K).
        decode: tokens, int64 (batch, K) in [0, vocab_size), to frames.
    """

    encode: Path
    decode: Path


@dataclass(frozen=True)
class Agreement:
    """How far graphs and tokenizer agree.

    Attributes:
        tokens: Share of tokens that are the same. Two ways to sum in float32 differ in the last
            bits, so a latent that lies on the boundary between two codes may fall to either side.
        largest_difference: Between frames decoded from the same tokens, in grey levels; 1 where a
            pixel lies half-way between two.
    """

    tokens: float
    largest_difference: int

    @property
    def is_good(self) -> bool:
        """Whether no more differs than rounding explains."""
        return self.tokens >= 0.999 and self.largest_difference <= 1


class EncodeGraph(nn.Module):
    """Frames to tokens, without checks and chunks."""

    def __init__(self, tokenizer: Tokenizer):
        """Wraps a tokenizer."""
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, frames: Tensor) -> Tensor:
        """See OnnxFiles.encode."""
        return self.tokenizer.tokens_of(frames)


class DecodeGraph(nn.Module):
    """Tokens to frames, without checks and chunks."""

    def __init__(self, tokenizer: Tokenizer):
        """Wraps a tokenizer."""
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, tokens: Tensor) -> Tensor:
        """See OnnxFiles.decode."""
        return self.tokenizer.frames_of(tokens)


def export_onnx(tokenizer: Tokenizer, folder: str | Path) -> OnnxFiles:
    """Writes encode.onnx and decode.onnx, weights inside, for batches of any size.

    Each file's metadata holds the tokenizer's fingerprint, grid and vocab_size.

    Args:
        tokenizer: A trained tokenizer; it stays as it is, on its device.
        folder: Made if it does not exist.

    Raises:
        ValueError: A package that the export needs is not installed.
    """
    check_installed()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = OnnxFiles(folder / "encode.onnx", folder / "decode.onnx")
    tokenizer = copy.deepcopy(tokenizer).cpu().eval().requires_grad_(False)
    # Of a batch of 1 the exporter would make a constant.
    frames = torch.zeros(2, *tokenizer.frame_shape, dtype=torch.uint8)
    tokens = torch.zeros(2, tokenizer.tokens_per_frame, dtype=torch.int64)
    _write(EncodeGraph(tokenizer), "frames", frames, "tokens", files.encode, tokenizer)
    _write(DecodeGraph(tokenizer), "tokens", tokens, "frames", files.decode, tokenizer)
    return files


def compare(tokenizer: Tokenizer, files: OnnxFiles, frames: np.ndarray) -> Agreement:
    """Runs the graphs under onnxruntime, and the tokenizer in float32 on the CPU.

    Args:
        tokenizer: What the files were made from.
        files: From `export_onnx`.
        frames: uint8 (n, height, width, 3).

    Raises:
        ValueError: onnxruntime is not installed.
    """
    check_installed()
    import onnxruntime

    tokenizer = copy.deepcopy(tokenizer).cpu()
    tokenizer.uses_autocast = False
    providers = ["CPUExecutionProvider"]
    encode = onnxruntime.InferenceSession(files.encode, providers=providers)
    decode = onnxruntime.InferenceSession(files.decode, providers=providers)
    expected = tokenizer.encode(frames).numpy()
    tokens = np.asarray(encode.run(None, {"frames": frames})[0])
    made = np.asarray(decode.run(None, {"tokens": expected})[0])
    difference = made.astype(np.int16) - tokenizer.decode(expected).numpy()
    return Agreement(float((tokens == expected).mean()), int(np.abs(difference).max()))


def check_installed() -> None:
    """Looks for the packages of the extra `onnx`.

    Raises:
        ValueError: One is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"ONNX export needs {', '.join(missing)}; pip install 'worldtokens[onnx]'")


def _write(
    graph: nn.Module, source: str, example: Tensor, result: str, path: Path, tokenizer: Tokenizer
) -> None:
    # Exported in two steps, since torch.onnx.export by itself fixes the batch size without a word
    # where the graph cannot be traced for any.
    shapes = ({0: torch.export.Dim("batch")},)
    traced = torch.export.export(graph.eval(), (example,), dynamic_shapes=shapes)
    program = torch.onnx.export(
        traced, dynamo=True, input_names=[source], output_names=[result], verbose=False
    )
    assert program is not None
    program.model.metadata_props.update(
        fingerprint=tokenizer.fingerprint,
        grid="x".join(map(str, tokenizer.grid)),
        vocab_size=str(tokenizer.vocab_size),
    )
    program.save(path, external_data=False)
