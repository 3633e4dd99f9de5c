"""The real command, on the fake game and on one real game."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.run import CollectConfig, job_name
from worldtokens.envs import make_env
from worldtokens.training.command_line import compose

ROOT = Path(__file__).parents[2]
ONE_EXPLORATION = ["policy=go_explore", "policy.event_share=0", "policy.num_explorations=1"]
TINY = ["num_steps=1500", "shard_steps=400", "env_config.max_episode_steps=200"]


def episodes_of(folder):
    return [
        (e.id, e.frames.tobytes(), e.actions.tobytes()) for e in EpisodeDataset(folder).episodes
    ]


def test_collects_sums_up_and_resumes(tmp_path, capsys, collect):
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


def test_the_actions_lead_from_frame_to_frame(tmp_path, collect):
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


def test_two_parts_of_a_job_share_its_episodes(tmp_path, collect):
    for shard in (0, 1):
        collect(tmp_path / "parts", *TINY, f"shard={shard}", "num_shards=2")
    collect(tmp_path / "whole", *TINY)
    parts = {id: rest for id, *rest in episodes_of(tmp_path / "parts")}
    whole = {id: rest for id, *rest in episodes_of(tmp_path / "whole")}
    common = parts.keys() & whole.keys()
    assert len(common) >= 7
    assert all(parts[id] == whole[id] for id in common)


def test_two_jobs_write_one_dataset_at_once(tmp_path, start_collecting):
    jobs = [
        start_collecting(tmp_path, *TINY, f"shard={shard}", "num_shards=2", "num_workers=1")
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


def test_another_environment_needs_another_folder(tmp_path, collect):
    collect(tmp_path, "num_steps=50", "env_config.max_episode_steps=50")
    with pytest.raises(ValueError, match=r"env_config.frame_skip: 4 there, 3 now.*data=PATH"):
        collect(tmp_path, "env_config.max_episode_steps=50", "env_config.frame_skip=3")


@pytest.mark.parametrize(
    "override, message",
    (
        ("num_steps=0", "num_steps: expected a whole number of at least 1, got 0"),
        ("num_workers=0", "num_workers: expected a whole number from 1 to 1024, or null.*, got 0"),
        ("shard=1", r"shard: expected a number in \[0, num_shards=1\), got 1"),
        ("env_config.frame_skip=0", "frame_skip: expected a whole number of at least 1, got 0"),
        ("start=middle", "start: expected one of reset, cells, events, got 'middle'"),
        ("policy.mean_hold=0", "policy.mean_hold: expected at least 1 step, got 0"),
        ("nun_steps=5", "did you mean num_steps"),
    ),
)
def test_wrong_values_are_explained(tmp_path, override, message, collect):
    with pytest.raises(ValueError, match=message):
        collect(tmp_path, override)


def test_errors_are_one_line(tmp_path):
    command = [sys.executable, "collect/run.py", "env=MontezumasRevenge", f"data={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "did you mean MontezumaRevenge" in done.stderr


@pytest.mark.parametrize(
    "overrides, name",
    (
        (["policy=random"], "random-249702-seed0"),
        (["policy=held_random"], "held_random-0c79eb-seed0"),
        (ONE_EXPLORATION, "go_explore-91950a-seed0"),
        ([*ONE_EXPLORATION, "policy.event_segment_steps=9"], "go_explore-91950a-seed0"),
        ([*ONE_EXPLORATION, "policy.explore_steps=20000", "seed=3"], "go_explore-91950a-seed3"),
        ([*ONE_EXPLORATION, "policy.explore_scenes=6"], "go_explore-91950a-seed0"),
        (["policy=human"], "human-f4899d-seed0"),
        (
            ["policy=stable_baselines3", "policy.checkpoint=agent.zip", "seed=4"],
            "stable_baselines3-db94bf-seed4",
        ),
        (["policy=random", "policy._target_=collect.policies.RandomPolicy"], "random-249702-seed0"),
    ),
)
def test_jobs_keep_the_names_that_the_first_version_gave_them(overrides, name):
    # Under another name the same command would record the episodes of a dataset again.
    config = compose(CollectConfig, "collect", ["env=MontezumaRevenge", *overrides])
    assert job_name(config) == name


def test_starts_at_saved_states_are_another_job():
    names = {
        job_name(compose(CollectConfig, "collect", ["env=Pong", "policy=random", *overrides]))
        for overrides in ([], ["start=cells"], ["start=events"], ["start=events", "start_steps=9"])
    }
    assert len(names) == 4
    several = [f"policy.num_explorations={count}" for count in (1, 2)]
    jobs = [job_name(compose(CollectConfig, "collect", ["env=Pong", n])) for n in several]
    assert jobs[0] != jobs[1]


def test_a_given_policy_goes_on_where_an_exploration_was(explore, collect, tmp_path):
    sticky = "env_config.repeat_action_probability=0.25"
    explore(tmp_path, sticky, "policy.explore_steps=30000", "num_steps=600")
    before = episodes_of(tmp_path)
    limit = "env_config.max_episode_steps=300"
    for start in ("reset", "cells", "events"):
        second = ["policy=random", f"start={start}", "start_steps=20", "num_steps=300"]
        collect(tmp_path, *second, sticky, limit)
    dataset = EpisodeDataset(tmp_path)
    assert set(before) <= set(episodes_of(tmp_path))
    jobs = {}
    for info in dataset.infos:
        jobs.setdefault(info.id.rpartition("-")[0], []).append(info)
    second = {job: infos for job, infos in jobs.items() if job.startswith("random")}
    kinds = sorted(
        (infos[0].start, "@" in infos[0].start_cell, max(i.num_steps for i in infos) <= 20)
        for infos in second.values()
    )
    assert kinds == [("reset", False, False), ("restored", False, True), ("restored", True, True)]
    with pytest.raises(ValueError, match="repeat_action_probability: 0.25 there, 0.0 now"):
        collect(tmp_path, "policy=random", limit)


def test_saved_states_must_be_there(collect, tmp_path):
    with pytest.raises(ValueError, match="start: expected reset, got cells; .*policy=go_explore"):
        collect(tmp_path, "start=cells", "num_steps=10")
    with pytest.raises(ValueError, match="start: expected reset, got events; policy=go_explore"):
        collect(tmp_path, "policy=go_explore", "start=events")


def test_a_shipped_name_as_data_collects_into_a_folder_of_that_name(collect, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    collect("montezuma_revenge", "num_steps=50", "env_config.max_episode_steps=50")
    assert EpisodeDataset("montezuma_revenge").path == tmp_path / "montezuma_revenge"
    assert EpisodeDataset(tmp_path / "montezuma_revenge").game == "FakeGame"
