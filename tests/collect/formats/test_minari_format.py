import gymnasium
import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset


def test_minari_exports_are_minari_datasets(dataset_folder, tmp_path, export_to):
    minari = pytest.importorskip("minari")
    export_to(f"data={dataset_folder}", "format=minari", f"to={tmp_path / 'm'}")
    dataset = minari.MinariDataset(tmp_path / "m")
    assert dataset.total_episodes == 12 and dataset.total_steps == 70
    episode = dataset[3]
    assert episode.observations.shape == (8, 8, 8, 3) and episode.actions.tolist() == [
        0, 1, 2, 3, 4, 5, 0,
    ]  # fmt: skip
    assert episode.infos["lives"].tolist() == [3] * 8


def test_jpeg_datasets_of_minari_are_marked_lossy(tmp_path, import_from):
    pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(
        tmp_path / "jpeg",
        observation_space=gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8),
        action_space=gymnasium.spaces.Discrete(6),
    )
    storage.update_metadata({"dataset_id": "x/y-v0", "minari_version": "0.5.4"})
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    no = np.zeros(3, bool)
    storage.update_episodes([EpisodeBuffer(0, 5, None, frames, np.ones(3, int), no + 0.5, no, no)])
    import_from("format=minari", f"source={tmp_path / 'jpeg'}", "env=Pong", f"data={tmp_path}/d")
    dataset = EpisodeDataset(tmp_path / "d")
    assert dataset.description.lossy and dataset.game == "Pong" and dataset.num_actions == 6
    assert dataset.episodes[0].frames.shape == (4, 8, 8, 3)
    assert dataset.episodes[0].seed == 5 and dataset.episodes[0].rewards.tolist() == [0.5] * 3
