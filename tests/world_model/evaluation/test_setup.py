import numpy as np


def test_tokens_that_no_training_frame_has_at_their_position_are_strange(setup):
    tokens = np.concatenate([episode.tokens for episode in setup.training_tokens.episodes])
    assert not setup.strange(tokens).any()
    changed = tokens[:1].copy()
    changed[0, 7] = 63
    assert setup.strange(changed).tolist() == [[False] * 7 + [True]]


def test_true_frames_are_read(setup):
    events = [e.lives_lost.any() or (e.rewards > 0).any() for e in setup.tokens.episodes]
    assert events == [True, False, True]
    accuracy = setup.reading_accuracy
    assert accuracy["scene_reading_accuracy"] > 0.95
    assert accuracy["lives_reading_accuracy"] > 0.95
