import pytest
import torch

from tests.world_model.tiny import episode, tiny
from worldtokens.world_model import Sampling, WorldModel, WorldModelConfig
from worldtokens.world_model.imagination.sampling import seeded_generators, temper
from worldtokens.world_model.training.losses import FREE_NATS

LATENT = dict(latents=2, latent_classes=5, outcomes="frame", predicts_lives=True)


def two_futures() -> WorldModelConfig:
    """A model of 2 x 4 tokens of 4."""
    return WorldModelConfig(
        vocab_size=4, grid=(2, 4), num_actions=2, context=2, layers=1, heads=2, width=32, merge=1,
        history=1, copies=1, latents=2, latent_classes=8, reward_values=[0.0, 1.0],
    )  # fmt: skip


def test_nothing_of_a_frame_is_known_to_the_prior():
    model = tiny(**LATENT)
    tokens, actions = episode(4)
    other = tokens.clone()
    other[:, 3] = (other[:, 3] + 1) % 7
    with torch.no_grad():
        for name in ("tokens", "rewards", "ends", "lives_lost"):
            before = getattr(model(tokens, actions, from_prior=True), name)
            after = getattr(model(other, actions, from_prior=True), name)
            torch.testing.assert_close(before, after)
        torch.manual_seed(0)
        before = model(tokens, actions)
        torch.manual_seed(0)
        after = model(other, actions)
    assert not torch.allclose(before.latents.divergence[:, 2], after.latents.divergence[:, 2])
    torch.testing.assert_close(before.latents.divergence[:, :2], after.latents.divergence[:, :2])
    assert not torch.allclose(before.rewards[:, 2], after.rewards[:, 2]), "outcomes=frame"


def test_the_divergence_is_that_of_posterior_from_prior_and_trains_both():
    model = tiny(**LATENT)
    latents = model.network.latents
    for weight in (latents.posterior.weight, latents.posterior.bias, latents.prior_heads):
        weight.data.zero_()
    tokens, actions = episode(3)
    torch.testing.assert_close(model(tokens, actions).latents.divergence, torch.zeros(2, 2))
    # A posterior that is sure of class 0 of each code, against a uniform prior.
    latents.posterior.bias.data.view(2, 5)[:, 0] = 50.0
    codes = model(tokens, actions).latents
    share = 0.99 + 0.01 / 5
    expected = share * torch.log(torch.tensor(share * 5)) + 0.008 * torch.log(torch.tensor(0.01))
    torch.testing.assert_close(codes.divergence, torch.full((2, 2), 2 * float(expected)))
    torch.testing.assert_close(codes.balanced, codes.divergence)
    codes.balanced.sum().backward()
    assert latents.prior_heads.grad.abs().sum() > 0
    assert latents.posterior.bias.grad.abs().sum() > 0


def test_gradients_of_the_tokens_reach_the_posterior_straight_through():
    model = tiny(**LATENT)
    tokens, actions = episode(3)
    model(tokens, actions).tokens.square().sum().backward()
    assert model.network.latents.posterior.weight.grad.abs().sum() > 0
    assert model.network.latents.prior_heads.grad is None


def test_one_draw_decides_for_the_whole_frame():
    """From one frame all tokens become 1, or all become 2: half of each frame never occurs."""
    torch.manual_seed(0)
    config = two_futures()
    drawn = {}
    for latents in (2, 0):
        config = WorldModelConfig(**{**vars(config), "latents": latents})
        model = WorldModel(config)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(300):
            tokens = torch.zeros(32, 2, 8, dtype=torch.int64)
            tokens[:, 1] = 1 + torch.randint(2, (32, 1))
            prediction = model(tokens, torch.zeros(32, 1, dtype=torch.int64))
            loss = torch.nn.functional.cross_entropy(
                prediction.tokens.flatten(0, 2), tokens[:, 1:].flatten(), reduction="sum"
            )
            if latents:
                loss = loss + 32 * prediction.latents.balanced.mean().clamp(min=FREE_NATS)
            optimizer.zero_grad()
            (loss / 32).backward()
            optimizer.step()
        start = torch.zeros(64, 1, 8, dtype=torch.int64)
        model.eval().imaginer.uses_autocast = False
        rollout = model.imagine(
            start, start[:, :0, 0], start[:, :, 0], generator=seeded_generators(0, 64)
        )
        frames = rollout.tokens[:, 0]
        drawn[latents] = [int((frames == value).all(dim=1).sum()) for value in (1, 2)]
    assert sum(drawn[2]) >= 60 and min(drawn[2]) >= 15, "both futures, each whole"
    assert sum(drawn[0]) <= 8, "without latents almost every frame is a mixture"


def test_a_batch_dreams_as_its_rows_alone_with_latents():
    model = tiny(**LATENT)
    tokens, actions = episode(3)
    future = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    both = model.imagine(tokens, actions, future, generator=seeded_generators(0, 2))
    for row in (0, 1):
        alone = model.imagine(
            tokens[[row]], actions[[row]], future[[row]], generator=[seeded_generators(0, 2)[row]]
        )
        for name in ("tokens", "rewards", "ends", "lives_lost"):
            assert torch.equal(getattr(both, name)[row], getattr(alone, name)[0])
    greedy = model.imagine(tokens, actions, future, top_k=1)
    assert torch.equal(greedy.tokens, model.imagine(tokens, actions, future, top_k=1).tokens)


