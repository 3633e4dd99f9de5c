import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer, TokenizerConfig

# The benchmarks are scripts: their folder is on the path when they run.
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "policies")]


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Two episodes of the fake game at 32x32, 31 frames each; the second one is held out."""
    env = make_env("FakeGame", frame_height=32, frame_width=32)
    shape = (32, 32, 3)
    meanings = tuple(f"A{n}" for n in range(env.action_space.n))
    write_description(tmp_path / "data", DatasetDescription(env.unwrapped.config, meanings, shape))
    writer = ShardWriter(tmp_path / "data" / "shards", "test", shape)
    rng = np.random.default_rng(0)
    for seed in (0, 9):
        seen = [env.reset(seed=seed)]
        actions = rng.integers(len(meanings), size=30)
        for action in actions:
            frame, _, _, _, info = env.step(int(action))
            seen.append((frame, info))
        writer.append(
            Episode(
                EpisodeInfo(f"e{seed}", seed, "reset", 30, 0.0),
                np.stack([frame for frame, _ in seen]),
                actions.astype(np.int64),
                np.zeros(30, np.float32),
                np.zeros(30, bool),
                np.arange(30) == 29,
                np.stack([info["ram"] for _, info in seen]),
                np.zeros(31, np.uint8),
            )
        )
    writer.flush()
    env.close()
    return tmp_path / "data"


@pytest.fixture
def tokenizer_folder(tmp_path) -> Path:
    """A tokenizer with a dictionary of 16 random patches, saved as a run."""
    torch.manual_seed(0)
    config = TokenizerConfig(
        32, 32, codebook_size=16, decoder_width=8, decoder_depth=0, decoder_fine_depth=0
    )
    folder = tmp_path / "runs" / "FakeGame" / "tokenizer"
    Tokenizer(config).eval().save_pretrained(folder / "export")
    return folder


@pytest.fixture
def run_script(monkeypatch):
    """Runs the main function of a benchmark under a command line."""

    def run(main, *arguments) -> None:
        monkeypatch.setattr("sys.argv", ["benchmark.py", *map(str, arguments)])
        main()

    return run
