import numpy as np

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model.evaluation.readers import LivesReader, SceneReader, evenly_by_class


def test_the_nearest_scene_is_read_below_the_score_bar():
    medians = np.zeros((2, 4, 4, 3), np.uint8)
    medians[1] = 100
    reader = SceneReader(SceneBackgrounds(np.array([3, 7]), medians, score_rows=1))
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    frames[0, 0] = 255  # The score alone.
    frames[1, 1:] = 60
    frames[2, 1:] = 40
    assert reader.read(frames).tolist() == [3, 7, 3]


def test_lives_are_read_from_the_pixels_that_show_nothing_else():
    lives = np.array([1, 2, 3] * 4)
    frames = np.zeros((12, 4, 8, 3), np.uint8)
    for icon in range(3):
        frames[lives > icon, 1, 2 * icon] = 200
    # The score, which is often higher with fewer lives, and something below the bar.
    frames[:, 0, 5] = np.where(lives == 1, 250, 0)[:, None] * (np.arange(12) > 2)[:, None]
    frames[:, 3] = 30 * lives[:, None, None]
    reader = LivesReader.fit(frames, lives, score_rows=2)
    assert reader is not None
    assert np.argwhere(reader.area).tolist() == [[1, 2], [1, 4]]
    assert reader.read(frames).tolist() == lives.tolist()
    frames[0, 1, 2] = 200
    assert reader.read(frames[:1]).tolist() == [2]


def test_lives_that_never_change_or_are_not_visible_cannot_be_read():
    frames = np.zeros((4, 2, 2, 3), np.uint8)
    assert LivesReader.fit(frames, np.array([3, 3, 3, 3]), 0) is None
    assert LivesReader.fit(frames, np.array([3, 2, 1, 0]), 0) is None


def test_rows_of_each_class_are_spaced_evenly():
    classes = np.array([0, 0, 0, 1, 0, 0])
    assert evenly_by_class(classes, most=3).tolist() == [0, 2, 3, 5]
