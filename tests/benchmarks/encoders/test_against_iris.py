import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from encoders import against_iris


class Encoder:
    """Remembers the frames that it encodes."""

    def __init__(self):
        self.seen = []

    def eval(self):
        return self

    def encode(self, frames, should_preprocess=None):
        self.seen.append((frames, should_preprocess))


def test_both_encode_the_same_frames_in_turns(monkeypatch, capsys, tmp_path):
    mine, iris = Encoder(), Encoder()
    frames = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
    dataset = SimpleNamespace(num_frames=50, gather_frames=lambda rows: frames[rows])
    seconds = iter([9.0, 9.0, 1.0, 4.0, 2.0, 5.0])

    def cpu_seconds(call):
        call()
        return next(seconds)

    monkeypatch.setattr(against_iris, "import_iris", lambda path: None)
    monkeypatch.setattr(against_iris, "build_tokenizer", lambda models: iris)
    monkeypatch.setattr(
        against_iris, "Tokenizer", SimpleNamespace(from_pretrained=lambda name: mine)
    )
    monkeypatch.setattr(against_iris, "EpisodeDataset", lambda path, split: dataset)
    monkeypatch.setattr(against_iris, "cpu_seconds", cpu_seconds)
    options = ["--iris", str(tmp_path), "--data", "there", "--batch", "6", "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["against_iris.py", *options])
    against_iris.main()
    # 12 frames in 3 seconds and in 9, without the first round.
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "4 frames per CPU second, IRIS 1.3: ratio 3.0"
    assert len(mine.seen) == len(iris.seen) == 3
    for (own, _), (scaled, preprocess) in zip(mine.seen, iris.seen, strict=True):
        assert preprocess is True and own.shape == (6, 8, 8, 3)
        assert torch.allclose(scaled.permute(0, 2, 3, 1) * 255, torch.from_numpy(own).float())


def test_cpu_time_counts_work():
    calls = []
    assert against_iris.cpu_seconds(lambda: calls.append(sum(range(1000)))) >= 0
    assert calls == [499500]


def test_a_folder_that_is_no_clone_is_named(monkeypatch, tmp_path):
    options = ["--iris", str(tmp_path), "--data", "there"]
    monkeypatch.setattr(sys, "argv", ["against_iris.py", *options])
    with pytest.raises(ValueError, match="--iris: expected a clone of IRIS"):
        against_iris.main()
