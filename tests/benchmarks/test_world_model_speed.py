import torch
from world_model_speed import DESIGNS, game_tokens, world_model_works


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


def test_speculative_dreams_keep_as_many_tokens_as_the_game():
    torch.manual_seed(0)
    works = world_model_works("cpu", DESIGNS[2:])
    assert [work.name for work in works] == [
        "imagine and decode, IRIS's architecture, speculative, batch 1",
        "imagine tokens, IRIS's architecture, speculative, batch 1",
    ]
    frames = [works[1].call() for _ in range(40)]
    stays = torch.cat([(a == b).float() for a, b in zip(frames, frames[1:], strict=False)])
    assert 0.74 < float(stays.mean()) < 0.88


def test_every_work_runs_and_its_operations_are_counted():
    works = world_model_works("cpu", DESIGNS[:1])[:2]
    assert [work.name for work in works] == ["train the world model", "imagine and decode, batch 1"]
    for work in works:
        flops = work.measure(0.0).flops
        assert flops is not None and flops > 1e6, work.name
