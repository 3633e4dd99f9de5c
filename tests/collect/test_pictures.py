import numpy as np
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.pictures import room_frames, save_contact_sheet, save_room_map


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_room_frames_are_typical_and_true(dataset_folder):
    dataset = EpisodeDataset(dataset_folder)
    frames = room_frames(dataset)
    assert sorted(frames) == [0, 1, 2]
    everything = dataset.read_frames(0, dataset.num_frames)
    for room, frame in frames.items():
        assert any((frame == true).all() for true in everything[dataset.scene == room])


def test_the_map_shows_each_room_in_its_place(dataset_folder, tmp_path):
    dataset = EpisodeDataset(dataset_folder)
    assert save_room_map(dataset, tmp_path / "map.png")
    picture = pixels(tmp_path / "map.png")
    # Three tiles of 16 pixels side by side, 4 apart, under labels of 14.
    assert picture.shape == (4 + 14 + 16 + 4, 3 * (16 + 4) + 4, 3)
    for room, frame in room_frames(dataset).items():
        x = 4 + room * 20
        shown = picture[18:34:2, x : x + 16 : 2]
        np.testing.assert_array_equal(shown, frame)


def test_contact_sheets_need_no_rooms(dataset_folder, tmp_path, monkeypatch):
    dataset = EpisodeDataset(dataset_folder)
    save_contact_sheet(dataset, tmp_path / "rooms.png")
    assert pixels(tmp_path / "rooms.png").shape[1] == 3 * 20 + 4
    monkeypatch.setattr(type(dataset), "scene", np.zeros(dataset.num_frames, np.int64))
    save_contact_sheet(dataset, tmp_path / "frames.png")
    assert pixels(tmp_path / "frames.png").shape[:2] == (3 * 34 + 4, 8 * 20 + 4)
