import pytest
import torch

from tests.world_model.test_model import episode, tiny
from worldtokens.world_model import Sampling
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.imagination.decoding import draw_tokens
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.losses import sample_tokens, world_model_loss

SHAPES = ("gated", "autoregressive")


def gated(shape="gated", **changes):
    model = tiny(shape, stay_gate=True, **changes)
    # Gates that are sure of staying, sure of change and neither.
    model.copy_gate.weight.data[0] *= 10
    return model


def segments(tokens, actions):
    batch, steps = actions.shape
    return TokenSegments(
        tokens=tokens,
        actions=actions,
        rewards=torch.zeros(batch, steps),
        terminated=torch.zeros(batch, steps, dtype=torch.bool),
        truncated=torch.zeros(batch, steps, dtype=torch.bool),
        mask=torch.ones(batch, steps + 1, dtype=torch.bool),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gate_says_how_likely_a_token_stays_and_the_logits_say_the_same(shape):
    tokens, actions = episode(4)
    with torch.no_grad():
        made = gated(shape)(tokens, actions)
    stays = made.tokens.softmax(-1).gather(-1, tokens[:, :3, :, None])[..., 0]
    torch.testing.assert_close(stays, made.stays.sigmoid())
    assert float(stays.min()) > 0.0 and float(stays.std()) > 0.0


def test_the_loss_of_gate_and_changes_is_the_cross_entropy_of_all_tokens():
    model = gated()
    tokens, actions = episode(4)
    tokens[:, 2] = tokens[:, 1]  # One frame in which all tokens stay.
    batch = segments(tokens, actions)
    sample = sample_tokens(batch, None)
    assert torch.equal(sample.asked, tokens[:, 1:] != tokens[:, :-1])
    whole = world_model_loss(model(tokens, actions), batch, model.reward_values)
    parts = world_model_loss(
        model(tokens, actions, sample.asked), batch, model.reward_values, sample
    )
    torch.testing.assert_close(parts.tokens, whole.tokens)
    gradients = [
        torch.autograd.grad(loss.tokens, list(model.parameters()), allow_unused=True)
        for loss in (whole, parts)
    ]
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_foreground_counts_more_at_the_gate_too():
    tokens, actions = episode(4, batch=1)
    tokens[:] = 1
    tokens[0, 1, 0] = 2  # Comes and goes: foreground at frame 1, background at 2 and 3.
    batch = segments(tokens, actions)
    sample = sample_tokens(batch, None, foreground_weight=3.0)
    assert sample.asked.nonzero().tolist() == [[0, 0, 0], [0, 1, 0]]
    # 23 tokens of weight 1 and one of weight 3, scaled to a mean of 1.
    torch.testing.assert_close(sample.weights[0, 0, 0], torch.tensor(3 * 24 / 26))
    torch.testing.assert_close(sample.weights[0, 2, 5], torch.tensor(24 / 26))


def test_padding_reaches_neither_the_gate_nor_the_output_layer():
    model = gated()
    tokens, actions = episode(4)
    batch = segments(tokens, actions)
    batch.mask[:, 2:] = False
    sample = sample_tokens(batch, None)
    loss = world_model_loss(
        model(tokens, actions, sample.asked), batch, model.reward_values, sample
    )
    whole = world_model_loss(model(tokens, actions), batch, model.reward_values)
    torch.testing.assert_close(loss.tokens, whole.tokens)


def drawn(model, tokens, actions, sampling, measure, level=None):
    """The next frame drawn from the last of `tokens`, and the logits of all its tokens."""
    memory = model.new_memory(len(tokens))
    for t in range(tokens.shape[1] - 1):
        model.read(tokens[:, t], actions[:, t], memory)
    seen, _, _ = model._advance(tokens[:, -1], actions[:, -1], memory)
    recent = model._remembered(memory)
    x = model._token_features(seen, recent, memory.tables)
    logits = model._token_logits(x, recent, memory.tables)
    return draw_tokens(x, recent, memory, sampling, level, measure), logits


@pytest.mark.parametrize("measure", [False, True])
def test_greedy_draws_the_likeliest_of_all_tokens(measure):
    tokens, _ = episode(3, batch=200)
    actions = torch.randint(3, (200, 3))
    with torch.no_grad():
        made, logits = drawn(gated(), tokens, actions, Sampling(top_k=1), measure)
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
    level = torch.rand(count, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        made, logits = drawn(gated(), many, actions.expand(count, -1), Sampling(), False, level)
    shares = torch.nn.functional.one_hot(made.tokens, 7).float().mean(0)
    # Five standard deviations of a share of 4,000 draws are below 0.04.
    torch.testing.assert_close(shares, logits[0].softmax(-1), atol=0.04, rtol=0.0)


def test_what_is_measured_does_not_change_what_is_drawn():
    tokens, _ = episode(3, batch=50)
    actions, level = torch.randint(3, (50, 3)), torch.rand(50, 8)
    model = gated()
    with torch.no_grad():
        bare, logits = drawn(model, tokens, actions, Sampling(), False, level)
        measured, _ = drawn(model, tokens, actions, Sampling(), True, level)
    assert torch.equal(bare.tokens, measured.tokens)
    assert bare.entropy.isnan().all()
    likely = logits.log_softmax(-1)
    whole = -(likely.exp() * likely).sum(-1)
    torch.testing.assert_close(measured.entropy, whole, atol=1e-3, rtol=0.0)


def test_the_entropy_of_what_hardly_ever_changes_is_left_out_where_it_is_negligible():
    tokens, _ = episode(3, batch=50)
    actions, model = torch.randint(3, (50, 3)), gated()
    # Gates from far below 1 in 10,000 to far above.
    model.copy_gate.weight.data[0] *= 3
    with torch.no_grad():
        measured, logits = drawn(model, tokens, actions, Sampling(top_k=1), True)
    likely = logits.log_softmax(-1)
    missing = -(likely.exp() * likely).sum(-1) - measured.entropy
    assert (missing > 1e-6).any() and float(missing.max()) < 1e-3
    assert float(missing.min()) > -1e-5


def test_where_all_tokens_stay_the_output_layer_is_not_used():
    model = gated()
    torch.nn.init.zeros_(model.copy_gate.weight)
    torch.nn.init.constant_(model.copy_gate.bias, 50.0)
    model._token_logits = None
    tokens, actions = episode(3)
    dream = model.imagine(tokens, actions, torch.zeros(2, 4, dtype=torch.int64))
    assert torch.equal(dream.tokens, tokens[:, -1:].expand(-1, 4, -1))


@pytest.mark.parametrize("draw", (dict(top_k=1), dict(), dict(temperature=0.7), dict(top_p=0.8)))
def test_guessing_draws_what_drawing_one_by_one_draws(draw):
    model = gated("autoregressive")
    tokens, actions = episode(3)
    future = torch.randint(3, (2, 9), generator=torch.Generator().manual_seed(2))
    rollouts = []
    for guessing in (False, True):
        model.guesses_tokens = guessing
        rollouts.append(
            model.imagine(tokens, actions, future, **draw, generator=seeded_generators(3, 2))
        )
    assert torch.equal(rollouts[0].tokens, rollouts[1].tokens)
