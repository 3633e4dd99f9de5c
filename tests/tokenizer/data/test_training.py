import numpy as np
import torch

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.tokenizer.data.training import TrainingFrames


class Source:
    """Nine frames of scene 0 and one of scene 5; the grey level is the scene."""

    game = "FakeGame"
    num_frames = 10
    frame_shape = (2, 2, 3)
    frame_starts = np.array([0, 10])
    scene = np.array([0] * 9 + [5])

    def gather_frames(self, indices):
        frames = np.zeros((len(indices), 2, 2, 3), np.uint8)
        frames[:] = self.scene[indices][:, None, None, None]
        return frames


def test_balanced_scenes_are_drawn_equally_often():
    shares = []
    for balance in (False, True):
        batch = TrainingFrames(Source(), balance).draw(2000, np.random.default_rng(0))
        assert batch.frames.dtype == torch.uint8 and batch.foreground is None
        shares.append(float((batch.frames[:, 0, 0, 0] == 5).float().mean()))
    assert abs(shares[0] - 0.1) < 0.03 and abs(shares[1] - 0.5) < 0.04


def test_the_same_generator_draws_the_same_frames():
    frames = TrainingFrames(Source(), balance=True)
    first, second = (frames.draw(20, np.random.default_rng(3)).frames for _ in range(2))
    assert torch.equal(first, second)


def test_foreground_is_marked_where_backgrounds_are_given():
    medians = np.zeros((1, 2, 2, 3), np.uint8)
    medians[0, 1] = 200
    backgrounds = SceneBackgrounds(np.array([0]), medians, score_rows=0)
    batch = TrainingFrames(Source(), False, backgrounds).draw(50, np.random.default_rng(0))
    assert batch.foreground is not None
    known = batch.frames[:, 0, 0, 0] == 0
    assert batch.foreground[known][:, 1].all() and not batch.foreground[:, 0].any()
    assert not batch.foreground[~known].any()


class Numbered(Source):
    """Ten frames of two episodes; the grey level is the frame's number."""

    frame_starts = np.array([0, 4, 10])

    def gather_frames(self, indices):
        return np.broadcast_to(indices[:, None, None, None], (len(indices), 2, 2, 3)).astype("u1")


def test_pairs_are_the_drawn_frames_and_those_before_them():
    source = Numbered()
    drawn = TrainingFrames(source, True).draw(200, np.random.default_rng(4)).frames
    frames, previous = TrainingFrames(source, True).draw_pairs(200, np.random.default_rng(4))
    assert torch.equal(frames, drawn)
    numbers, before = frames[:, 0, 0, 0].tolist(), previous[:, 0, 0, 0].tolist()
    assert {0, 4} < set(numbers)
    assert before == [n if n in (0, 4) else n - 1 for n in numbers]
