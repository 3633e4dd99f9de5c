import numpy as np
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
