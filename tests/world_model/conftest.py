from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import EnvConfig
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.training.command_line import compose
from worldtokens.world_model import WorldModel, WorldModelConfig, train_prior
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.data.token_cache import load_tokens

HEIGHT, WIDTH = 16, 32
ACTIONS = ("NOOP", "RIGHT", "LEFT")


def walk(seed: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A square that walks as the actions say; frames, actions and its column."""
    rng = np.random.default_rng(seed)
    actions = rng.integers(3, size=steps)
    column = np.zeros(steps + 1, np.int64)
    column[0] = rng.integers(4)
    for t, action in enumerate(actions):
        column[t + 1] = np.clip(column[t] + (0, 1, -1)[action], 0, 3)
    frames = np.zeros((steps + 1, HEIGHT, WIDTH, 3), np.uint8)
    frames[:] = (40, 80, 120)
    for t, x in enumerate(column):
        frames[t, 4:12, 8 * x : 8 * x + 8] = (250, 220, 30)
    return frames, actions, column


def add_episodes(folder: Path, first: int, count: int, steps: int = 12) -> None:
    """Writes a shard of episodes; each ends with a reward of 100, every second is truncated."""
    env = EnvConfig("FakeGame", frame_height=HEIGHT, frame_width=WIDTH)
    write_description(folder, DatasetDescription(env, ACTIONS, (HEIGHT, WIDTH, 3)))
    writer = ShardWriter(folder / "shards", f"test{first}", (HEIGHT, WIDTH, 3))
    for number in range(first, first + count):
        frames, actions, column = walk(number, steps)
        last = np.arange(steps) == steps - 1
        ram = np.zeros((steps + 1, 128), np.uint8)
        ram[:, 1] = column
        writer.append(
            Episode(
                info=EpisodeInfo(f"test-{number:04d}", number, "reset", steps, 100.0),
                frames=frames,
                actions=actions,
                rewards=np.where(last, 100, 0).astype(np.float32),
                terminated=last & (number % 2 == 0),
                truncated=last & (number % 2 == 1),
                ram=ram,
                lives=np.zeros(steps + 1, np.uint8),
            )
        )
    writer.flush()


def make_tokenizer(seed: int = 0) -> Tokenizer:
    """An untrained tokenizer of 2 x 4 tokens of 64 codes."""
    torch.manual_seed(seed)
    config = TokenizerConfig(
        HEIGHT, WIDTH, "patch", quantizer="fsq", fsq_levels=[4, 4, 4], encoder_width=16,
        encoder_depth=1, decoder_width=16, decoder_depth=1, decoder_fine_depth=1,
    )  # fmt: skip
    return Tokenizer(config).eval()


@pytest.fixture
def dataset(tmp_path) -> Path:
    """20 episodes of 13 frames, 2 of them held out."""
    add_episodes(tmp_path / "data", 0, 20)
    return tmp_path / "data"


@pytest.fixture
def new_tokenizer():
    return make_tokenizer


@pytest.fixture
def more_episodes():
    return add_episodes


@pytest.fixture
def tokenizer_folder(tmp_path) -> Path:
    make_tokenizer().save_pretrained(tmp_path / "runs" / "FakeGame" / "tokenizer" / "export")
    return tmp_path / "runs" / "FakeGame" / "tokenizer"


@pytest.fixture
def trained(tmp_path, dataset, tokenizer_folder) -> Path:
    """An untrained world model in the place of a trained one; the root of its runs."""
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=64, grid=(2, 4),
        num_actions=3, reward_values=[0.0, 100.0], context=4, layers=1, heads=2, width=32,
        copies=1, history=2, stay_gate=False,
    )  # fmt: skip
    WorldModel(config).save_pretrained(tmp_path / "runs" / "FakeGame" / "world_model" / "export")
    return tmp_path / "runs"


@pytest.fixture
def overrides(tmp_path, dataset, tokenizer_folder) -> list[str]:
    """Overrides of world_model.yaml for a tiny run on the CPU."""
    return [
        "env=FakeGame", f"data={dataset}", f"root={tmp_path / 'runs'}", "wandb.mode=disabled",
        "mixed_precision=no", "budget.max_minutes=null", "budget.max_steps=12", "batch_size=4",
        "segment=5", "log_every=2", "evaluations=2", "heldout_segments=8", "model.context=4",
        "model.layers=1", "model.heads=2", "model.width=32", "model.dropout=0.1",
    ]  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """The untrained models of `trained`, and the held-out episodes as frames and as tokens."""

    model: WorldModel
    tokenizer: Tokenizer
    heldout: EpisodeDataset
    episodes: list[TokenEpisode]


@pytest.fixture
def loaded(trained, dataset, tokenizer_folder) -> Loaded:
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    heldout = EpisodeDataset(dataset, "heldout")
    return Loaded(
        WorldModel.from_pretrained(trained / "FakeGame" / "world_model"),
        tokenizer,
        heldout,
        load_tokens(heldout, tokenizer).episodes,
    )


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Twelve pictures, red ones in red/ and blue ones in blue/; their negatives in others/."""
    for number in range(12):
        name, color = (("red", (200, 10 * number, 0)), ("blue", (0, 10 * number, 200)))[number % 2]
        for folder, shown in (("photos", color), ("others", tuple(255 - c for c in color))):
            path = tmp_path / folder / name / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((HEIGHT, WIDTH, 3), shown, np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def train_tiny_prior(tmp_path, tokenizer_folder) -> Callable[..., Path]:
    """Runs world_model/train_prior.py for six steps in tmp_path/runs; returns the run folder."""

    def run(data: Path, *more: str) -> Path:
        config = compose(
            train_prior.TrainPriorConfig,
            "prior",
            [
                "env=FakeGame", f"data={data}", f"root={tmp_path / 'runs'}",
                "wandb.mode=disabled", "log_every=2", "mixed_precision=no",
                "budget.max_minutes=null", "budget.max_steps=6", "batch_size=4", "evaluations=0",
                "heldout_frames=8", "model.layers=1", "model.heads=2", "model.width=32", *more,
            ],
        )  # fmt: skip
        train_prior.main(config)
        return tmp_path / "runs" / "FakeGame" / config.run

    return run
