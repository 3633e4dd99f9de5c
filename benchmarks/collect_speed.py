"""Prints how fast episodes are collected and read, beside the raw emulator loop.

    python benchmarks/collect_speed.py
    python benchmarks/collect_speed.py --game MontezumaRevenge --steps 4000
    python benchmarks/collect_speed.py --data data/MontezumaRevenge

The raw loop is ale-py alone, with four emulated frames a step, and reads no screen. Collecting is
everything that a worker does: policy, preprocessing, recording, compressing, writing. Both play the
same kind of actions. Raw and collecting runs take turns and the best of each counts, since other
work on the machine can only slow them down. With --data an existing dataset is read, and nothing
else is measured.
"""

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ale_py import ALEInterface, roms

from worldtokens.collect import (
    DatasetDescription,
    EpisodeDataset,
    EpisodeSource,
    ShardWriter,
    write_description,
)
from worldtokens.collect.dataset.loader import load_segments
from worldtokens.collect.from_reset import RecordFromReset, episode_seed
from worldtokens.collect.policies.random_actions import HeldRandomPolicy
from worldtokens.collect.tasks import Progress, Worker
from worldtokens.envs import make_env, ram_labels, usual_name
from worldtokens.envs.games import rom_of

_FRAME_SKIP = 4
_HOLD = 10
_WINDOW = 20


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: The work.
        value: What was measured.
        unit: Of the value.
        ratio: To the raw emulator loop of as many processes; None where it does not apply.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None


def collect_rows(seconds: float) -> list[Row]:
    """Measures Montezuma's Revenge in about `seconds` for each row."""
    return measure(steps=max(500, int(seconds * 1000)), repeats=2)


def measure(game: str = "MontezumaRevenge", steps: int = 4000, repeats: int = 3) -> list[Row]:
    """Measures everything.

    Args:
        game: Any game of ale-py.
        steps: Steps per measurement and process.
        repeats: Number of measurements; the best counts.
    """
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for processes in (1, 2):
            raw = collected = 0.0
            for _ in range(repeats):
                raw = max(raw, _speed_of(_play_raw, processes, game, steps, folder))
                shutil.rmtree(folder / "shards", ignore_errors=True)
                collected = max(collected, _speed_of(_collect, processes, game, steps, folder))
            many = f"{processes} process" + ("es" if processes > 1 else "")
            rows.append(Row(f"raw emulator loop, {many}", raw, "steps/s"))
            rows.append(Row(f"collecting, {many}", collected, "steps/s", collected / raw))
        rows += reading_rows(folder)
    return rows


def _speed_of(
    work: Callable[[str, int, Path, int], float],
    processes: int,
    game: str,
    steps: int,
    folder: Path,
) -> float:
    """Returns the steps per second of several processes that work at the same time."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        arguments = [(game, steps, folder, index) for index in range(processes)]
        speeds = pool.starmap(work, arguments)
    return float(sum(speeds))


def _play_raw(game: str, steps: int, folder: Path, index: int) -> float:
    """Plays without reading the screen; returns steps per second."""
    emulator = ALEInterface()
    emulator.setInt("random_seed", index)
    rom = roms.get_rom_path(rom_of(game))
    assert rom is not None
    emulator.loadROM(rom)
    actions = emulator.getMinimalActionSet()
    policy = HeldRandomPolicy(len(actions), _HOLD)
    policy.begin(np.random.default_rng(index))
    blank = np.zeros((1, 1, 3), np.uint8)
    chosen = [actions[policy.act(blank)] for _ in range(steps)]
    start = time.perf_counter()
    emulator.reset_game()
    for action in chosen:
        for _ in range(_FRAME_SKIP):
            emulator.act(action)
        if emulator.game_over():
            emulator.reset_game()
    return steps / (time.perf_counter() - start)


def _collect(game: str, steps: int, folder: Path, index: int) -> float:
    """Plays, records, compresses and writes as a worker does; returns steps per second."""
    env = make_env(game)
    shape = (env.config.frame_height, env.config.frame_width, 3)
    write_description(folder, DatasetDescription(env.config, env.action_meanings, shape))
    writer = ShardWriter(folder / "shards", f"benchmark-{index}", shape)
    worker = Worker(
        env=env,
        policy=HeldRandomPolicy(len(env.action_meanings), _HOLD),
        report=_ignore,
        save=writer.append,
        room_byte=ram_labels(game).get("room"),
    )
    start = time.perf_counter()
    number = 0
    while writer.num_steps < steps:
        seed = episode_seed(index, number)
        RecordFromReset(f"benchmark-{index}-{number:08d}", seed).run(worker)
        number += 1
    done = writer.num_steps
    writer.flush()
    return done / (time.perf_counter() - start)


def _ignore(progress: Progress) -> None:
    """Ignores a report of progress."""


def reading_rows(folder: Path, repeats: int = 3) -> list[Row]:
    """Measures how fast a dataset is read; the best of each counts."""
    dataset = EpisodeDataset(folder)
    size = sum(path.stat().st_size for path in (folder / "shards").iterdir())
    rng = np.random.default_rng(0)

    def windows_from(source: EpisodeSource, batches: int) -> float:
        source.sample_segments(32, _WINDOW, rng)
        start = time.perf_counter()
        frames = sum(
            int(source.sample_segments(32, _WINDOW, rng).mask.sum()) for _ in range(batches)
        )
        return frames / (time.perf_counter() - start)

    def loaded_by(workers: int, batches: int) -> float:
        loader = load_segments(dataset, 32, _WINDOW, 0, workers)
        for _ in range(3 * workers):  # What the workers read while they started.
            next(loader)
        start = time.perf_counter()
        frames = sum(int(next(loader).mask.sum()) for _ in range(batches))
        return frames / (time.perf_counter() - start)

    def in_order(frames: int) -> float:
        start = time.perf_counter()
        dataset.read_frames(0, frames)
        return frames / (time.perf_counter() - start)

    def best(measured: Callable[[], float]) -> float:
        return max(measured() for _ in range(repeats))

    name = f"random windows of {_WINDOW} frames from disk"
    return [
        Row("frames on disk", dataset.num_frames, "frames"),
        Row("size on disk", size / dataset.num_frames, "bytes/frame"),
        Row(
            "reading in order", best(lambda: in_order(min(dataset.num_frames, 20_000))), "frames/s"
        ),
        Row(f"{name}, this process", best(lambda: windows_from(dataset, 50)), "frames/s"),
        Row(f"{name}, 1 worker", best(lambda: loaded_by(1, 100)), "frames/s"),
        Row(f"{name}, 2 workers", best(lambda: loaded_by(2, 100)), "frames/s"),
    ]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--game", default="MontezumaRevenge", help="its usual name")
    parser.add_argument("--steps", type=int, default=4000, help="per measurement and process")
    parser.add_argument("--repeats", type=int, default=3, help="measurements; the best counts")
    parser.add_argument("--data", type=Path, help="only read this dataset")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints the table."""
    options = parse(sys.argv[1:])
    if options.data:
        rows = reading_rows(options.data, options.repeats)
    else:
        rows = measure(usual_name(options.game), options.steps, options.repeats)
    for row in rows:
        ratio = "" if row.ratio is None else f"  {row.ratio:.2f} x raw"
        print(f"{row.name:48}{row.value:12.0f} {row.unit}{ratio}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
