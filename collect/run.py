r"""Collects episodes.

python collect/run.py env=MontezumaRevenge
python collect/run.py env=MontezumaRevenge policy.explore_steps=2000000 num_steps=1000000
python collect/run.py env=Pong policy=random num_steps=20000 num_workers=4 data=data/pong_random
python collect/run.py env=MontezumaRevenge policy=stable_baselines3 policy.checkpoint=agent.zip \
    start=events
python collect/run.py env=Breakout env_config.repeat_action_probability=0.25 data=data/sticky
python collect/run.py env=gymnasium:CartPole-v1 num_steps=20000
python collect/run.py env=gymnasium:minigrid:MiniGrid-DoorKey-5x5-v0
python collect/run.py env=MyGame env_config._target_=mygame.make
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldtokens.collect.dataset.description import DatasetDescription, write_description
from worldtokens.collect.dataset.episodes import SHARDS_FOLDER, EpisodeDataset
from worldtokens.collect.dataset.shard_reading import list_shards, read_shard_info
from worldtokens.collect.from_reset import FromResetScheduler, JobShare
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.collect.go_explore.config import GO_EXPLORE, GoExploreConfig
from worldtokens.collect.go_explore.recorder import FromCellsScheduler, Starts
from worldtokens.collect.go_explore.restoring import possible_policy
from worldtokens.collect.go_explore.schedulers import (
    ExplorationsScheduler,
    ExploreScheduler,
    open_archive,
)
from worldtokens.collect.pictures import save_contact_sheet, save_room_map
from worldtokens.collect.policies.policy import stable_node
from worldtokens.collect.progress import ExploringBar, RecordingBar
from worldtokens.collect.workers import WorkerSetup, run_workers
from worldtokens.common.checks import check_at_least, check_seed
from worldtokens.common.commands import stage_command
from worldtokens.envs import EnvConfig, FrameEnv, make_env_from_config
from worldtokens.training.command_line import launch

_MOST_WORKERS = 1024
ARCHIVES_FOLDER = "archives"
FROM_RESET, FROM_CELLS, FROM_EVENTS = STARTS = ("reset", "cells", "events")


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
    start: str
    start_steps: int


def main(config: CollectConfig) -> None:
    """Collects what is missing and prints what there is."""
    _check(config)
    folder = Path(config.data)
    env = describe_dataset(folder, config.env_config)
    config = dataclasses.replace(config, policy=possible_policy(config.policy, env))
    env.close()
    share = JobShare(job_name(config), config.seed, config.shard, config.num_shards)
    existing = tuple(
        info
        for path in list_shards(folder / SHARDS_FOLDER)
        for info in read_shard_info(path).episodes
    )
    num_steps = -(-config.num_steps // config.num_shards)
    done_before = sum(share.numbers_of(existing).values())
    if done_before >= num_steps:
        print(f"complete: {folder} has {done_before} steps of this job already")
        summarize(folder, None)
        return
    setup = WorkerSetup(
        env=config.env_config,
        policy=worker_policy(config),
        shards=folder / SHARDS_FOLDER,
        job=share.job,
        shard_steps=config.shard_steps,
    )
    num_workers = config.num_workers or _usable_cores()
    if config.policy.get("name") == GO_EXPLORE:
        settings = _go_explore(config)
        archives = explore(setup, settings, share, num_workers)
        starts = Starts(
            settings.segment_steps,
            settings.event_segment_steps,
            settings.from_reset_share,
            settings.event_share,
        )
        scheduler = FromCellsScheduler(archives, starts, share, num_steps, existing)
    elif config.start != FROM_RESET:
        archives = load_archives(folder, config)
        is_event = float(config.start == FROM_EVENTS)
        steps = config.start_steps
        starts = Starts(steps, steps, 0.0, is_event, pass_share=0.0)
        scheduler = FromCellsScheduler(archives, starts, share, num_steps, existing)
    else:
        scheduler = FromResetScheduler(share, num_steps, existing)
    bar = RecordingBar(done_before, num_steps)
    start = time.perf_counter()
    try:
        run_workers(setup, num_workers, scheduler, bar.add)
    finally:
        bar.close()
    seconds = time.perf_counter() - start
    summarize(folder, (scheduler.recorded_steps - done_before) / seconds)


def explore(
    setup: WorkerSetup, settings: GoExploreConfig, share: JobShare, num_workers: int
) -> list[Archive]:
    """Explores until the archives, which lie beside the shards, have all of their steps."""
    count = settings.num_explorations
    explorations = []
    for number in range(count):
        part = f"-{number}" if count > 1 else ""
        name = f"{share.job}-{share.shard}of{share.num_shards}{part}.npz"
        path = setup.shards.parent / ARCHIVES_FOLDER / name
        sequence = [share.seed, share.shard, *([number] if number else [])]
        explorations.append(
            ExploreScheduler(
                open_archive(path, setup.env.name, settings.cells),
                settings,
                int(np.random.SeedSequence(sequence).generate_state(1)[0]),
                path,
                settings.explore_steps // count,
                number,
            )
        )
    archives = [exploration.archive for exploration in explorations]
    if all(exploration.is_complete for exploration in explorations):
        return archives
    bar = ExploringBar(archives, settings.explore_steps)
    scheduler = ExplorationsScheduler(explorations, bar.show)
    try:
        run_workers(setup, num_workers, scheduler, lambda _: None, saves=False)
    finally:
        bar.close()
        scheduler.save()
    return archives


def load_archives(folder: Path, config: CollectConfig) -> list[Archive]:
    """Loads all archives of a dataset."""
    paths = sorted((folder / ARCHIVES_FOLDER).glob("*.npz"))
    archives = [open_archive(path, config.env_config.name, "auto") for path in paths]
    if not archives or (
        config.start == FROM_EVENTS and not any(len(archive.approaches) for archive in archives)
    ):
        raise ValueError(
            f"start: expected {FROM_RESET}, got {config.start}; {folder} has no archive with saved "
            f"{config.start}, {stage_command('collect')} policy=go_explore makes one"
        )
    return archives


def worker_policy(config: CollectConfig) -> dict[str, Any]:
    """Returns the policy that plays in the workers."""
    if config.policy.get("name") != GO_EXPLORE:
        return config.policy
    return {
        "_target_": "worldtokens.collect.policies.HeldRandomPolicy",
        "mean_hold": config.policy["mean_hold"],
    }


def describe_dataset(folder: Path, env_config: EnvConfig) -> FrameEnv:
    """Writes the folder's dataset.json, or checks that the one there says the same."""
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
    if env.conversion:
        print(f"picture        {env.conversion}")
        print(f"actions        {', '.join(env.action_meanings)}")
    return env


