import numpy as np
import pytest

from worldtokens.tokenizer.evaluation import metrics


def frames_of(*values, size=4):
    return np.stack([np.full((size, size, 3), value, np.uint8) for value in values])


def test_psnr_of_a_uniform_error():
    true, reconstruction = frames_of(100, 100), frames_of(110, 101)
    expected = [10 * np.log10(255**2 / 100), 10 * np.log10(255**2)]
    np.testing.assert_allclose(metrics.psnr_per_frame(true, reconstruction), expected)


def test_psnr_of_a_perfect_frame_is_finite_and_best():
    true = frames_of(100, 100)
    reconstruction = true.copy()
    reconstruction[1, 0, 0, 0] += 1
    perfect, almost = metrics.psnr_per_frame(true, reconstruction)
    assert perfect == pytest.approx(almost) == pytest.approx(10 * np.log10(255**2 * 48))


def test_ssim_of_equal_and_of_inverted_frames():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    reconstruction = true.copy()
    reconstruction[1] = 255 - reconstruction[1]
    equal, inverted = metrics.ssim_per_frame(true, reconstruction)
    assert equal == pytest.approx(1.0)
    assert inverted < -0.5


def test_recall_counts_pixels_within_the_threshold_in_every_channel():
    true = frames_of(100, 100, 100)
    reconstruction = true.copy()
    mask = np.zeros((3, 4, 4), bool)
    mask[0, 0, :4] = mask[1, 0, :1] = True
    reconstruction[0, 0, 0] = (140, 60, 100)
    reconstruction[0, 0, 1] = (100, 141, 100)
    reconstruction[1, 0, 0] = 0
    recall = metrics.foreground_recall(true, reconstruction, mask, np.array([5, 6, 9]))
    assert recall.pixels == {5: 4, 6: 1, 9: 0}
    assert recall.hits == {5: 3, 6: 0, 9: 0}
    assert recall.overall == pytest.approx(3 / 5)
    assert recall.per_scene == {5: 0.75, 6: 0.0}


def test_recall_without_foreground_is_nan():
    true = frames_of(1)
    recall = metrics.foreground_recall(true, true, np.zeros((1, 4, 4), bool), np.array([0]))
    assert np.isnan(recall.overall)
    assert recall.per_scene == {}


def test_flicker_counts_changed_tokens_of_unchanged_patches():
    before = frames_of(0, 0)
    after = before.copy()
    after[0, 3, 3, 2] = 1
    tokens_before = np.zeros((2, 4), np.int64)
    tokens_after = np.array([[1, 0, 0, 9], [0, 0, 0, 0]])
    share = metrics.flicker(before, after, tokens_before, tokens_after, [(2, 2, 1)])
    assert share == pytest.approx(1 / 7)


def test_flicker_over_two_levels():
    before = frames_of(0)
    after = before.copy()
    after[0, 0, 0] = 9
    tokens = np.zeros((1, 1 + 2 * 4), np.int64)
    changed = tokens.copy()
    # The top level's only patch changed; of the 2 x 2 patches below, the first did.
    changed[0, [0, 1, 2, 3]] = 1
    assert metrics.flicker(before, after, tokens, changed, [(1, 1, 1), (2, 2, 2)]) == 1 / 6


def test_flicker_is_nan_where_everything_changed():
    tokens = np.zeros((1, 1), np.int64)
    assert np.isnan(metrics.flicker(frames_of(0), frames_of(1), tokens, tokens, [(1, 1, 1)]))


def test_code_use_of_a_known_distribution():
    use = metrics.CodeUse.of(np.array([[0, 0], [1, 3]]), vocab_size=8)
    assert use.counts.tolist() == [2, 1, 0, 1, 0, 0, 0, 0]
    assert use.entropy_bits == pytest.approx(1.5)
    assert use.perplexity == pytest.approx(2**1.5)
    assert use.share_used == pytest.approx(3 / 8)
    assert use.bits_per_frame == pytest.approx(6.0)
    assert use.used_bits_per_frame == pytest.approx(3.0)
