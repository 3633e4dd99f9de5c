import numpy as np

from worldtokens.tokenizer.data.backgrounds import (
    SceneBackgrounds,
    fit_backgrounds,
    is_close,
    score_rows,
)


def frames_of(*values, size=4):
    return np.stack([np.full((size, size, 3), value, np.uint8) for value in values])


def test_foreground_is_what_differs_from_the_median_of_its_scene():
    frames = frames_of(10, 10, 10, 200, 200, 200)
    scenes = np.array([1, 1, 1, 7, 7, 7])
    frames[0, 2, 3] = (10, 10, 51)
    frames[0, 1, 1] = (10, 50, 10)
    frames[0, 0, 0] = (255, 255, 255)
    frames[5, 3, 3] = (200, 159, 200)
    backgrounds = SceneBackgrounds.fit(frames, scenes, score_rows=1)
    assert backgrounds.scenes.tolist() == [1, 7]
    assert backgrounds.medians[:, 0, 0, 0].tolist() == [10, 200]
    mask = backgrounds.foreground(frames, scenes)
    assert np.argwhere(mask).tolist() == [[0, 2, 3], [5, 3, 3]]


def test_a_frame_that_shows_another_scene_has_no_foreground():
    frames = frames_of(10, 10, 200, 200, 200, size=10)
    scenes = np.array([1, 1, 7, 7, 1])
    frames[0, 0, :] = 255
    frames[1, :2, :6] = 255
    backgrounds = SceneBackgrounds.fit(frames[[2, 3]], scenes[[2, 3]], score_rows=0)
    assert backgrounds.foreground(frames[:1], np.array([7])).all(), "one scene: no other to show"
    medians = np.concatenate([frames_of(10, size=10), backgrounds.medians])
    backgrounds = SceneBackgrounds(np.array([1, 7]), medians, score_rows=0)
    sizes = backgrounds.foreground(frames, scenes).sum(axis=(1, 2))
    assert sizes.tolist() == [10, 0, 0, 0, 0]


def test_a_scene_that_was_not_seen_has_no_foreground():
    backgrounds = SceneBackgrounds.fit(frames_of(0), np.array([3]), score_rows=0)
    for scene in (2, 4):
        assert not backgrounds.foreground(frames_of(255), np.array([scene])).any()


def test_score_rows_of_known_and_unknown_games():
    assert score_rows("MontezumaRevenge", 64) == 14
    assert score_rows("MontezumaRevenge", 210) == 46
    assert score_rows("Pong", 64) == 0


def test_close_pixels_agree_in_every_channel():
    true = frames_of(100)
    reconstruction = true.copy()
    reconstruction[0, 0, 0], reconstruction[0, 0, 1] = (140, 60, 100), (100, 100, 141)
    assert np.argwhere(~is_close(true, reconstruction)).tolist() == [[0, 0, 1]]


def test_backgrounds_of_a_source_are_the_medians_of_its_scenes():
    class Source:
        game = "MontezumaRevenge"
        frame_shape = (4, 4, 3)
        scene = np.array([3, 0, 0, 0, 3])

        def gather_frames(self, indices):
            return frames_of(7, 10, 90, 20, 7)[indices]

    backgrounds = fit_backgrounds(Source())
    assert backgrounds.scenes.tolist() == [0, 3]
    assert backgrounds.medians[:, 0, 0, 0].tolist() == [20, 7]
    assert backgrounds.score_rows == 1
