"""Worker processes, and killing them; every kill is a real SIGKILL of a real process.

KILLS=50 pytest tests/collect/test_workers.py -m slow kills more often.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.shard_reading import list_shards, verify_shard

KILLS = int(os.environ.get("KILLS", "4"))
TINY = ["num_steps=1500", "shard_steps=400", "env_config.max_episode_steps=200"]


def episodes_of(folder):
    return [
        (e.id, e.frames.tobytes(), e.actions.tobytes()) for e in EpisodeDataset(folder).episodes
    ]


def parents():
    """The parent of every living process, by its id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def children_of(pid):
    return [child for child, parent in parents().items() if parent == pid]


def workers_of(pid):
    return [
        child
        for child in children_of(pid)
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def is_any_alive(pids):
    return bool(set(pids) & parents().keys())


def wait_for_the_end_of(pids, seconds=20):
    deadline = time.monotonic() + seconds
    while is_any_alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_any_alive(pids), "orphans"


def test_the_episodes_do_not_depend_on_the_number_of_workers(collect, tmp_path):
    collect(tmp_path / "one", *TINY)
    collect(tmp_path / "two", *TINY, "num_workers=2")
    one, two = episodes_of(tmp_path / "one"), episodes_of(tmp_path / "two")
    assert two[: len(one)] == one and len(two) <= len(one) + 1


def test_a_killed_worker_ends_in_one_line_and_the_next_run_goes_on(
    collect, start_collecting, wait_for_shards, tmp_path
):
    process = start_collecting(tmp_path, "num_steps=100000", *TINY[1:])
    wait_for_shards(tmp_path, process)
    workers = workers_of(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert "died (killed by signal 9)" in last and "Traceback" not in errors
    assert not is_any_alive(workers)
    before = EpisodeDataset(tmp_path).num_steps
    collect(tmp_path, *TINY[1:], f"num_steps={before + 100}")
    assert EpisodeDataset(tmp_path).num_steps >= before + 100


def test_a_killed_parent_leaves_no_orphans_and_whole_shards(
    start_collecting, wait_for_shards, tmp_path
):
    process = start_collecting(tmp_path, "num_steps=100000", *TINY[1:])
    wait_for_shards(tmp_path, process)
    children = children_of(process.pid)
    process.kill()
    process.communicate()
    assert len(children) >= 2
    wait_for_the_end_of(children)
    assert EpisodeDataset(tmp_path).num_steps >= 400


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_that_was_written(
    start_collecting, wait_for_shards, tmp_path
):
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    shards_before: dict[Path, int] = {}
    endless = ["num_steps=10000000", "shard_steps=500", "env_config.max_episode_steps=300"]
    for kill in range(KILLS):
        process = start_collecting(
            tmp_path, "policy=go_explore", "policy.explore_steps=20000", *endless
        )
        if kill == 0:
            # Let there be something to lose.
            wait_for_shards(tmp_path, process, count=3)
        time.sleep(rng.uniform(0.3, 4.0))
        family = children_of(process.pid)
        workers = workers_of(process.pid)
        if kill % 2 and workers:
            os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 1 and "Traceback" not in errors, errors
        else:
            process.kill()
            process.communicate()
        wait_for_the_end_of(family)
        shards = {path: verify_shard(path).size for path in list_shards(tmp_path / "shards")}
        assert shards_before.items() <= shards.items()
        shards_before = shards
    assert EpisodeDataset(tmp_path).num_steps >= 1500
