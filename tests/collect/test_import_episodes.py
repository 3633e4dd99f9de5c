import json

import h5py
import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset


@pytest.mark.parametrize("format", ("minari", "images", "dataset"))
def test_round_trips_change_nothing(
    dataset_folder, tmp_path, format, export_to, import_from, assert_same_episodes
):
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


def test_merging_needs_the_same_environment(dataset_folder, write_dataset, tmp_path, import_from):
    import_from("format=dataset", f"source={dataset_folder}", f"data={tmp_path}/d")
    other = tmp_path / "other"
    write_dataset(other, [2, 2])
    description = json.loads((other / "dataset.json").read_text())
    description["env"]["noop_max"] = 5
    del description["digest"]
    (other / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match="env_config.noop_max: 0 there, 5 now"):
        import_from("format=dataset", f"source={other}", f"data={tmp_path}/d")


def test_wrong_imports_are_explained(tmp_path, import_from):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="format: expected one of dataset, images, minari, peer,"):
        import_from("format=zip", f"source={tmp_path}", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match="source: expected a folder, got .*no, which is none"):
        import_from("format=images", f"source={tmp_path}/no", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match=r"source: expected images .*, got none, two or more"):
        import_from("format=images", f"source={tmp_path}/in", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match=r"source: expected a \.pt file per episode .*, got none"):
        import_from("format=peer", f"source={tmp_path}/in", f"data={tmp_path}/d")
    (tmp_path / "in" / "1.pt").write_bytes(b"no tensor")
    with pytest.raises(ValueError, match="env: expected the name of a game, got null"):
        import_from("format=peer", f"source={tmp_path}/in", f"data={tmp_path}/d")
    with pytest.raises(ValueError, match=r"1\.pt is not an episode of IRIS or DIAMOND"):
        import_from("format=peer", f"source={tmp_path}/in", "env=Pong", f"data={tmp_path}/d")


def test_bad_episodes_of_a_dataset_are_left_out(dataset_folder, tmp_path, import_from, capsys):
    shard = sorted((dataset_folder / "shards").glob("*.h5"))[0]
    with h5py.File(shard, "r+") as file:
        rewards = file["rewards"]
        assert isinstance(rewards, h5py.Dataset)
        rewards[3] = np.nan
    with pytest.raises(ValueError, match="make a dataset without such episodes"):
        _ = EpisodeDataset(dataset_folder).steps
    import_from("format=dataset", f"source={dataset_folder}", f"data={tmp_path}/d")
    assert "left out   1 bad episodes" in capsys.readouterr().out
    assert len(EpisodeDataset(tmp_path / "d")) == 11
