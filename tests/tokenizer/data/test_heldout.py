import numpy as np

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.tokenizer.data.heldout import load_heldout


class Source:
    """Frames whose grey level is their index."""

    game = "FakeGame"
    frame_shape = (2, 2, 3)

    def __init__(self, *lengths):
        self.frame_starts = np.cumsum([0, *lengths])
        self.num_frames = int(self.frame_starts[-1])
        self.scene = np.arange(self.num_frames) % 2

    def gather_frames(self, indices):
        frames = np.zeros((len(indices), 2, 2, 3), np.uint8)
        frames[:] = np.asarray(indices)[:, None, None, None]
        return frames


def test_frames_come_with_the_next_one():
    heldout = load_heldout(Source(3, 1, 2), None, count=100)
    # The last frame of each episode has none.
    assert heldout.frames[:, 0, 0, 0].tolist() == [0, 1, 4]
    assert heldout.next_frames is not None
    assert heldout.next_frames[:, 0, 0, 0].tolist() == [1, 2, 5]
    assert heldout.scenes.tolist() == [0, 1, 0]
    assert not heldout.foreground.any()


def test_the_draw_is_the_same_every_time():
    first, second = (load_heldout(Source(50, 50), None, count=10) for _ in range(2))
    assert len(first.frames) == 10 and np.array_equal(first.frames, second.frames)


def test_images_have_no_next_frame():
    heldout = load_heldout(Source(1, 1, 1), None, count=2)
    assert len(heldout.frames) == 2 and heldout.next_frames is None


def test_foreground_is_marked():
    backgrounds = SceneBackgrounds(np.array([0, 1]), np.full((2, 2, 2, 3), 60, np.uint8), 1)
    source = Source(30, 1)
    source.frame_shape = (2, 2, 3)
    heldout = load_heldout(source, SceneBackgrounds(np.array([0]), backgrounds.medians[:1], 1), 100)
    # Levels 0 to 18 differ from 60 by more than 40; row 0 is the score, scene 1 is unknown.
    marked = heldout.foreground.any(axis=(1, 2))
    assert heldout.frames[marked, 0, 0, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert not heldout.foreground[:, 0].any()
