import errno

import pytest
import torch

from worldtokens.training.checkpoint import find_nonfinite, load_checkpoint, save_checkpoint


def test_state_comes_back(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 7, "model": {"w": torch.tensor([1.0, 2.0])}, "name": "run"})
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 7 and state["name"] == "run"
    assert state["model"]["w"].tolist() == [1.0, 2.0]


def test_no_file_is_no_state(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint.pt") is None


def test_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"w": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt: expected a whole checkpoint, got a damaged.*delete it"
    ):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"format": 1, "state": {"main": print}}, path)
    with pytest.raises(ValueError, match="got a damaged or foreign file"):
        load_checkpoint(path)


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})

    def full(content, file):
        file.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full") as caught:
        save_checkpoint(path, {"step": 2})
    assert caught.value.errno == errno.ENOSPC
    assert load_checkpoint(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_any_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 3, "w": torch.arange(100.0)})
    whole = path.read_bytes()
    for position in range(0, len(whole) - 90, 53):
        content = bytearray(whole)
        content[position] ^= 16
        path.write_bytes(content)
        with pytest.raises(ValueError, match="checkpoint .*checkpoint.pt: expected a whole"):
            load_checkpoint(path)


def test_checkpoints_with_and_without_a_digest_are_read_both_ways(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"w": torch.arange(3.0)})
    content = torch.load(path, weights_only=True)
    assert content["state"]["w"].tolist() == [0, 1, 2]
    torch.save(content, path)
    state = load_checkpoint(path)
    assert state is not None and state["w"].tolist() == [0, 1, 2]


def test_a_tensor_that_is_not_finite_is_found():
    state = {"a": [torch.ones(2)], "b": {"c": torch.tensor([1.0, float("nan")])}, "n": 3}
    assert find_nonfinite(state) == "b.c"
    assert find_nonfinite({"a": torch.tensor([1, 2]), "b": None}) is None