def job_name(config: CollectConfig) -> str:
    """Names the episodes by what decides them: the policy, its settings and the seed."""
    # Datasets hold job names that depend on the first spelling of the policy's target: with
    # another one the same command would record its episodes a second time.
    node = stable_node(config.policy)
    # More exploration continues with the same archive.
    longer = ("explore_steps", "explore_scenes")
    decisive = {key: value for key, value in node.items() if key not in longer}
    # Keys that came later do not count where they change nothing: datasets begun before go on.
    if decisive.get("event_share") == 0:
        del decisive["event_share"], decisive["event_segment_steps"]
    if decisive.get("num_explorations") == 1:
        del decisive["num_explorations"]
    if config.start != FROM_RESET:
        decisive |= {"start": config.start, "start_steps": config.start_steps}
    settings = json.dumps(decisive, sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:6]
    return f"{config.policy.get('name', 'policy')}-{digest}-seed{config.seed}"


def summarize(folder: Path, steps_per_second: float | None) -> None:
    """Prints the dataset's size and draws its contact sheet and room map."""
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
    room_map = folder / "room_map.png"
    if save_room_map(dataset, room_map):
        print(f"room map       {room_map}")


def _go_explore(config: CollectConfig) -> GoExploreConfig:
    try:
        return GoExploreConfig(**config.policy)
    except TypeError as error:
        raise ValueError(f"policy: expected the keys of go_explore, got others ({error})") from None


def _usable_cores() -> int:
    # Fewer than the machine has where a scheduler or taskset gave this process a part of it.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(config: CollectConfig) -> None:
    check_seed(seed=config.seed)
    check_at_least(
        1,
        num_steps=config.num_steps,
        shard_steps=config.shard_steps,
        num_shards=config.num_shards,
        start_steps=config.start_steps,
    )
    if config.start not in STARTS:
        raise ValueError(f"start: expected one of {', '.join(STARTS)}, got {config.start!r}")
    if config.policy.get("name") == GO_EXPLORE:
        _go_explore(config)
        make_cells(config.env_config.name, config.policy["cells"])
        if config.start != FROM_RESET:
            raise ValueError(
                f"start: expected {FROM_RESET}, got {config.start}; policy={GO_EXPLORE} chooses "
                "the starts itself, by policy.event_share"
            )
    if config.num_workers is not None and not 1 <= config.num_workers <= _MOST_WORKERS:
        raise ValueError(
            f"num_workers: expected a whole number from 1 to {_MOST_WORKERS}, or null for one per "
            f"core, got {config.num_workers}"
        )
    if not 0 <= config.shard < config.num_shards:
        raise ValueError(
            f"shard: expected a number in [0, num_shards={config.num_shards}), got {config.shard}"
        )


def cli() -> None:
    """Runs the command line."""
    launch(main, CollectConfig, "collect")


if __name__ == "__main__":
    # The jobs of configs/machines find `main` by the name of its module, which is not __main__.
    from worldtokens.collect import run

    run.cli()
