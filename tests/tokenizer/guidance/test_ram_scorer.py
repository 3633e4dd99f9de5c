import numpy as np
import pytest
import torch

from worldtokens.tokenizer.evaluation.probes import ProbeFrames
from worldtokens.tokenizer.guidance import ram_scorer
from worldtokens.tokenizer.guidance.ram_scorer import (
    RamProbe,
    RamScorer,
    mix_squares,
    wished_values,
)
from worldtokens.tokenizer.pixels import scale_frames


def squares(count, seed):
    """Frames of 16x16 with a white square, whose column and row are the labels x and y."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 7, (2, count))
    frames = np.full((count, 16, 16, 3), 40, np.uint8)
    for frame, left, top in zip(frames, 2 * x, 2 * y, strict=True):
        frame[top : top + 4, left : left + 4] = 255
    return ProbeFrames(frames, {"x": (10 * x).astype(np.uint8), "y": y.astype(np.uint8)})


@pytest.fixture(scope="module")
def probe():
    return RamProbe(squares(1000, 0), ["x", "y"], steps=300, seed=0)


def test_a_probe_reads_what_it_learned(probe):
    test = squares(200, 1)
    read = probe.read(test.frames)
    assert (read["x"] == test.labels["x"]).mean() > 0.95
    assert (read["y"] == test.labels["y"]).mean() > 0.95
    assert not any(parameter.requires_grad for parameter in probe.parameters())


def test_squares_come_from_the_frame_before(monkeypatch):
    monkeypatch.setattr(ram_scorer, "LARGEST_MIX", 0.8)
    torch.manual_seed(0)
    pixels = torch.arange(64.0).view(64, 1, 1, 1).expand(64, 3, 12, 16)
    mixed = mix_squares(pixels)
    own = (mixed == pixels).float()
    assert torch.equal(mixed, torch.where(own.bool(), pixels, pixels.roll(1, 0)))
    # Whole squares: of 8x8, and 4x8 at the bottom.
    for part in (own[:, :, :8, :8], own[:, :, :8, 8:], own[:, :, 8:, :8], own[:, :, 8:, 8:]):
        assert torch.equal(part, part[:, :1, :1, :1].expand_as(part))
    assert 0.5 < float(own.mean()) < 0.7


def test_the_score_is_the_probability_of_the_wish(probe):
    frames = squares(50, 2)
    pixels = scale_frames(torch.from_numpy(frames.frames))
    found = probe(pixels)
    scorer = RamScorer(probe, {"x": "0-10", "y": "3"})
    expected = torch.log(found["x"].exp()[:, :2].sum(1)) + found["y"][:, 3]
    torch.testing.assert_close(scorer(pixels), expected, rtol=1e-3, atol=1e-3)
    met = scorer.is_met(frames.labels)
    assert met.tolist() == ((frames.labels["x"] <= 10) & (frames.labels["y"] == 3)).tolist()


def test_the_gradient_moves_a_frame_to_the_wish(probe):
    scorer = RamScorer(probe, {"x": "right"})
    pixels = scale_frames(torch.from_numpy(squares(8, 3).frames)).requires_grad_()
    before = scorer(pixels)
    before.sum().backward()
    assert pixels.grad is not None
    after = scorer(pixels.detach() + 0.05 * pixels.grad.sign())
    assert (after > before).all()


KNOWN = np.array([0, 10, 20, 30, 40, 50, 60], np.uint8)


@pytest.mark.parametrize(
    ("wish", "values"),
    [
        ("20", [20]), ("15-40", [20, 30, 40]), ("left", [0, 10, 20]), ("middle", [30, 40]),
        ("right", [50, 60]), ("bottom", [50, 60]),
    ],
)  # fmt: skip
def test_wishes(wish, values):
    assert wished_values("x", wish, KNOWN).tolist() == values


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("up", r"target: expected a number, LOWEST-HIGHEST or one of left, .* for x, got 'up'"),
        ("5", "target: expected a value of x that frames have, 0 to 60, got 5"),
        ("70-80", r"target: expected a value of x that frames have, 0 to 60, got 70-80"),
    ],
)
def test_wrong_wishes(wish, message):
    with pytest.raises(ValueError, match=message):
        wished_values("x", wish, KNOWN)
