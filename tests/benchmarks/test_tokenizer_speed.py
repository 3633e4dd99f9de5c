import torch
from tokenizer_speed import game_frames, tokenizer_works


def test_frames_to_encode_are_of_the_game():
    frames = game_frames(3)
    assert frames.shape == (3, 64, 64, 3) and frames.dtype == torch.uint8
    assert not torch.equal(frames[0], frames[2])


def test_every_work_runs_and_its_operations_are_counted():
    works = tokenizer_works("cpu")
    names = ["encode", "decode", "train the tokenizer"]
    assert [work.name for work in works] == [*names, *(f"{name} (vqgan)" for name in names)]
    for work in works:
        flops = work.measure(0.0).flops
        assert flops is not None and flops > 1e6, work.name
