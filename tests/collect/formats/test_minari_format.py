import gymnasium
import h5py
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import EnvConfig


def test_minari_exports_are_minari_datasets(dataset_folder, tmp_path, export_to):
    minari = pytest.importorskip("minari")
    export_to(f"data={dataset_folder}", "format=minari", f"to={tmp_path / 'm'}")
    dataset = minari.MinariDataset(tmp_path / "m" / "worldtokens" / "FakeGame-v0" / "data")
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


@pytest.fixture
def exported(dataset_folder, tmp_path, export_to, monkeypatch, capsys):
    """The root of an export, which is Minari's own here."""
    pytest.importorskip("minari")
    root = tmp_path / "root"
    export_to(f"data={dataset_folder}", "format=minari", f"to={root}")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    line = f"open it    MINARI_DATASETS_PATH={root}: minari.load_dataset('worldtokens/FakeGame-v0')"
    assert line in capsys.readouterr().out
    return root


def test_minari_finds_an_export_by_its_id_and_makes_its_environment(exported):
    import minari

    assert list(minari.list_local_datasets()) == ["worldtokens/FakeGame-v0"]
    dataset = minari.load_dataset("worldtokens/FakeGame-v0")
    assert dataset.id == "worldtokens/FakeGame-v0" and dataset.total_episodes == 12
    env = dataset.recover_environment()
    frame, _ = env.reset(seed=0)
    assert frame.shape == dataset.observation_space.shape == (8, 8, 3)
    assert env.action_space == dataset.action_space == gymnasium.spaces.Discrete(6)
    assert env.unwrapped.config == EnvConfig("FakeGame", frame_height=8, frame_width=8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchrl_opens_an_export(exported, tmp_path):
    pytest.importorskip("torchrl")
    from torchrl.data.datasets.minari_data import MinariExperienceReplay

    replay = MinariExperienceReplay(
        "worldtokens/FakeGame-v0", batch_size=4, root=tmp_path / "rl", split_trajs=False,
        load_from_local_minari=True,
    )  # fmt: skip
    assert len(replay) == 70


def test_a_second_export_needs_another_id(exported, dataset_folder, export_to):
    import minari

    with pytest.raises(ValueError, match="to: expected a folder that does not exist yet, got"):
        export_to(f"data={dataset_folder}", "format=minari", f"to={exported}")
    export_to(f"data={dataset_folder}", "format=minari", f"to={exported}", "id=mine/fake-v3")
    assert list(minari.list_local_datasets()) == ["mine/fake-v3", "worldtokens/FakeGame-v0"]
    with pytest.raises(ValueError, match="id: expected NAMESPACE/NAME-vNUMBER, .* got '../x-v0'"):
        export_to(f"data={dataset_folder}", "format=minari", f"to={exported}", "id=../x-v0")
    with pytest.raises(ValueError, match="id: expected null for format=images, got 'a-v0'"):
        export_to(f"data={dataset_folder}", "format=images", f"to={exported}/p", "id=a-v0")


@pytest.mark.parametrize("source", ("worldtokens/FakeGame-v0", "root", "folder", "data"))
def test_imports_take_an_id_the_root_or_the_folder(
    exported, dataset_folder, tmp_path, source, import_from, assert_same_episodes
):
    folder = exported / "worldtokens" / "FakeGame-v0"
    places = {"root": exported, "folder": folder, "data": folder / "data"}
    import_from("format=minari", f"source={places.get(source, source)}", f"data={tmp_path}/d")
    again = EpisodeDataset(tmp_path / "d")
    assert_same_episodes(EpisodeDataset(dataset_folder), again)
    assert again.env_config == EpisodeDataset(dataset_folder).env_config


def test_an_environment_of_the_user_goes_out_and_comes_back(
    tmp_path, export_to, import_from, monkeypatch
):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    env = EnvConfig("gymnasium:CartPole-v1", frame_height=8, frame_width=8, action_repeat=2)
    write_description(tmp_path / "own", DatasetDescription(env, ("LEFT", "RIGHT"), (8, 8, 3)))
    writer = ShardWriter(tmp_path / "own" / "shards", "test", (8, 8, 3))
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    writer.append(
        Episode(
            EpisodeInfo("e", 4, "reset", 2, 1.0), frames, np.array([1, 0]),
            np.ones(2, np.float32) / 2, np.zeros(2, bool), np.array([False, True]),
            np.zeros((3, 128), np.uint8), np.zeros(3, np.uint8),
        )
    )  # fmt: skip
    writer.flush()
    export_to(f"data={tmp_path / 'own'}", "format=minari", f"to={tmp_path / 'root'}")
    recovered = minari.load_dataset("worldtokens/CartPole_v1-v0").recover_environment()
    assert recovered.unwrapped.config == env and recovered.reset(seed=0)[0].shape == (8, 8, 3)
    import_from("format=minari", "source=worldtokens/CartPole_v1-v0", f"data={tmp_path}/d")
    again = EpisodeDataset(tmp_path / "d")
    assert (again.episodes[0].frames == frames).all() and again.env_config == env
    assert again.action_meanings == ("LEFT", "RIGHT")


def test_other_pictures_and_actions_are_converted(tmp_path, import_from):
    pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    box, flag = gymnasium.spaces.Box(0.0, 1.0, (16, 16), np.float32), gymnasium.spaces.Discrete(2)
    storage = MinariStorage.new(
        tmp_path / "m",
        observation_space=gymnasium.spaces.Dict({"flag": flag, "view": box}),
        action_space=gymnasium.spaces.MultiDiscrete([3, 2]),
        env_spec=EnvSpec("MiniGrid-Empty-5x5-v0", entry_point="minigrid.envs:EmptyEnv"),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata({"dataset_id": "x/y-v0", "minari_version": "0.5.4"})
    view, no = np.zeros((3, 16, 16), np.float32), np.zeros(2, bool)
    view[1] = 1.0
    seen = {"flag": np.zeros(3, int), "view": view}
    actions = np.array([[2, 1], [0, 1]])
    storage.update_episodes([EpisodeBuffer(0, 5, None, seen, actions, no + 0.5, no, no)])
    import_from("format=minari", f"source={tmp_path / 'm'}", f"data={tmp_path}/d")
    dataset = EpisodeDataset(tmp_path / "d")
    assert dataset.game == "gymnasium:MiniGrid-Empty-5x5-v0" and dataset.num_actions == 6
    episode = dataset.episodes[0]
    assert episode.actions.tolist() == [5, 1]
    assert episode.frames.max(axis=(1, 2, 3)).tolist() == [0, 255, 0]


def test_sources_that_are_none_are_explained(exported, dataset_folder, export_to, import_from):
    with pytest.raises(ValueError, match="expected a folder, or an id of a dataset in .*, got x"):
        import_from("format=minari", "source=x/no-v0")
    export_to(f"data={dataset_folder}", "format=minari", f"to={exported}", "id=mine/fake-v3")
    with pytest.raises(ValueError, match="expected one dataset in .*root, got 2: mine/fake-v3, wo"):
        import_from("format=minari", f"source={exported}")
    (exported / "empty").mkdir()
    with pytest.raises(ValueError, match="empty is not a Minari dataset .*expected metadata.json"):
        import_from("format=minari", f"source={exported / 'empty'}")
