import time

import pytest
import torch
from speed import IrisPeer, Row, print_table
from timing import matmul_flops, rate
from tokenizer_speed import game_frames, tokenizer_works
from work import Work
from world_model_speed import DESIGNS, game_tokens, world_model_works


def test_rate_is_the_units_over_the_median_duration(monkeypatch):
    # Two warm-up calls, then calls of 1, 5 and 2 seconds by the clock: the median is 2.
    times = iter([0.0, 1.0, 10.0, 15.0, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    calls = []
    assert rate(lambda: calls.append(1), units=10, seconds=8.0) == 5.0
    assert len(calls) == 5


def test_operations_are_counted_per_frame():
    left, right = torch.ones(8, 16), torch.ones(16, 4)
    work = Work("product", lambda: left @ right, frames=8, device="cpu", dtype=torch.float32)
    assert work.measure(0.0).flops == 2 * 16 * 4
    assert matmul_flops("cpu", torch.float32, size=32, seconds=0.0) > 0


def test_a_row_shows_ratios(capsys):
    row = Row("encode", 1000.0, "frames/s", 0.25, iris_fp32=50.0, iris_bf16=80.0)
    print_table([row, Row("collect", 5.5, "steps/s")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| encode | 1,000 frames/s | 25% | 50.0 | 20.0 x | 80.0 | 12.5 x |"
    assert lines[3] == "| collect | 5.50 steps/s |  |  |  |  |  |"


def test_a_folder_that_is_not_iris_is_named(tmp_path):
    with pytest.raises(ValueError, match="failed at encode: .*is not a clone of IRIS"):
        IrisPeer(tmp_path, "cpu", 0.0).rate("encode", 1, "fp32")


def test_every_work_runs_and_its_operations_are_counted():
    works = [*tokenizer_works("cpu"), *world_model_works("cpu", DESIGNS[:1])[:2]]
    assert [work.name for work in works] == [
        "encode",
        "decode",
        "train the tokenizer",
        "train the world model",
        "imagine and decode, batch 1",
    ]
    for work in works:
        flops = work.measure(0.0).flops
        assert flops is not None and flops > 1e6, work.name


def test_frames_to_encode_are_of_the_game():
    frames = game_frames(3)
    assert frames.shape == (3, 64, 64, 3) and frames.dtype == torch.uint8
    assert not torch.equal(frames[0], frames[2])


def test_tokens_change_as_often_as_those_of_the_game():
    torch.manual_seed(0)
    tokens = game_tokens(20, 12, 64, 4096)
    changing = (tokens[:, 1:] != tokens[:, :-1]).float().mean()
    assert 0.06 < float(changing) < 0.08


def test_iris_has_rows_at_its_own_architecture_with_and_without_decoding():
    works = world_model_works("cpu", DESIGNS[1:2])
    assert [work.name for work in works] == [
        "train the world model, IRIS's architecture",
        "imagine and decode, IRIS's architecture, batch 1",
        "imagine and decode, IRIS's architecture, batch 64",
        "imagine tokens, IRIS's architecture, batch 1",
        "imagine tokens, IRIS's architecture, batch 64",
    ]
    assert works[3].peer is not None and works[3].peer.work == "imagine_tokens"
    tokens = works[3].call()
    assert tokens.shape == (1, 16) and int(tokens.max()) < 512


def test_guessing_dreams_keep_as_many_tokens_as_the_game():
    torch.manual_seed(0)
    works = world_model_works("cpu", DESIGNS[2:])
    assert [work.name for work in works] == [
        "imagine and decode, IRIS's architecture and guesses, batch 1",
        "imagine tokens, IRIS's architecture and guesses, batch 1",
    ]
    frames = [works[1].call() for _ in range(40)]
    stays = torch.cat([(a == b).float() for a, b in zip(frames, frames[1:], strict=False)])
    assert 0.74 < float(stays.mean()) < 0.88
