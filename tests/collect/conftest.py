from pathlib import Path

import numpy as np
import pytest

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import EnvConfig

SHAPE = (8, 8, 3)


def make_episode(number: int, num_steps: int, seed: int | None = None) -> Episode:
    """An episode in which frame t holds `number` and t, step t takes action t and gives t."""
    frames = np.zeros((num_steps + 1, *SHAPE), np.uint8)
    frames[:, 0, 0, 0] = number
    frames[:, 0, 0, 1] = np.arange(num_steps + 1)
    ram = np.zeros((num_steps + 1, 128), np.uint8)
    ram[:, 0] = number % 3  # FakeGame's room
    ram[:, 1] = np.arange(num_steps + 1)
    ends = np.arange(num_steps) == num_steps - 1
    return Episode(
        info=EpisodeInfo(
            id=f"job-{number:08d}",
            seed=number if seed is None else seed,
            start="reset",
            num_steps=num_steps,
            total_reward=float(sum(range(num_steps))),
        ),
        frames=frames,
        actions=np.arange(num_steps) % 6,
        rewards=np.arange(num_steps, dtype=np.float32),
        terminated=ends & (number % 2 == 0),
        truncated=ends & (number % 2 == 1),
        ram=ram,
        lives=np.full(num_steps + 1, 3, np.uint8),
    )


def write_dataset(folder: Path, lengths: list[int], per_shard: int = 3) -> list[Episode]:
    """Write episodes 0, 1, ... of these lengths; later episodes lie in earlier shards."""
    write_description(
        folder,
        DatasetDescription(
            env=EnvConfig("FakeGame", frame_height=SHAPE[0], frame_width=SHAPE[1]),
            action_meanings=("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN"),
            frame_shape=SHAPE,
        ),
    )
    episodes = [make_episode(number, length) for number, length in enumerate(lengths)]
    writer = ShardWriter(folder / "shards", "test", SHAPE)
    for count, episode in enumerate(reversed(episodes), start=1):
        writer.append(episode)
        if count % per_shard == 0:
            writer.flush()
    writer.flush()
    return episodes


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    """A dataset of 12 short episodes in four shards."""
    folder = tmp_path / "FakeGame"
    write_dataset(folder, [5, 3, 1, 7, 2, 9, 4, 6, 8, 20, 3, 2])
    return folder


@pytest.fixture(name="make_episode")
def _make_episode():
    return make_episode


@pytest.fixture(name="write_dataset")
def _write_dataset():
    return write_dataset
