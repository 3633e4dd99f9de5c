"""The real command, on the fake game and on one real game."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.run import CollectConfig, main
from worldtokens.training.command_line import compose

ROOT = Path(__file__).parents[2]
TINY = ["num_steps=1500", "shard_steps=400", "env_config.max_episode_steps=200"]


def collect(folder, *overrides, env="FakeGame"):
    main(
        compose(
            CollectConfig,
            "collect",
            [f"env={env}", f"data={folder}", "num_workers=1", "policy=held_random", *overrides],
        )
    )


def start(folder, *overrides):
    command = [sys.executable, "collect/run.py", "env=FakeGame", f"data={folder}"]
    return subprocess.Popen(
        [*command, "num_workers=2", "policy=held_random", *overrides],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def episodes_of(folder):
    return [
        (e.id, e.frames.tobytes(), e.actions.tobytes()) for e in EpisodeDataset(folder).episodes
    ]


def children_of(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_collects_sums_up_and_resumes(tmp_path, capsys):
    folder = tmp_path / "data"
    collect(folder, *TINY)
    printed = capsys.readouterr().out
    dataset = EpisodeDataset(folder)
    assert 1500 <= dataset.num_steps < 1700
    assert f"steps          {dataset.num_steps}" in printed and str(folder) in printed
    assert {episode.num_steps for episode in dataset.episodes} <= set(range(1, 201))
    assert all(
        episode.truncated[-1] != episode.terminated[-1] and not episode.truncated[:-1].any()
        for episode in dataset.episodes
    )
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.size[0] > 200

    fingerprint = dataset.fingerprint
    collect(folder, *TINY)
    assert "complete" in capsys.readouterr().out
    assert EpisodeDataset(folder).fingerprint == fingerprint

    before = episodes_of(folder)
    collect(folder, *TINY, "num_steps=2000")
    assert EpisodeDataset(folder).num_steps >= 2000
    assert episodes_of(folder)[: len(before)] == before


def test_the_episodes_do_not_depend_on_the_number_of_workers(tmp_path):
    collect(tmp_path / "one", *TINY)
    collect(tmp_path / "two", *TINY, "num_workers=2")
    one, two = episodes_of(tmp_path / "one"), episodes_of(tmp_path / "two")
    assert two[: len(one)] == one and len(two) <= len(one) + 1


def test_the_actions_lead_from_frame_to_frame(tmp_path):
    from worldtokens.envs import make_env

    collect(tmp_path, "num_steps=100", "env_config.max_episode_steps=120", env="MontezumaRevenge")
    episode = EpisodeDataset(tmp_path).episodes[0]
    env = make_env("MontezumaRevenge", max_episode_steps=120)
    frame, info = env.reset(seed=episode.seed)
    np.testing.assert_array_equal(frame, episode.frames[0])
    for step in range(episode.num_steps):
        frame, reward, terminated, truncated, info = env.step(episode.actions[step])
        np.testing.assert_array_equal(frame, episode.frames[step + 1])
        np.testing.assert_array_equal(info["ram"], episode.ram[step + 1])
        assert info["lives"] == episode.lives[step + 1]
        assert reward == episode.rewards[step]
        assert (terminated, truncated) == (episode.terminated[step], episode.truncated[step])


def test_two_parts_of_a_job_share_its_episodes(tmp_path):
    for shard in (0, 1):
        collect(tmp_path / "parts", *TINY, f"shard={shard}", "num_shards=2")
    collect(tmp_path / "whole", *TINY)
    parts = {id: rest for id, *rest in episodes_of(tmp_path / "parts")}
    whole = {id: rest for id, *rest in episodes_of(tmp_path / "whole")}
    common = parts.keys() & whole.keys()
    assert len(common) >= 7
    assert all(parts[id] == whole[id] for id in common)


def test_two_jobs_write_one_dataset_at_once(tmp_path):
    jobs = [
        start(tmp_path, *TINY, f"shard={shard}", "num_shards=2", "num_workers=1")
        for shard in (0, 1)
    ]
    assert [job.communicate(timeout=120)[1] and job.returncode for job in jobs] == [0, 0]
    dataset = EpisodeDataset(tmp_path)
    numbers = [int(info.id.rpartition("-")[2]) for info in dataset.infos]
    assert dataset.num_steps >= 1500 and numbers == list(range(len(dataset)))


@pytest.mark.slow
def test_submitit_splits_a_job(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    command = [sys.executable, str(ROOT / "collect/run.py"), "env=FakeGame", *TINY]
    parts = ["+machines=local", "num_shards=2", "num_workers=1", "policy=held_random"]
    done = subprocess.run(
        [*command, *parts, f"data={tmp_path / 'data'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert EpisodeDataset(tmp_path / "data").num_steps >= 1500


def test_another_environment_needs_another_folder(tmp_path):
    collect(tmp_path, "num_steps=50", "env_config.max_episode_steps=50")
    with pytest.raises(ValueError, match=r"env_config.frame_skip: 4 there, 3 now.*data=PATH"):
        collect(tmp_path, "env_config.max_episode_steps=50", "env_config.frame_skip=3")


@pytest.mark.parametrize(
    "override, message",
    (
        ("num_steps=0", "num_steps must be at least 1, got 0"),
        ("num_workers=0", "num_workers must be at least 1, or null"),
        ("shard=1", r"shard must be in \[0, num_shards=1\), got 1"),
        ("env_config.frame_skip=0", "frame_skip must be an integer of at least 1, got 0"),
        ("policy.mean_hold=0", "mean_hold must be at least 1"),
        ("nun_steps=5", "did you mean num_steps"),
    ),
)
def test_wrong_values_are_explained(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        collect(tmp_path, override)


def test_errors_are_one_line(tmp_path):
    command = [sys.executable, "collect/run.py", "env=MontezumasRevenge", f"data={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "did you mean MontezumaRevenge" in done.stderr


def test_a_killed_worker_ends_in_one_line_and_the_next_run_goes_on(tmp_path):
    process = start(tmp_path, "num_steps=100000", *TINY[1:])
    try:
        wait_for_shards(tmp_path, process)
        workers = [pid for pid in children_of(process.pid) if is_worker(pid)]
        os.kill(workers[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert "died (killed by signal 9)" in last and "Traceback" not in errors
    assert not any(is_alive(pid) for pid in workers)
    before = EpisodeDataset(tmp_path).num_steps
    collect(tmp_path, *TINY[1:], f"num_steps={before + 100}")
    assert EpisodeDataset(tmp_path).num_steps >= before + 100


def test_a_killed_parent_leaves_no_orphans_and_whole_shards(tmp_path):
    process = start(tmp_path, "num_steps=100000", *TINY[1:])
    try:
        wait_for_shards(tmp_path, process)
        children = children_of(process.pid)
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) >= 2 and not any(is_alive(pid) for pid in children)
    assert EpisodeDataset(tmp_path).num_steps >= 400


def wait_for_shards(folder, process):
    deadline = time.monotonic() + 60
    while not list((folder / "shards").glob("*.h5")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def is_worker(pid):
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
