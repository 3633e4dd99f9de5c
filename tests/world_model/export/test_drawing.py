import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model.export.drawing import Temperature, choose, choose_tokens
from worldtokens.world_model.imagination.sampling import Sampling, draw_with_noise, entropy


def at(value: float) -> Temperature:
    return Temperature.of(torch.tensor(value))


def test_temperature_0_is_greedy():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    noise = torch.tensor([0.99, 0.99])
    assert choose(logits, noise, at(0.0)).tolist() == [1, 0]
    assert choose(logits, noise, at(1.0)).tolist() == [2, 2]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_classes_are_drawn_as_sampling_draws_them(temperature):
    logits = torch.randn(200, 512, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(200, generator=torch.Generator().manual_seed(1))
    drawn = choose(logits, noise, at(temperature))
    assert torch.equal(drawn, draw_with_noise(logits, Sampling(temperature), noise))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.5])
@torch.no_grad()
def test_a_gate_draws_from_the_softmax_of_the_logits(temperature):
    network = tiny("gated").network
    tables = network.tables()
    count = 20_000
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 8, generator=generator).expand(count, -1, -1)
    past = torch.randint(7, (1, 3, 2), generator=generator).expand(count, -1, -1)
    noise = torch.rand(count, 3, generator=generator)
    tokens, _ = choose_tokens(x, past, network, tables, noise, at(temperature))
    probabilities = (network.token_logits(x[0], past[0], tables) / temperature).softmax(dim=-1)
    shares = torch.stack([(tokens == token).float().mean(dim=0) for token in range(7)], dim=-1)
    assert 0.01 < probabilities.min() or probabilities.max() < 0.995
    torch.testing.assert_close(shares, probabilities, atol=0.015, rtol=0)


@torch.no_grad()
def test_entropy_is_that_of_the_logits():
    network = tiny("gated").network
    tables = network.tables()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 8, generator=generator)
    past = torch.randint(7, (5, 3, 2), generator=generator)
    _, nats = choose_tokens(x, past, network, tables, torch.rand(5, 3), at(0.0))
    expected = entropy(network.token_logits(x, past, tables))
    assert expected.max() > 0.1
    # The exact value where it matters; elsewhere at most a negligible part is left out.
    assert (expected - nats).abs().max() < 0.02


@torch.no_grad()
def test_refinement_draws_its_least_sure_tokens_again():
    from worldtokens.world_model.export.drawing import refine_tokens

    model = tiny("factorised", refine_layers=1, refine_passes=1)
    network, tables = model.network, model.network.tables()
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(4, 2, 16, generator=generator)
    past = torch.randint(7, (4, 8, 2), generator=generator)
    tokens = torch.randint(7, (4, 8), generator=generator)
    again = refine_tokens(tokens, hidden, past, network, tables, torch.zeros(4, 2), at(0.0))
    features = network.token_features(hidden, past, tables)
    logits = network.token_logits(features, past, tables)
    sure = logits.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
    least = sure.argsort(dim=1)[:, :2]
    kept = torch.ones_like(tokens, dtype=torch.bool).scatter(1, least, False)
    assert torch.equal(again[kept], tokens[kept]) and not torch.equal(again, tokens)
