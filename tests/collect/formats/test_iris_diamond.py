import torch

from worldtokens.collect import EpisodeDataset


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
