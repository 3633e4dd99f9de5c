import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.training.scheduled_sampling import (
    ContextConfig,
    corrupt_tokens,
    make_context,
    scheduled_sampling,
)

KINDS = (
    {},
    {"stay_gate": True},
    {"stay_gate": True, "latents": 2, "latent_dropout": 0.5},
    {"stay_gate": True, "latents": 2},
    {"prediction": "autoregressive", "attention": "full", "merge": 1, "history": 1},
)


def tiny(**changes):
    torch.manual_seed(0)
    config = WorldModelConfig(
        **{
            **dict(vocab_size=7, grid=(4, 2), num_actions=3, context=3, layers=2, heads=2),
            **dict(width=16, copies=2, history=2, stay_gate=False, dropout=0.5),
            **changes,
        }
    )
    model = WorldModel(config)
    model.imaginer.uses_autocast = False
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def segments(frames=6):
    generator = torch.Generator().manual_seed(1)
    steps = (2, frames - 1)
    return TokenSegments(
        tokens=torch.randint(7, (2, frames, 8), generator=generator),
        actions=torch.randint(3, steps, generator=generator),
        rewards=torch.zeros(steps),
        terminated=torch.zeros(steps, dtype=torch.bool),
        truncated=torch.zeros(steps, dtype=torch.bool),
        mask=torch.ones(2, frames, dtype=torch.bool),
    )


def test_true_frames_are_the_default_and_draw_no_random_number():
    batch = segments()
    state = torch.get_rng_state()
    context = make_context(tiny(), batch, ContextConfig(0.0, 1, 0.0))
    assert context is batch.tokens
    tiny_state = torch.get_rng_state()
    torch.set_rng_state(state)
    tiny()
    assert torch.equal(torch.get_rng_state(), tiny_state)


@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_puts_the_one_step_prediction_in_the_place_of_chosen_frames(kind):
    model, batch = tiny(**kind), segments()
    chosen = torch.zeros(2, 6, dtype=torch.bool)
    chosen[0, 2] = chosen[1, 4] = True
    chosen[:, 0] = chosen[:, 5] = True  # Nothing foretells the first, nothing follows the last.
    got = scheduled_sampling(model, batch, chosen, depth=1)
    assert model.training
    model.eval()
    with torch.no_grad():
        likeliest = model(batch.tokens, batch.actions, from_prior=True).tokens.argmax(-1)
    expected = batch.tokens.clone()
    expected[0, 2], expected[1, 4] = likeliest[0, 1], likeliest[1, 3]
    assert torch.equal(got, expected)
    assert not torch.equal(got, batch.tokens)


@pytest.mark.parametrize("kind", KINDS[:4])
def test_as_many_passes_as_frames_are_a_greedy_dream(kind):
    model, batch = tiny(**kind).eval(), segments()
    chosen = torch.zeros(2, 6, dtype=torch.bool)
    chosen[:, 2:5] = True
    got = scheduled_sampling(model, batch, chosen, depth=3)
    dream = model.imagine(batch.tokens[:, :2], batch.actions[:, :1], batch.actions[:, 1:4], top_k=1)
    assert torch.equal(got[:, 2:5], dream.tokens)
    assert torch.equal(got[:, :2], batch.tokens[:, :2])


def test_padding_is_not_replaced():
    model, batch = tiny(), segments()
    batch.mask[:, 3:] = False
    got = scheduled_sampling(model, batch, torch.ones(2, 6, dtype=torch.bool), depth=2)
    assert torch.equal(got[:, 3:], batch.tokens[:, 3:])
    assert not torch.equal(got[:, 1:3], batch.tokens[:, 1:3])


def test_noise_is_half_old_and_half_shuffled():
    torch.manual_seed(0)
    tokens = torch.arange(4).expand(50, 4)[..., None].expand(-1, -1, 64).contiguous()
    found = corrupt_tokens(tokens, 0.4)
    # Frame 3: a fifth shows frame 2's token, a fifth any of the four.
    shares = torch.bincount(found[:, 3].flatten(), minlength=4) / (50 * 64)
    expected = torch.tensor([0.05, 0.05, 0.25, 0.65])
    torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)


def test_a_share_of_frames_is_replaced():
    model = tiny()
    batch = segments(frames=400)
    context = make_context(model, batch, ContextConfig(0.25, 1, 0.0))
    changed = (context != batch.tokens).any(-1).float().mean()
    assert 0.2 < float(changed) < 0.3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.5, 1, 0.0), r"scheduled_sampling_prob: expected a number in \[0, 1\], got 1.5"),
        ((0.5, 0, 0.0), "scheduled_sampling_depth: expected a whole number of at least 1, got 0"),
        ((0.5, 1, 1.0), r"token_noise_prob: expected a number in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        ContextConfig(*values)