def test_entropy_counts_the_codes_too():
    model = tiny(**LATENT)
    tokens, actions = episode(2)
    state = model.imaginer.new_state(2)
    sure = model.imaginer.next_frame(tokens[:, 0], actions[:, 0], state, Sampling(top_k=1))
    model.network.latents.prior_heads.data.zero_()
    state = model.imaginer.new_state(2)
    unsure = model.imaginer.next_frame(tokens[:, 0], actions[:, 0], state, Sampling(top_k=1))
    assert (unsure.entropy > 2 * torch.log(torch.tensor(5.0)) - 1e-3).all()
    assert sure.entropy.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(latents=-1), "latents: expected a whole number of at least 0, got -1"),
        (dict(latents=1, latent_classes=1), "latent_classes: expected at least 2, got 1"),
        (dict(latents=1, latent_dropout=1.0), r"latent_dropout: expected a share in \[0, 1\), got"),
        (
            dict(latents=1, refine_layers=1, stay_gate=False),
            "latents=1: expected 0 beside refine_layers=1",
        ),
        (
            dict(latents=1, prediction="autoregressive", attention="full", merge=1, history=1),
            "need prediction=parallel",
        ),
        (dict(outcomes="sound"), "outcomes: expected one of .* got 'sound'"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        WorldModelConfig(**change)


def test_with_dropout_a_greedy_frame_is_predicted_without_codes():
    model = tiny(**{**LATENT, "outcomes": "action", "latent_dropout": 0.5})
    latents = model.network.latents
    latents.to_outcomes.weight.data.normal_()
    tokens, actions = episode(3)
    with torch.no_grad():
        greedy = model(tokens, actions, from_prior=True)
        assert (greedy.latents.one_hot == 0).all()
        # Codes of another prior change nothing, since there are none.
        latents.prior_heads.data.normal_()
        again = model(tokens, actions, from_prior=True)
        torch.testing.assert_close(greedy.tokens, again.tokens)
        torch.testing.assert_close(greedy.rewards, again.rewards)
        known = model(tokens, actions)
    assert not torch.allclose(known.rewards, greedy.rewards), "outcomes read the codes"


@pytest.mark.parametrize("sampling", [Sampling(0.5), Sampling(2.0), Sampling(top_k=2)])
def test_codes_are_drawn_as_tempered(sampling):
    latents = tiny(**LATENT).network.latents
    latents.prior_heads.data.normal_()
    at_action = torch.randn(1, latents.prior_heads.shape[1]).expand(20_000, -1)
    noise = torch.linspace(0, 0.99995, 20_000)[:, None].expand(-1, 2)
    with torch.no_grad():
        plain, entropy = latents.from_prior(at_action, noise)
        drawn, same = latents.from_prior(at_action, noise, lambda x: temper(x, sampling))
    # The first code is drawn from what the past tells alone.
    shares, tempered = (codes.one_hot[:, 0].mean(0) for codes in (plain, drawn))
    if sampling.top_k:
        expected = torch.where(shares >= shares.topk(2).values[-1], shares, 0)
    else:
        expected = shares ** (1 / sampling.temperature)
    torch.testing.assert_close(tempered, expected / expected.sum(), atol=0.01, rtol=0)
    assert entropy[0] > 0
    torch.testing.assert_close(same[0], entropy[0])


def test_a_temperature_tells_in_dreams():
    model = tiny(**LATENT)
    model.network.latents.prior_heads.data.normal_(std=0.3)
    tokens, actions = episode(9)
    dreams = {}
    for temperature in (1e-4, 1.0):
        drawn = [
            model.imagine(
                tokens[:, :2], actions[:, :1], actions[:, 1:], temperature=temperature,
                generator=torch.Generator().manual_seed(seed),
            ).tokens
            for seed in range(8)
        ]  # fmt: skip
        dreams[temperature] = len({tuple(each.flatten().tolist()) for each in drawn})
    assert dreams[1e-4] == 1 < dreams[1.0]


def test_dropout_leaves_a_share_of_the_frames_without_codes():
    model = tiny(**{**LATENT, "latent_dropout": 0.25}).train()
    torch.manual_seed(0)
    tokens, actions = episode(40)
    one_hot = torch.cat([model(tokens, actions).latents.one_hot for _ in range(20)])
    dropped = (one_hot == 0).all(dim=-1)
    assert torch.equal(dropped.any(-1), dropped.all(-1)), "all codes of a frame, or none"
    assert 0.2 < float(dropped.float().mean()) < 0.3
    kept = model.eval()(tokens, actions).latents.one_hot
    torch.testing.assert_close(kept.sum(-1), torch.ones_like(kept.sum(-1)))
