"""Writes a trained tokenizer as two ONNX graphs, and checks them.

    python tokenizer/export_onnx.py env=MontezumaRevenge
    python tokenizer/export_onnx.py env=MontezumaRevenge run=longer out=tokenizer_onnx

Writes encode.onnx and decode.onnx to runs/<env>/<run>/onnx/. Needs the extra `onnx`.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.onnx_graphs import check_installed, compare, export_onnx
from worldtokens.training.command_line import launch


@dataclass
class ExportConfig:
    """The keys of configs/tokenizer_export_onnx.yaml.

    Attributes:
        env: The game's usual name.
        root: Folder of all runs.
        run: Name of the run's folder in root/env/.
        out: Folder of the graphs.
        frames: Random frames to compare on.
        seed: Seed of these frames.
    """

    env: str
    root: str
    run: str
    out: str
    frames: int
    seed: int

    def __post_init__(self) -> None:
        """Checks the number of frames."""
        check_at_least(1, frames=self.frames)


def main(config: ExportConfig) -> None:
    """Exports, compares, and moves the files to their folder if they agree."""
    check_installed()
    for chatty in ("onnx_ir", "onnxscript"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    tokenizer = Tokenizer.from_pretrained(Path(config.root) / config.env / config.run)
    shape = (config.frames, *tokenizer.frame_shape)
    frames = np.random.default_rng(config.seed).integers(0, 256, shape, dtype=np.uint8)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=out) as partial:
        files = export_onnx(tokenizer, partial)
        agreement = compare(tokenizer, files, frames)
        print(
            f"{100 * agreement.tokens:.3f} % of the tokens of {config.frames} random frames agree;"
        )
        print(f"decoded pixels differ by at most {agreement.largest_difference} of 255")
        if not agreement.is_good:
            raise ValueError(
                f"out={out}: expected graphs that agree with the tokenizer, got other results; "
                "nothing was written"
            )
        for file in (files.encode, files.decode):
            size = file.stat().st_size / 2**20
            print(f"{file.replace(out / file.name)}  {size:.1f} MiB")


def cli() -> None:
    """Runs the command line."""
    launch(main, ExportConfig, "tokenizer_export_onnx")


if __name__ == "__main__":
    cli()
