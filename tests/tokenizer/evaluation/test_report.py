import numpy as np
import pytest

from worldtokens.tokenizer.data.heldout import load_heldout
from worldtokens.tokenizer.data.sources import open_sources
from worldtokens.tokenizer.evaluation.report import (
    MISSING,
    evaluate_tokenizer,
    fid,
    load_probe_frames,
    mean_lpips,
)


def random_frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_lpips_is_the_mean_over_frames(vgg16_weights):
    true = random_frames(2)
    other = true[::-1].copy()
    distance = mean_lpips(true, other, str(vgg16_weights))
    assert isinstance(distance, float) and distance > 0
    assert mean_lpips(true, true, str(vgg16_weights)) == 0.0
    half = np.stack([true[0], other[1]])
    assert mean_lpips(true, half, str(vgg16_weights)) == pytest.approx(distance / 2, rel=1e-4)


def test_weights_that_are_missing_are_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    frames = random_frames(1)
    assert mean_lpips(frames, frames, None) == fid(frames, frames, None) == MISSING
    with pytest.raises(ValueError, match="nowhere.pth cannot be read"):
        mean_lpips(frames, frames, str(tmp_path / "nowhere.pth"))


def test_a_report_has_all_metrics(dataset, tiny_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    sources = open_sources(str(dataset), (16, 24, 3), "crop", in_memory=False)
    heldout = load_heldout(sources.heldout, sources.backgrounds, 5)
    report = evaluate_tokenizer(tiny_tokenizer, heldout, None, None, None)
    assert report.evaluation.reconstructions.shape == (5, 16, 24, 3)
    assert report.encode_speed > 0 and report.probes is None
    assert (report.lpips, report.fid) == (MISSING, MISSING)


def test_probe_frames_are_evenly_spaced_with_labels(dataset):
    sources = open_sources(str(dataset), (16, 24, 3), "crop", in_memory=False)
    train, test = load_probe_frames(sources, 20, str(dataset))
    assert len(train.frames) <= 20 and len(test.frames) <= 4
    assert all(len(values) == len(train.frames) for values in train.labels.values())


def test_images_have_no_probe_frames(tmp_path):
    np.save(tmp_path / "toys.npy", np.zeros((30, 8, 8), np.uint8))
    sources = open_sources(str(tmp_path / "toys.npy"), (4, 4, 3), "crop", in_memory=False)
    with pytest.raises(
        ValueError, match="probe_frames: expected 0 for images, .* got 10 with data=x"
    ):
        load_probe_frames(sources, 10, "x")
