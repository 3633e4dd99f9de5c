import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.evaluation import probes
from worldtokens.tokenizer.evaluation.probes import ProbeFrames, entropy, macro_f1, score_probes


def test_entropy_in_nats():
    assert entropy(np.array([3, 3, 3, 3], np.uint8)) == 0.0
    assert entropy(np.array([1, 1, 9, 9], np.uint8)) == pytest.approx(np.log(2))


def test_macro_f1_is_the_mean_over_true_values():
    true, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 2, 0])
    # Of 0: 2 hits of 3 true and 3 predicted; of 1: none.
    assert macro_f1(true, predicted) == pytest.approx((2 * 2 / 6 + 0) / 2)


def frames_with_a_square(count, seed):
    """Frames with one patch in the colour of the label `shade`, other patches are random."""
    rng = np.random.default_rng(seed)
    shade = rng.integers(0, 4, count).astype(np.uint8)
    frames = np.zeros((count, 16, 16, 3), np.uint8)
    for row, column in ((0, 8), (8, 0), (8, 8)):
        grey = rng.integers(0, 20, count).astype(np.uint8)
        frames[:, row : row + 8, column : column + 8] = grey[:, None, None, None]
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    frames[:, :8, :8] = colours[shade][:, None, None]
    labels = {"shade": shade, "still": np.zeros(count, np.uint8)}
    return ProbeFrames(frames, labels)


def test_probes_predict_what_the_codes_hold():
    config = TokenizerConfig(frame_height=16, frame_width=16, codebook_size=64, decoder_width=8)
    tokenizer = Tokenizer(config)
    train, test = frames_with_a_square(1500, 0), frames_with_a_square(300, 1)
    tokenizer.start(train.frames, torch.Generator().manual_seed(0))
    scores = score_probes(tokenizer, train, test)
    assert set(scores.codes) == set(scores.majority) == set(scores.random_cnn) == {"shade"}
    assert scores.codes["shade"] > 0.95
    assert scores.majority["shade"] < 0.2


def test_features_are_the_same_cached_or_computed_again(monkeypatch):
    monkeypatch.setattr(probes, "STEPS", 20)
    tokenizer = Tokenizer(TokenizerConfig(frame_height=16, frame_width=16, codebook_size=4))
    train, test = frames_with_a_square(300, 0), frames_with_a_square(60, 1)
    cached = score_probes(tokenizer, train, test)
    monkeypatch.setattr(probes, "LARGEST_CACHE", 0)
    assert score_probes(tokenizer, train, test).random_cnn == pytest.approx(cached.random_cnn)


def test_test_frames_seen_in_training_are_left_out():
    tokenizer = Tokenizer(TokenizerConfig(frame_height=16, frame_width=16, codebook_size=4))
    frames = frames_with_a_square(20, 0)
    assert score_probes(tokenizer, frames, frames).codes == {}
