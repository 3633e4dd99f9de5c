import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.formats.iris_diamond import read_peer_episodes


def save(path, **changes):
    """Saves an episode of 4 steps in IRIS's form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    observations = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    episode = {
        "observations": observations.clone(), "actions": torch.tensor([1, 2, 3, 4]),
        "rewards": torch.tensor([0.0, 1.0, 0.0, 2.0]), "ends": torch.tensor([0, 0, 0, 1]),
    }  # fmt: skip
    torch.save({**episode, **changes}, path)


def test_episodes_of_iris_and_diamond(tmp_path, import_from):
    observations = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    (tmp_path / "in").mkdir()
    torch.save(
        {
            "observations": observations.clone(),
            "actions": torch.tensor([1, 2, 3, 4]),
            "rewards": torch.tensor([0.0, 1.0, 0.0, 2.0]),
            "ends": torch.tensor([0, 0, 0, 1]),
        },
        tmp_path / "in" / "0.pt",
    )
    torch.save(
        {
            "obs": observations.clone(),
            "act": torch.tensor([1, 2, 3, 4]),
            "rew": torch.zeros(4),
            "end": torch.zeros(4, dtype=torch.uint8),
            "trunc": torch.tensor([0, 0, 0, 1]),
            "info": {"final_observation": torch.full((3, 8, 8), 9, dtype=torch.uint8)},
        },
        tmp_path / "in" / "1.pt",
    )
    import_from("format=peer", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/d")
    iris, diamond = EpisodeDataset(tmp_path / "d").episodes
    assert iris.frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 3]
    assert iris.actions.tolist() == [1, 2, 3, 4] and iris.rewards.tolist() == [0, 1, 0, 2]
    assert iris.terminated.tolist() == [False] * 3 + [True] and not iris.truncated.any()
    assert diamond.frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 9]
    assert diamond.truncated.tolist() == [False] * 3 + [True]


def test_files_that_are_no_episodes_are_skipped_and_counted(tmp_path, import_from, capsys):
    save(tmp_path / "in" / "000" / "0.pt")
    save(tmp_path / "in" / "000" / "._0.pt")
    torch.save({"num_episodes": 1}, tmp_path / "in" / "info.pt")
    (tmp_path / "in" / "broken.pt").write_bytes(b"no tensor")
    import_from("format=peer", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/d")
    assert len(EpisodeDataset(tmp_path / "d")) == 1
    printed = capsys.readouterr().out
    assert "skipped    2 files that are no episodes: " in printed and "\x1b" not in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        (
            {"actions": torch.tensor([0, 9, 1, 1])},
            r"actions: expected numbers in \[0, 6\), got 9",
        ),
        ({"rewards": torch.tensor([0, float("nan"), 0, 0])}, "finite numbers, got nan at step 1"),
        ({"ends": torch.tensor([0, 1, 0, 1])}, "end at the last step only, got one at step 1 of 4"),
        ({"observations": torch.full((4, 3, 8, 8), 200.0)}, "got numbers from 200 to 200"),
        ({"observations": torch.zeros(4, 1, 8, 8)}, r"expected shape \(T, 3, H, W\)"),
    ),
)
def test_one_bad_episode_costs_that_one(tmp_path, import_from, capsys, changes, message):
    save(tmp_path / "in" / "0.pt")
    save(tmp_path / "in" / "1.pt", **changes)
    save(tmp_path / "in" / "2.pt")
    import_from("format=peer", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/d")
    assert len(EpisodeDataset(tmp_path / "d")) == 2
    printed = capsys.readouterr().out
    assert "left out   1 bad episodes, the first: " in printed
    save(tmp_path / "bad" / "0.pt", **changes)
    with pytest.raises(ValueError, match=f"source: expected episodes, got 1 in .*: .*{message}"):
        import_from("format=peer", f"source={tmp_path / 'bad'}", "env=Pong", f"data={tmp_path}/e")
    assert not (tmp_path / "e").exists()


def test_all_18_actions_on_request(tmp_path, import_from):
    save(tmp_path / "in" / "0.pt", actions=torch.tensor([0, 17, 9, 1]))
    source = ["format=peer", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/d"]
    with pytest.raises(ValueError, match="set full_action_space=true if it was recorded with all"):
        import_from(*source)
    import_from(*source, "full_action_space=true")
    dataset = EpisodeDataset(tmp_path / "d")
    assert dataset.num_actions == 18 and dataset.episodes[0].actions.tolist() == [0, 17, 9, 1]


def test_floats_are_scaled_and_frames_shrunk(tmp_path):
    ramp = torch.linspace(-1, 1, 4).view(4, 1, 1, 1).expand(4, 3, 16, 16).contiguous()
    save(tmp_path / "0.pt", observations=ramp)
    (loader,) = read_peer_episodes(tmp_path).loaders
    frames = loader((8, 8)).frames
    assert frames.shape == (5, 8, 8, 3) and frames[:, 0, 0, 0].tolist() == [0, 85, 170, 255, 255]


def test_episodes_of_any_game_are_imported(tmp_path, import_from):
    torch.save(
        {
            "observations": torch.full((3, 3, 8, 8), 7, dtype=torch.uint8),
            "actions": torch.tensor([0, 4, 2]),
            "rewards": torch.ones(3),
            "ends": torch.tensor([0, 0, 1]),
        },
        tmp_path / "0.pt",
    )
    peer = ["format=peer", f"source={tmp_path}", "env=gymnasium:Crafter", f"data={tmp_path}/d"]
    with pytest.raises(ValueError, match="action_names: expected a name for each action of gymnas"):
        import_from(*peer)
    import_from(*peer, "action_names=[NOOP,LEFT,RIGHT,UP,DOWN]")
    dataset = EpisodeDataset(tmp_path / "d")
    assert dataset.game == "gymnasium:Crafter" and dataset.action_meanings[4] == "DOWN"
    assert dataset.episodes[0].actions.tolist() == [0, 4, 2]
