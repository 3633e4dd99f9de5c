import pytest
import torch

from worldtokens.world_model.imagination.sampling import (
    Sampling,
    draw,
    draw_with_noise,
    seeded_generators,
    truncate,
    uniform,
)

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def frequencies(sampling):
    drawn = draw(LOGITS.expand(20_000, 4), sampling, torch.Generator().manual_seed(0))
    return torch.bincount(drawn, minlength=4) / 20_000


def test_draws_follow_the_probabilities():
    expected = torch.tensor([0.5, 0.3, 0.15, 0.05])
    torch.testing.assert_close(frequencies(Sampling()), expected, atol=0.012, rtol=0)


def test_temperature_sharpens():
    squared = torch.tensor([0.25, 0.09, 0.0225, 0.0025]) / 0.365
    torch.testing.assert_close(frequencies(Sampling(0.5)), squared, atol=0.012, rtol=0)


def test_top_k_keeps_k_and_top_k_of_one_is_greedy():
    assert torch.isinf(truncate(LOGITS, Sampling(top_k=2))).tolist() == [False, False, True, True]
    kept = torch.tensor([0.625, 0.375, 0, 0])
    torch.testing.assert_close(frequencies(Sampling(top_k=2)), kept, atol=0.012, rtol=0)
    assert frequencies(Sampling(top_k=1)).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (0.96, 4)])
def test_top_p_keeps_the_fewest_that_hold_p(top_p, kept):
    shuffled = LOGITS[[3, 0, 2, 1]]
    finite = torch.isfinite(truncate(shuffled, Sampling(top_p=top_p)))
    assert finite.sum() == kept
    assert finite[1] and (kept < 4) == (not finite[0])


def test_impossible_classes_are_never_drawn_even_at_the_edges_of_the_unit_interval(monkeypatch):
    logits = torch.tensor([-torch.inf, 0.0, 0.0, -torch.inf]).expand(2, 4)
    edges = torch.tensor([0.0, 1.0 - 2**-24])
    monkeypatch.setattr("worldtokens.world_model.imagination.sampling.uniform", lambda *_: edges)
    assert draw(logits, Sampling()).tolist() == [1, 2]


def test_a_row_s_numbers_come_from_its_own_generator():
    device = torch.device("cpu")
    both = uniform((2, 3), seeded_generators(7, 2), device)
    second = uniform((1, 3), seeded_generators(7, 2)[1:], device)
    assert torch.equal(both[1:], second)
    assert not torch.equal(both[0], both[1])


def test_many_classes_are_drawn_by_chunks_as_by_one_sum():
    torch.manual_seed(0)
    logits = torch.randn(500, 512) * 3
    noise = torch.rand(500)
    cumulative = logits.double().softmax(-1).cumsum(-1)
    expected = (cumulative <= noise[:, None].double()).sum(-1)
    got = draw_with_noise(logits, Sampling(), noise)
    # Rounding may move a noise across a class's edge, rarely.
    assert (got == expected).float().mean() > 0.99


def test_chunks_of_impossible_classes_are_never_drawn():
    logits = torch.full((3, 512), -torch.inf)
    logits[:, [70, 300]] = 0.0
    noise = torch.tensor([0.0, 0.5, 1.0 - 2**-24])
    assert draw_with_noise(logits, Sampling(), noise).tolist() == [70, 300, 300]
