import pytest
import torch

from tests.world_model.tiny import episode, tiny
from worldtokens.world_model import Sampling
from worldtokens.world_model.imagination.decoding import decode_tokens


def gated(shape="gated", **changes):
    model = tiny(shape, stay_gate=True, **changes)
    # Gates that are sure of staying, sure of change and neither.
    model.network.copy_gate.weight.data[0] *= 10
    return model


def drawn(model, tokens, actions, sampling, with_entropy, noise=None):
    """The next frame drawn from the last of `tokens`, and the logits of all its tokens."""
    state = model.imaginer.new_state(len(tokens))
    for t in range(tokens.shape[1] - 1):
        model.imaginer.read(tokens[:, t], actions[:, t], state)
    seen, _, _ = model.imaginer._advance(tokens[:, -1], actions[:, -1], state)
    recent = state.stack_past()
    x = model.network.token_features(seen, recent, state.tables)
    logits = model.network.token_logits(x, recent, state.tables)
    return decode_tokens(x, recent, state, sampling, noise, with_entropy), logits


@pytest.mark.parametrize("with_entropy", [False, True])
def test_greedy_draws_the_likeliest_of_all_tokens(with_entropy):
    tokens, _ = episode(3, batch=200)
    actions = torch.randint(3, (200, 3))
    with torch.no_grad():
        made, logits = drawn(gated(), tokens, actions, Sampling(top_k=1), with_entropy)
    likeliest = logits.argmax(-1)
    stay = likeliest == tokens[:, -1]
    assert stay.any() and (~stay).any()
    # Tokens that most likely change, and yet stay likelier than any one other token is.
    odds = logits.softmax(-1).gather(-1, tokens[:, -1, :, None])[..., 0]
    assert (stay & (odds < 0.5)).any()
    assert torch.equal(made.tokens, likeliest)


def test_drawn_tokens_have_the_probabilities_of_the_logits():
    tokens, _ = episode(3, batch=1)
    actions = torch.randint(3, (1, 3), generator=torch.Generator().manual_seed(0))
    count = 4000
    many = tokens.expand(count, -1, -1)
    noise = torch.rand(count, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        made, logits = drawn(gated(), many, actions.expand(count, -1), Sampling(), False, noise)
    shares = torch.nn.functional.one_hot(made.tokens, 7).float().mean(0)
    # Five standard deviations of a share of 4,000 draws are below 0.04.
    torch.testing.assert_close(shares, logits[0].softmax(-1), atol=0.04, rtol=0.0)


def test_what_is_measured_does_not_change_what_is_drawn():
    tokens, _ = episode(3, batch=50)
    actions, noise = torch.randint(3, (50, 3)), torch.rand(50, 8)
    model = gated()
    with torch.no_grad():
        bare, logits = drawn(model, tokens, actions, Sampling(), False, noise)
        measured, _ = drawn(model, tokens, actions, Sampling(), True, noise)
    assert torch.equal(bare.tokens, measured.tokens)
    assert bare.entropy.isnan().all()
    likely = logits.log_softmax(-1)
    whole = -(likely.exp() * likely).sum(-1)
    torch.testing.assert_close(measured.entropy, whole, atol=1e-3, rtol=0.0)


def test_the_entropy_of_what_hardly_ever_changes_is_left_out_where_it_is_negligible():
    tokens, _ = episode(3, batch=50)
    actions, model = torch.randint(3, (50, 3)), gated()
    # Gates from far below 1 in 10,000 to far above.
    model.network.copy_gate.weight.data[0] *= 3
    with torch.no_grad():
        measured, logits = drawn(model, tokens, actions, Sampling(top_k=1), True)
    likely = logits.log_softmax(-1)
    missing = -(likely.exp() * likely).sum(-1) - measured.entropy
    assert (missing > 1e-6).any() and float(missing.max()) < 1e-3
    assert float(missing.min()) > -1e-5


def test_where_all_tokens_stay_the_output_layer_is_not_used():
    model = gated()
    torch.nn.init.zeros_(model.network.copy_gate.weight)
    torch.nn.init.constant_(model.network.copy_gate.bias, 50.0)
    model._token_logits = None
    tokens, actions = episode(3)
    dream = model.imagine(tokens, actions, torch.zeros(2, 4, dtype=torch.int64))
    assert torch.equal(dream.tokens, tokens[:, -1:].expand(-1, 4, -1))
