import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.export_episodes import ExportConfig
from worldtokens.collect.export_episodes import main as export_main
from worldtokens.collect.import_episodes import ImportConfig
from worldtokens.collect.import_episodes import main as import_main
from worldtokens.training.command_line import compose


def export_to(*overrides):
    export_main(compose(ExportConfig, "export_episodes", list(overrides)))


def import_from(*overrides):
    sizes = ["frame_height=8", "frame_width=8"]
    import_main(compose(ImportConfig, "import_episodes", [*sizes, *overrides]))


def assert_same_episodes(one, other):
    assert len(one) == len(other)
    for left, right in zip(one.episodes, other.episodes, strict=True):
        for field in dataclasses.fields(left):
            a, b = getattr(left, field.name), getattr(right, field.name)
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            if field.name != "info":
                assert a.dtype == b.dtype, field.name


@pytest.mark.parametrize("format", ("minari", "images", "dataset"))
def test_round_trips_change_nothing(dataset_folder, tmp_path, format):
    exported = tmp_path / "exported"
    if format == "dataset":
        exported = dataset_folder
    else:
        if format == "minari":
            pytest.importorskip("minari")
        export_to(f"data={dataset_folder}", f"format={format}", f"to={exported}")
    import_from(f"format={format}", f"source={exported}", f"data={tmp_path / 'again'}")
    original, again = EpisodeDataset(dataset_folder), EpisodeDataset(tmp_path / "again")
    assert_same_episodes(original, again)
    assert again.action_meanings == original.action_meanings and not again.description.lossy
    assert again.game == "FakeGame"
    # A second import adds nothing.
    import_from(f"format={format}", f"source={exported}", f"data={tmp_path / 'again'}")
    assert len(EpisodeDataset(tmp_path / "again")) == 12


def test_exports_take_a_split_and_keep_what_is_there(dataset_folder, tmp_path):
    target = tmp_path / "png"
    export_to(f"data={dataset_folder}", "format=images", "split=heldout", f"to={target}")
    assert [path.name for path in target.iterdir()] == ["job-00000009"]
    assert len(list(target.glob("*/*.png"))) == 21
    with pytest.raises(ValueError, match="exists already; choose another folder with to=PATH"):
        export_to(f"data={dataset_folder}", "format=images", f"to={target}")
    with pytest.raises(ValueError, match="format must be minari or images, got 'zip'"):
        export_to(f"data={dataset_folder}", "format=zip", f"to={tmp_path / 'x'}")


def test_minari_exports_are_minari_datasets(dataset_folder, tmp_path):
    minari = pytest.importorskip("minari")
    export_to(f"data={dataset_folder}", "format=minari", f"to={tmp_path / 'm'}")
    dataset = minari.MinariDataset(tmp_path / "m")
    assert dataset.total_episodes == 12 and dataset.total_steps == 70
    episode = dataset[3]
    assert episode.observations.shape == (8, 8, 8, 3) and episode.actions.tolist() == [
        0, 1, 2, 3, 4, 5, 0,
    ]  # fmt: skip
    assert episode.infos["lives"].tolist() == [3] * 8


def test_jpeg_datasets_of_minari_are_marked_lossy(tmp_path):
    pytest.importorskip("minari")
    import gymnasium
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


def test_folders_of_plain_images(tmp_path):
    for episode in ("a", "b"):
        (tmp_path / "in" / episode).mkdir(parents=True)
        for number in range(11):
            picture = Image.fromarray(np.full((8, 8, 3), number * 20, np.uint8))
            picture.save(tmp_path / "in" / episode / f"frame{number}.png")
    import_from("format=images", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/d")
    dataset = EpisodeDataset(tmp_path / "d")
    assert len(dataset) == 2 and dataset.num_steps == 20 and not dataset.description.lossy
    # In natural order: frame2 before frame10.
    assert dataset.episodes[1].frames[:, 0, 0, 0].tolist() == [20 * n for n in range(11)]
    assert dataset.episodes[0].truncated.tolist() == [False] * 9 + [True]
    picture.save(tmp_path / "in" / "a" / "frame11.jpg")
    import_from("format=images", f"source={tmp_path / 'in'}", "env=Pong", f"data={tmp_path}/l")
    assert EpisodeDataset(tmp_path / "l").description.lossy


def test_episodes_of_iris_and_diamond(tmp_path):
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


def test_merging_needs_the_same_environment(dataset_folder, write_dataset, tmp_path):
    import_from("format=dataset", f"source={dataset_folder}", f"data={tmp_path}/d")
    other = tmp_path / "other"
    write_dataset(other, [2, 2])
    description = (other / "dataset.json").read_text()
    (other / "dataset.json").write_text(description.replace('"noop_max": 0', '"noop_max": 5'))
    with pytest.raises(ValueError, match="env_config.noop_max: 0 there, 5 now"):
        import_from("format=dataset", f"source={other}", f"data={tmp_path}/d")


def test_wrong_imports_are_explained(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="format must be one of dataset, images, minari, peer"):
        import_from("format=zip", f"source={tmp_path}", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match="is not a folder"):
        import_from("format=images", f"source={tmp_path}/no", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match="has no images"):
        import_from("format=images", f"source={tmp_path}/in", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match=r"has no \.pt files"):
        import_from("format=peer", f"source={tmp_path}/in", f"data={tmp_path}/d")
    (tmp_path / "in" / "1.pt").write_bytes(b"no tensor")
    with pytest.raises(ValueError, match="env is needed"):
        import_from("format=peer", f"source={tmp_path}/in", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match=r"1\.pt is not an episode of IRIS or DIAMOND"):
        import_from("format=peer", f"source={tmp_path}/in", "env=Pong", f"data={tmp_path}/d")
