import numpy as np


def test_segments_stay_in_their_episode_and_are_padded(dataset):
    # Frames 2 to 5 of episode 0, then nothing; frames 0 to 4 of episode 3 (global 12).
    batch = dataset.segments_at(np.array([2, 12]), 5)
    assert batch.frames.shape == (2, 5, 8, 8, 3) and batch.frames.dtype == np.uint8
    assert batch.frames[0, :, 0, 0, 1].tolist() == [2, 3, 4, 5, 0]
    assert batch.mask[0].tolist() == [True, True, True, True, False]
    assert batch.action_mask[0].tolist() == [True, True, True, False, False]
    assert batch.actions[0].tolist() == [2, 3, 4, 0, 0] and batch.actions.dtype == np.int64
    assert batch.rewards[0].tolist() == [2.0, 3.0, 4.0, 0.0, 0.0]
    assert batch.rewards.dtype == np.float32
    assert batch.terminated[0].tolist() == [False, False, True, False, False]
    assert not batch.truncated[0].any()
    assert batch.frames[1, :, 0, 0, 0].tolist() == [3] * 5
    assert batch.mask[1].all() and batch.action_mask[1].all()
    assert batch.actions[1].tolist() == [0, 1, 2, 3, 4]


def test_a_segment_that_ends_with_its_episode_does_not_see_the_next(dataset):
    # Episode 2 has frames 10 and 11, and one step.
    batch = dataset.segments_at(np.array([10, 11]), 3)
    assert batch.frames[:, :, 0, 0, 0].tolist() == [[2, 2, 0], [2, 0, 0]]
    assert batch.mask.tolist() == [[True, True, False], [True, False, False]]
    assert batch.action_mask.tolist() == [[True, False, False], [False, False, False]]
    assert batch.terminated.tolist() == [[True, False, False], [False] * 3]


def test_a_batch_says_what_it_is_in_one_line(dataset):
    assert repr(dataset.segments_at(np.array([2, 12]), 5)) == (
        "SegmentBatch(2 segments of 5 frames, 8x8)"
    )
