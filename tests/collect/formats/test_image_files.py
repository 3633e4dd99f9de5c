import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset


def test_folders_of_plain_images(tmp_path, import_from):
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


def test_pictures_of_several_sizes_and_files_beside_them(tmp_path, import_from):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, size in enumerate(((8, 8), (16, 8), (40, 60))):
        Image.new("RGB", size, (number * 50, 0, 0)).save(folder / f"{number}.png")
        (folder / f"._{number}.png").write_bytes(b"\0\5\x16\7")
    import_from("format=images", f"source={folder}", "env=Pong", f"data={tmp_path}/d")
    frames = EpisodeDataset(tmp_path / "d").episodes[0].frames
    assert frames.shape == (3, 8, 8, 3) and frames[:, 0, 0, 0].tolist() == [0, 50, 100]


def test_a_damaged_episode_costs_that_one(dataset_folder, tmp_path, export_to, import_from, capsys):
    export_to(f"data={dataset_folder}", "format=images", f"to={tmp_path / 'x'}")
    arrays = tmp_path / "x" / "job-00000003" / "episode.npz"
    arrays.write_bytes(arrays.read_bytes()[:-40])
    header = {"info": {"id": "../../evil", "seed": 1, "start": "reset", "num_steps": 2,
                       "total_reward": 0.0}}  # fmt: skip
    path = tmp_path / "x" / "job-00000011" / "episode.npz"
    with np.load(path) as file:
        content = dict(file)
    content["facts"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **content)
    import_from("format=images", f"source={tmp_path / 'x'}", "env=FakeGame", f"data={tmp_path}/d")
    assert len(EpisodeDataset(tmp_path / "d")) == 10
    assert "left out   2 bad episodes, the first: " in capsys.readouterr().out
    assert not (tmp_path.parent / "evil").exists()


def test_pictures_of_other_kinds_are_named(tmp_path, import_from):
    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / f"{number}.gif")
    with pytest.raises(ValueError, match=r"source: expected images \(.bmp.*got .gif files; conver"):
        import_from("format=images", f"source={tmp_path}/in", "env=Pong", f"data={tmp_path}/d")


def test_large_pictures_are_shrunk_one_by_one(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (1920, 1080), (40, 80, 120)).save(folder / "000.png")
    for number in range(1, 150):
        (folder / f"{number:03d}.png").hardlink_to(folder / "000.png")
    script = (
        "from worldtokens.collect.import_episodes import cli; cli(); "
        "print(open('/proc/self/status').read())"
    )
    words = ["format=images", f"source={folder}", "env=FakeGame", f"data={tmp_path}/d"]
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # All at once they take 930 MB.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) < 900_000
    assert len(EpisodeDataset(tmp_path / "d").infos) == 1
