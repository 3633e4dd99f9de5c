import torch

from worldtokens.training.random_streams import seed_torch, step_rng


def test_a_step_draws_the_same_whenever_it_is_asked():
    first = step_rng(0, 0, 5).integers(0, 1000, 4).tolist()
    assert step_rng(0, 0, 5).integers(0, 1000, 4).tolist() == first
    others = [
        step_rng(*key).integers(0, 1000, 4).tolist() for key in [(1, 0, 5), (0, 1, 5), (0, 0, 6)]
    ]
    assert first not in others


def test_torch_draws_follow_seed_rank_and_step():
    draws = []
    for key in [(0, 0, 1), (0, 0, 1), (0, 1, 1), (0, 0, 2)]:
        seed_torch(*key)
        draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1]
    assert draws[0] != draws[2] and draws[0] != draws[3]
