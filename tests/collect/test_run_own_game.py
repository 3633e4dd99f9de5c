"""Collecting on environments of gymnasium that are none of Atari."""

from pathlib import Path

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.run import CollectConfig
from worldtokens.collect.run import main as collect_main
from worldtokens.envs import make_env_from_config
from worldtokens.training.command_line import compose

ENVS = Path(__file__).parents[1] / "envs"
SMALL = ["env_config.frame_height=24", "env_config.frame_width=24", "num_workers=1"]
EXPLORE = ["policy.explore_steps=200", "policy.num_explorations=1", "num_steps=100"]


@pytest.fixture(autouse=True)
def own_environments(monkeypatch):
    monkeypatch.syspath_prepend(ENVS)


def collect(folder, target, *overrides):
    arguments = ["env=Dot", f"data={folder}", f"env_config._target_=dot_env.{target}", *SMALL]
    collect_main(compose(CollectConfig, "collect", [*arguments, *overrides]))
    return EpisodeDataset(folder)


@pytest.mark.parametrize("target", ("DotEnv", "Uncopied"))
def test_exploration_restores_states(tmp_path, capsys, target):
    dataset = collect(tmp_path / "d", target, *EXPLORE)
    printed = capsys.readouterr().out
    assert "picture        observation 'camera': float32 (3, 24, 24), axes CHW, RGB" in printed
    assert "actions        A0_0, A0_1, A1_0, A1_1, A2_0, A2_1" in printed and "note" not in printed
    assert dataset.game == "gymnasium:Dot" and dataset.num_steps >= 100
    assert {info.start for info in dataset.infos} >= {"restored"}
    assert list((tmp_path / "d" / "archives").glob("go_explore-*.npz"))
    # What was recorded is what the environment shows.
    episode = next(e for e in dataset.episodes if e.start == "reset" or e.num_steps > 3)
    assert episode.frames[0, :, :, 0].max() == 255 and (episode.frames[..., 2] == 51).all()
    assert set(np.unique(episode.lives)) <= {1, 2, 3} and not episode.ram.any()


def test_both_ways_of_restoring_record_the_same(tmp_path, assert_same_episodes):
    first, second = (
        collect(tmp_path / target, target, *EXPLORE) for target in ("DotEnv", "Uncopied")
    )
    assert_same_episodes(first, second)


def test_an_environment_that_does_not_repeat_is_played_from_resets(tmp_path, capsys):
    dataset = collect(tmp_path / "d", "UnseededEnv", *EXPLORE)
    assert "note: a restored state goes on differently, 1 steps later; policy=held_random" in (
        capsys.readouterr().out
    )
    assert {info.start for info in dataset.infos} == {"reset"}
    assert all(info.id.startswith("held_random-") for info in dataset.infos)
    assert not (tmp_path / "d" / "archives").exists()


def test_a_dataset_remembers_how_its_environment_is_made(tmp_path):
    dataset = collect(tmp_path / "d", "DotEnv", "policy=random", "num_steps=5", "seed=4")
    env = make_env_from_config(dataset.env_config)
    episode = dataset.episodes[0]
    frame, _ = env.reset(seed=episode.seed)
    frames = [frame, *(env.step(action)[0] for action in episode.actions)]
    assert (np.stack(frames) == episode.frames).all()
    with pytest.raises(ValueError, match="env_config.kwargs: None there, .'size': 30. now"):
        collect(tmp_path / "d", "DotEnv", "policy=random", "env_config.kwargs={size: 30}")


def test_folders_have_the_id_without_its_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["env=gymnasium:CartPole-v1", "policy=random", "num_steps=5", "num_workers=1"]
    collect_main(compose(CollectConfig, "collect", arguments))
    assert EpisodeDataset("data/CartPole-v1").game == "gymnasium:CartPole-v1"
