import dataclasses
import subprocess
import sys
import time
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
from worldtokens.collect.dataset.shard_reading import list_shards
from worldtokens.collect.export_episodes import ExportConfig
from worldtokens.collect.export_episodes import main as export_main
from worldtokens.collect.import_episodes import ImportConfig
from worldtokens.collect.import_episodes import main as import_main
from worldtokens.collect.run import CollectConfig
from worldtokens.collect.run import main as collect_main
from worldtokens.envs import EnvConfig
from worldtokens.training.command_line import compose

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def collect():
    """Runs the real main with one worker that holds random actions."""

    def run(folder, *overrides, env="FakeGame"):
        shared = ["num_workers=1", "policy=held_random"]
        arguments = [f"env={env}", f"data={folder}", *shared, *overrides]
        collect_main(compose(CollectConfig, "collect", arguments))

    return run


@pytest.fixture
def explore(collect):
    """Runs the real main with one worker and Go-Explore."""

    def run(folder, *overrides, env="FakeGame"):
        shared = ["policy=go_explore", "env_config.max_episode_steps=300"]
        collect(folder, *shared, *overrides, env=env)

    return run


@pytest.fixture
def start_collecting():
    """Starts the real command; what still runs at the end of the test is killed."""
    processes = []

    def start(folder, *overrides):
        command = [sys.executable, "collect/run.py", "env=FakeGame", f"data={folder}"]
        process = subprocess.Popen(
            [*command, "num_workers=2", "policy=held_random", *overrides],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        with process:  # closes its pipes and waits for it
            pass


@pytest.fixture
def wait_for_shards():
    """Waits until a running collector has written some shards."""

    def wait(folder, process, count=1):
        deadline = time.monotonic() + 120
        while len(list_shards(folder / "shards")) < count:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)

    return wait


@pytest.fixture
def export_to():
    """Runs the real main of the export."""

    def run(*overrides):
        export_main(compose(ExportConfig, "export_episodes", list(overrides)))

    return run


@pytest.fixture
def import_from():
    """Runs the real main of the import, to frames of 8 x 8."""

    def run(*overrides):
        sizes = ["frame_height=8", "frame_width=8"]
        import_main(compose(ImportConfig, "import_episodes", [*sizes, *overrides]))

    return run


@pytest.fixture
def assert_same_episodes():
    """Compares two datasets, array by array."""

    def check(one, other):
        assert len(one) == len(other)
        for left, right in zip(one.episodes, other.episodes, strict=True):
            for field in dataclasses.fields(left):
                a, b = getattr(left, field.name), getattr(right, field.name)
                np.testing.assert_array_equal(a, b, err_msg=field.name)
                if field.name != "info":
                    assert a.dtype == b.dtype, field.name

    return check
