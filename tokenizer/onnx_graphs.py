"""A tokenizer as two ONNX graphs, for programs without PyTorch.

    files = export_onnx(tokenizer, "tokenizer_onnx")
    session = onnxruntime.InferenceSession(files.encode)
    (tokens,) = session.run(None, {"frames": frames})  # uint8 (n, height, width, 3) -> int64 (n, K)

The graphs compute in float32. So do `Tokenizer.encode` and `decode` if `uses_autocast` is off; if
it is on and the device multiplies bfloat16 in hardware, they round differently.
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
    """The files that `export_onnx` writes.

    Attributes:
        encode: Turns frames, uint8 (batch, height, width, 3), into tokens, int64 (batch, K).
        decode: Turns tokens, int64 (batch, K) in [0, vocab_size), into frames.
    """

    encode: Path
    decode: Path


@dataclass(frozen=True)
class Agreement:
    """Agreement of graphs and tokenizer.

    Attributes:
        tokens: Share of equal tokens. Float32 sums in another order differ in the last bits, so a
            latent at the boundary between two codes may get either of them.
        largest_difference: Largest difference between frames decoded from the same tokens, in grey
            levels; 1 where a pixel lies half-way between two levels.
    """

    tokens: float
    largest_difference: int

    @property
    def is_good(self) -> bool:
        """Whether rounding explains the differences."""
        return self.tokens >= 0.999 and self.largest_difference <= 1


class EncodeGraph(nn.Module):
    """Encodes frames without checks and chunks."""

    def __init__(self, tokenizer: Tokenizer):
        """Wraps a tokenizer."""
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, frames: Tensor) -> Tensor:
        """See OnnxFiles.encode."""
        return self.tokenizer.tokens_of(frames)


class DecodeGraph(nn.Module):
    """Decodes tokens without checks and chunks."""

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
        tokenizer: A trained tokenizer; it is copied, not changed.
        folder: Folder of the files; created if it does not exist.

    Raises:
        ValueError: A package that the export needs is not installed.
    """
    check_installed()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = OnnxFiles(folder / "encode.onnx", folder / "decode.onnx")
    tokenizer = copy.deepcopy(tokenizer).cpu().eval().requires_grad_(False)
    # The exporter would treat a batch size of 1 as a constant.
    frames = torch.zeros(2, *tokenizer.frame_shape, dtype=torch.uint8)
    tokens = torch.zeros(2, tokenizer.tokens_per_frame, dtype=torch.int64)
    _write(EncodeGraph(tokenizer), "frames", frames, "tokens", files.encode, tokenizer)
    _write(DecodeGraph(tokenizer), "tokens", tokens, "frames", files.decode, tokenizer)
    return files


def compare(tokenizer: Tokenizer, files: OnnxFiles, frames: np.ndarray) -> Agreement:
    """Compares the graphs, under onnxruntime, with the tokenizer in float32 on the CPU.

    Args:
        tokenizer: The tokenizer that was exported.
        files: The result of `export_onnx`.
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
    decoded = np.asarray(decode.run(None, {"tokens": expected})[0])
    difference = decoded.astype(np.int16) - tokenizer.decode(expected).numpy()
    return Agreement(float((tokens == expected).mean()), int(np.abs(difference).max()))


def check_installed() -> None:
    """Checks that the packages of the extra `onnx` are installed.

    Raises:
        ValueError: One is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"ONNX export: expected the packages {', '.join(NEEDED)}, missing "
            f"{', '.join(missing)}; pip install 'worldtokens[onnx]'"
        )


def _write(
    graph: nn.Module, source: str, example: Tensor, result: str, path: Path, tokenizer: Tokenizer
) -> None:
    # In two steps, since torch.onnx.export alone silently fixes the batch size of a graph that
    # cannot be traced for all sizes.
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
