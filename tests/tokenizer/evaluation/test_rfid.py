from pathlib import Path

import numpy as np
import pytest

from worldtokens.tokenizer.evaluation.rfid import NAME, find_inception, reconstruction_fid


def test_weights_lie_below_torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_inception(None) == tmp_path / "hub" / "checkpoints" / NAME
    assert find_inception("here.pth") == Path("here.pth")


def test_damaged_weights_are_named(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match=r"rFID: .*text\.pth cannot be read"):
        reconstruction_fid(frames, frames, tmp_path / "text.pth")
