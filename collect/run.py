"""Collects episodes.

python collect/run.py env=MontezumaRevenge
python collect/run.py env=Pong policy=random num_steps=20000 num_workers=4 data=data/pong_random
python collect/run.py env=Breakout env_config.repeat_action_probability=0.25 data=data/sticky
"""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from collect.dataset import SHARDS_FOLDER, EpisodeDataset
from collect.description import DatasetDescription, write_description
from collect.from_reset import FromResetScheduler, JobShare
from collect.pictures import save_contact_sheet
from collect.shards import list_shards, read_shard_info
from collect.workers import Progress, WorkerSetup, run_workers
from envs import EnvConfig, make_env_from_config
from training.command_line import launch


@dataclass
class CollectConfig:
    """The keys of configs/collect.yaml, explained there."""

    env: str
    env_config: EnvConfig
    policy: dict[str, Any]
    num_steps: int
    num_workers: int | None
    seed: int
    data: str
    shard_steps: int
    shard: int
    num_shards: int


class ProgressBar:
    """Shows steps, steps/s, rooms and the best score."""

    def __init__(self, done: int, total: int) -> None:
        """Start at `done` of `total` steps."""
        self._bar = tqdm(total=total, initial=min(done, total), unit="frame", mininterval=0.5)
        self._rooms: set[int] = set()
        self._best_score = 0.0

    def add(self, progress: Progress) -> None:
        """Show a worker's report."""
        self._rooms |= progress.rooms
        self._best_score = max(self._best_score, progress.best_score)
        figures = {"rooms": len(self._rooms)} if self._rooms else {}
        self._bar.set_postfix({**figures, "score": f"{self._best_score:g}"}, refresh=False)
        self._bar.update(progress.recorded_steps)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def main(config: CollectConfig) -> None:
    """Collect what is missing and say what there is."""
    _check(config)
    num_workers = config.num_workers or os.cpu_count() or 1
    folder = Path(config.data)
    describe_dataset(folder, config.env_config)
    share = JobShare(job_name(config), config.seed, config.shard, config.num_shards)
    existing = tuple(
        info
        for path in list_shards(folder / SHARDS_FOLDER)
        for info in read_shard_info(path).episodes
    )
    num_steps = -(-config.num_steps // config.num_shards)
    scheduler = FromResetScheduler(share, num_steps, existing)
    done_before = scheduler.recorded_steps
    if done_before >= num_steps:
        print(f"complete: {folder} has {done_before} steps of this job already")
        summarize(folder, None)
        return
    setup = WorkerSetup(
        env=config.env_config,
        policy=config.policy,
        shards=folder / SHARDS_FOLDER,
        job=share.job,
        shard_steps=config.shard_steps,
    )
    bar = ProgressBar(done_before, num_steps)
    start = time.perf_counter()
    try:
        run_workers(setup, num_workers, scheduler, bar.add)
    finally:
        bar.close()
    seconds = time.perf_counter() - start
    summarize(folder, (scheduler.recorded_steps - done_before) / seconds)


def describe_dataset(folder: Path, env_config: EnvConfig) -> None:
    """Write the folder's dataset.json, or check that the one there says the same."""
    env = make_env_from_config(env_config)
    shape = env.observation_space.shape
    assert shape is not None
    write_description(
        folder,
        DatasetDescription(
            env=env_config,
            action_meanings=env.action_meanings,
            frame_shape=(shape[0], shape[1], shape[2]),
        ),
    )


def job_name(config: CollectConfig) -> str:
    """Name what decides the episodes: the policy, its settings and the seed."""
    settings = json.dumps(config.policy, sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:6]
    return f"{config.policy.get('name', 'policy')}-{digest}-seed{config.seed}"


def summarize(folder: Path, steps_per_second: float | None) -> None:
    """Print the dataset's figures and save its contact sheet."""
    dataset = EpisodeDataset(folder)
    sheet = folder / "contact_sheet.png"
    save_contact_sheet(dataset, sheet)
    rooms = sorted(set(dataset.scene.tolist()))
    print(f"episodes       {len(dataset)}")
    print(f"steps          {dataset.num_steps}")
    if steps_per_second is not None:
        print(f"steps/s        {steps_per_second:.0f}")
    if len(rooms) > 1:
        print(f"rooms seen     {len(rooms)}: {', '.join(map(str, rooms))}")
    print(f"best return    {max(info.total_reward for info in dataset.infos):g}")
    print(f"dataset        {folder}")
    print(f"contact sheet  {sheet}")


def _check(config: CollectConfig) -> None:
    for name in ("num_steps", "shard_steps", "num_shards"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}.")
    if config.num_workers is not None and config.num_workers < 1:
        raise ValueError(
            f"num_workers must be at least 1, or null for one per core, got {config.num_workers}."
        )
    if not 0 <= config.shard < config.num_shards:
        raise ValueError(
            f"shard must be in [0, num_shards={config.num_shards}), got {config.shard}."
        )


if __name__ == "__main__":
    launch(main, CollectConfig, "collect")
