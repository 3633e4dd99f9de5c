import gymnasium
import h5py
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


@pytest.fixture
def counted_from_one(tmp_path):
    """A dataset whose actions are 1 to 6."""
    pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(
        tmp_path / "minari",
        observation_space=gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8),
        action_space=gymnasium.spaces.Discrete(6, start=1),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata({"dataset_id": "x/y-v0", "minari_version": "0.5.4"})
    frames, no = np.zeros((4, 8, 8, 3), np.uint8), np.zeros(3, bool)
    actions = np.array([1, 6, 2])
    storage.update_episodes([EpisodeBuffer(0, 5, None, frames, actions, no + 0.5, no, no)])
    return tmp_path / "minari"


def test_actions_of_a_space_with_a_start_are_counted_from_0(
    counted_from_one, tmp_path, import_from
):
    import_from("format=minari", f"source={counted_from_one}", "env=Pong", f"data={tmp_path}/d")
    assert EpisodeDataset(tmp_path / "d").episodes[0].actions.tolist() == [0, 5, 1]


def test_links_to_other_files_are_not_followed(counted_from_one, tmp_path, import_from):
    path = counted_from_one / "main_data.hdf5"
    with h5py.File(path, "r+") as file:
        del file["episode_0/rewards"]
        file["episode_0/rewards"] = h5py.ExternalLink("/etc/other.h5", "rewards")
    source = ["format=minari", f"source={counted_from_one}", "env=Pong", f"data={tmp_path}/d"]
    with pytest.raises(ValueError, match="episode_0/rewards is a link, which is not followed"):
        import_from(*source)
    with h5py.File(path, "r+") as file:
        del file["episode_0/rewards"]
        file.create_dataset("episode_0/rewards", shape=(10**12,), dtype="f4", chunks=(1024,))
    with pytest.raises(ValueError, match="episode_0/rewards is not stored in the file"):
        import_from(*source)
