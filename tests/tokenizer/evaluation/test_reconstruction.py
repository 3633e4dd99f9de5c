import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation.metrics import CodeUse, Recall
from worldtokens.tokenizer.evaluation.reconstruction import (
    Evaluation,
    evaluate,
    one_per_scene,
    worst_frames,
)


def evaluation_of(reconstructions, psnr):
    use = CodeUse.of(np.array([[0, 1]]), 4)
    recall = Recall({0: 4}, {0: 1})
    return Evaluation(reconstructions, np.array(psnr), float("nan"), recall, 0.25, use)


def heldout_of(frames, scenes, foreground):
    return HeldoutFrames(frames, None, np.array(scenes), foreground)


def test_metrics_leave_out_what_is_not_known():
    evaluation = evaluation_of(np.zeros((2, 2, 2, 3), np.uint8), [20.0, 30.0])
    assert evaluation.metrics() == {
        "psnr": 25.0, "foreground_recall": 0.25, "flicker": 0.25, "perplexity": 2.0,
        "codes_used": 0.5,
    }  # fmt: skip


def test_pictures_begin_with_rare_scenes_and_much_foreground():
    foreground = np.zeros((5, 2, 2), bool)
    foreground[1, 0, 0] = foreground[3, :, 0] = True
    heldout = heldout_of(np.zeros((5, 2, 2, 3), np.uint8), [0, 0, 7, 0, 0], foreground)
    assert one_per_scene(heldout, 4).tolist() == [2, 3, 1, 0]
    assert one_per_scene(heldout, 9).tolist() == [2, 3, 1, 0, 4]


def test_worst_frames_lose_most_foreground():
    frames = np.zeros((3, 2, 2, 3), np.uint8)
    reconstructions = frames.copy()
    reconstructions[1, 0, 0] = reconstructions[2, 0] = 255
    heldout = heldout_of(frames, [0, 0, 0], np.ones((3, 2, 2), bool))
    assert worst_frames(heldout, evaluation_of(reconstructions, [9.0, 9.0, 9.0]), 2).tolist() == [
        2,
        1,
    ]
    equal = evaluation_of(frames, [9.0, 7.0, 8.0])
    assert worst_frames(heldout, equal, 3).tolist() == [1, 2, 0]


def test_a_dictionary_of_all_patches_is_perfect_and_does_not_flicker():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 21, 18, 3), dtype=np.uint8)
    torch.manual_seed(0)
    config = TokenizerConfig(21, 18, codebook_size=32, decoder_width=8, decoder_depth=1)
    tokenizer = Tokenizer(config).eval()
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    # Rows 8 to 15 of columns 8 to 15 are one patch; the last ones are padded.
    after = frames.copy()
    after[:, 8:16, 8:16] = 255 - after[:, 8:16, 8:16]
    heldout = HeldoutFrames(frames, after, np.zeros(3, np.int64), np.ones((3, 21, 18), bool))
    evaluation = evaluate(tokenizer, heldout, with_ssim=False)
    assert np.array_equal(evaluation.reconstructions, frames)
    assert evaluation.psnr == pytest.approx(10 * np.log10(255**2 * 21 * 18 * 3))
    assert evaluation.recall.overall == 1.0 and evaluation.flicker == 0.0
    assert np.isnan(evaluation.ssim)
    assert evaluation.code_use.counts.sum() == 3 * 9
