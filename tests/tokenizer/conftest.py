from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import EnvConfig

HEIGHT, WIDTH = 16, 24


def moving_square(room: int, start: int, steps: int) -> np.ndarray:
    """Frames (steps + 1, 16, 24, 3): a square of 2 pixels that walks over the room's colour."""
    frames = np.zeros((steps + 1, HEIGHT, WIDTH, 3), np.uint8)
    frames[:] = ((40, 80, 120), (120, 40, 80))[room]
    for t in range(steps + 1):
        x, y = (start + t) % (WIDTH - 2), (start * 3 + t // 2) % (HEIGHT - 2)
        frames[t, y : y + 2, x : x + 2] = (250, 220, 30)
    return frames


def write_dataset(folder: Path, episodes: list[np.ndarray], rooms: list[int], game: str) -> None:
    """Writes a dataset; every tenth episode is held out."""
    shape = episodes[0].shape[1:]
    env = EnvConfig(game, frame_height=shape[0], frame_width=shape[1])
    write_description(folder, DatasetDescription(env, ("NOOP", "RIGHT"), shape))
    writer = ShardWriter(folder / "shards", "test", shape)
    for number, (frames, room) in enumerate(zip(episodes, rooms, strict=True)):
        steps = len(frames) - 1
        ram = np.zeros((steps + 1, 128), np.uint8)
        ram[:, 0] = room
        writer.append(
            Episode(
                info=EpisodeInfo(f"test-{number:04d}", number, "reset", steps, 0.0),
                frames=frames,
                actions=np.ones(steps, np.int64),
                rewards=np.zeros(steps, np.float32),
                terminated=np.zeros(steps, bool),
                truncated=np.arange(steps) == steps - 1,
                ram=ram,
                lives=np.zeros(steps + 1, np.uint8),
            )
        )
    writer.flush()


@pytest.fixture(scope="session")
def make_dataset():
    """`write_dataset`, for tests with frames of their own."""
    return write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """20 episodes of 13 frames in two rooms of the fake game, 2 of them held out."""
    folder = tmp_path_factory.mktemp("data") / "FakeGame"
    rooms = [0, 1] * 9 + [1, 0]
    episodes = [moving_square(room, start, 12) for start, room in enumerate(rooms)]
    write_dataset(folder, episodes, rooms, "FakeGame")
    return folder


def tiny_overrides(data: Path, root: Path) -> list[str]:
    """A training run of 12 steps that takes a second."""
    return [
        "env=FakeGame",
        f"data={data}",
        f"root={root}",
        "budget={max_steps: 12, max_minutes: null}",
        "batch_size=4",
        "log_every=1",
        "evaluations=1",
        "heldout_frames=10",
        "start_frames=50",
        "wandb.mode=disabled",
        "mixed_precision=no",
        "model={frame_height: 16, frame_width: 24, decoder_width: 8, decoder_depth: 1, "
        "decoder_fine_depth: 1, codebook_size: 16}",
    ]


@pytest.fixture
def overrides(dataset, tmp_path) -> list[str]:
    """Overrides of configs/tokenizer.yaml for a tiny run below tmp_path."""
    return tiny_overrides(dataset, tmp_path)


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory) -> Path:
    """VGG16's convolutions with random weights, in torchvision's names."""
    torch.manual_seed(0)
    weights, channels = {}, 3
    layers = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512}
    layers |= {24: 512, 26: 512, 28: 512}
    for index, out in layers.items():
        conv = nn.Conv2d(channels, out, 3)
        weights[f"features.{index}.weight"] = conv.weight.detach()
        weights[f"features.{index}.bias"] = conv.bias.detach()
        channels = out
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(weights, path)
    return path
