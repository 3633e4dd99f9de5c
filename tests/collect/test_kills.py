"""Killing collectors at random moments; every kill is a real SIGKILL of a real process.

KILLS=50 pytest tests/collect/test_kills.py kills more often.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.shards import list_shards, verify_shard

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KILLS", "4"))


def start(folder):
    command = [sys.executable, "collect/run.py", "env=FakeGame", f"data={folder}"]
    return subprocess.Popen(
        [
            *command,
            "num_workers=2",
            "num_steps=10000000",
            "shard_steps=500",
            "policy=go_explore",
            "policy.explore_steps=20000",
            "env_config.max_episode_steps=300",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


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


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_that_was_written(tmp_path):
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    shards_before: dict[Path, int] = {}
    for kill in range(KILLS):
        process = start(tmp_path)
        try:
            if kill == 0:
                # Let there be something to lose.
                deadline = time.monotonic() + 120
                while len(list_shards(tmp_path / "shards")) < 3 and time.monotonic() < deadline:
                    time.sleep(0.1)
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
        finally:
            process.kill()
        deadline = time.monotonic() + 20
        while set(family) & parents().keys() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not set(family) & parents().keys(), "orphans"
        shards = {path: verify_shard(path).size for path in list_shards(tmp_path / "shards")}
        assert shards_before.items() <= shards.items()
        shards_before = shards
    assert EpisodeDataset(tmp_path).num_steps >= 1500
