import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.networks.refinement import Draft, random_draft, redrawn_counts


def tiny(**changes):
    torch.manual_seed(0)
    settings = dict(
        tokenizer="abc", vocab_size=7, grid=(4, 2), num_actions=3, context=3, layers=2, heads=2,
        width=16, copies=2, history=2, merge=2, stay_gate=False, code_dim=3, refine_layers=1,
        refine_passes=2,
    )  # fmt: skip
    model = WorldModel(WorldModelConfig(**{**settings, **changes})).eval()
    model.imaginer.uses_autocast = False
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def episode(frames, batch=2):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, (batch, frames, 8), generator=generator)
    return tokens, torch.randint(3, (batch, frames - 1), generator=generator)


def refined(model, tokens, actions, visible):
    """Logits (B, T - 1, K, V) of all tokens, given the visible ones of the true frames."""
    everything = torch.ones_like(visible)
    with torch.no_grad():
        made = model(tokens, actions, draft=Draft(tokens[:, 1:], visible, everything))
    return made.refined.view(*visible.shape, 7)


def test_each_pass_redraws_a_quarter_of_the_pass_before():
    assert redrawn_counts(64, 4) == [16, 4, 1, 1]
    assert redrawn_counts(8, 2) == [2, 1]
    assert redrawn_counts(64, 0) == []


def test_hidden_tokens_do_not_matter_and_kept_ones_do():
    model = tiny()
    tokens, actions = episode(3)
    visible = torch.ones(2, 2, 8, dtype=torch.bool)
    visible[:, 1, 2:4] = False
    before = refined(model, tokens, actions, visible)
    hidden, shown = tokens.clone(), tokens.clone()
    hidden[:, 2, 2:4] = (hidden[:, 2, 2:4] + 1) % 7
    shown[:, 2, 7] = (shown[:, 2, 7] + 1) % 7
    torch.testing.assert_close(refined(model, hidden, actions, visible), before)
    after = refined(model, shown, actions, visible)
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert (after[:, 1] - before[:, 1]).abs().amax(dim=-1).min() > 1e-4  # Every position sees it.


@pytest.mark.parametrize("attention", ["full", "factorised"])
def test_refinement_from_the_cache_equals_that_of_the_whole_sequence(attention):
    model = tiny(attention=attention)
    tokens, actions = episode(9)  # Three times the context.
    visible = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(2)) < 0.5
    whole = refined(model, tokens, actions, visible)
    state = model.imaginer.new_state(2)
    for t in range(8):
        step = model.imaginer.read(tokens[:, t], actions[:, t], state)
        draft = Draft(tokens[:, t + 1], visible[:, t], torch.ones_like(visible[:, t]))
        with torch.no_grad():
            past = state.stack_past()
            got = model.network.refined_logits(step.features, draft, past, state.tables)
        torch.testing.assert_close(got.view(2, 8, 7), whole[:, t], atol=2e-5, rtol=1e-5)


def test_without_passes_a_dream_is_that_of_the_first_prediction():
    model = tiny(refine_passes=0)
    tokens, actions = episode(3)
    with torch.no_grad():
        expected = model(tokens, actions).tokens[:, -1].argmax(-1)
    future = actions[:, -1:]
    got = model.imagine(tokens[:, :2], actions[:, :1], future, top_k=1)
    assert torch.equal(got.tokens[:, 0], expected)


def test_a_greedy_pass_redraws_the_least_sure_tokens_with_the_others_in_view():
    model = tiny(refine_passes=1)
    tokens, actions = episode(3)
    with torch.no_grad():
        logits = model(tokens, actions).tokens[:, -1].log_softmax(-1)
    sure, first = logits.max(dim=-1)
    least = sure.argsort(dim=1)[:, :2]  # A quarter of 8 tokens.
    visible = torch.ones(2, 8, dtype=torch.bool).scatter(1, least, False)
    drawn = torch.stack((tokens[:, 0], tokens[:, 1], first), dim=1)
    everything = torch.ones(2, 2, 8, dtype=torch.bool)
    again = refined(model, drawn, actions, torch.stack((everything[:, 0], visible), 1))[:, 1]
    expected = torch.where(visible, first, again.argmax(-1))
    got = model.imagine(tokens[:, :2], actions[:, :1], actions[:, 1:], top_k=1)
    assert torch.equal(got.tokens[:, 0], expected)
    assert not torch.equal(expected, first)


def test_a_token_that_depends_on_its_neighbour_agrees_with_it_after_refinement():
    # Frames of two tokens that are equal, 0 or 1 by chance: independent draws disagree every
    # second time, a second look does not.
    torch.manual_seed(0)
    config = WorldModelConfig(
        vocab_size=2, grid=(1, 2), num_actions=1, context=2, layers=1, heads=2, width=16, merge=1,
        copies=0, history=1, stay_gate=False, refine_layers=1, refine_passes=1,
    )  # fmt: skip
    model = WorldModel(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    actions = torch.zeros(64, 1, dtype=torch.int64)
    for _ in range(120):
        tokens = torch.randint(2, (64, 2, 1)).expand(-1, -1, 2)
        visible = torch.zeros(64, 1, 2, dtype=torch.bool).scatter(
            2, torch.randint(2, (64, 1, 1)), True
        )
        made = model(tokens, actions, draft=Draft(tokens[:, 1:], visible, ~visible))
        loss = torch.nn.functional.cross_entropy(made.refined, tokens[:, 1:][~visible])
        loss = loss + torch.nn.functional.cross_entropy(
            made.tokens.flatten(0, -2), tokens[:, 1:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    start = torch.zeros(400, 1, 2, dtype=torch.int64)
    future, nothing = torch.zeros(400, 1, dtype=torch.int64), torch.zeros(400, 0).long()
    agree = {}
    for passes in (0, 1):
        model.config.refine_passes = passes
        drawn = model.imagine(start, nothing, future, generator=torch.Generator().manual_seed(3))
        agree[passes] = float((drawn.tokens[..., 0] == drawn.tokens[..., 1]).float().mean())
    assert 0.4 < agree[0] < 0.6
    assert agree[1] > 0.97


@pytest.mark.parametrize("greedy", [True, False])
def test_a_batch_refines_as_its_rows_alone(greedy):
    model = tiny()
    tokens, actions = episode(3)
    future = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])

    def dream(rows):
        generators = [torch.Generator().manual_seed(row) for row in rows]
        return model.imagine(
            tokens[rows], actions[rows], future[rows], generator=generators,
            top_k=1 if greedy else None,
        ).tokens  # fmt: skip

    assert torch.equal(dream([0, 1]), torch.cat((dream([0]), dream([1]))))


def test_a_refining_cache_slides():
    model = tiny(copies=1)
    tokens, actions = episode(12)
    visible = torch.rand(2, 11, 8, generator=torch.Generator().manual_seed(2)) < 0.5
    whole = refined(model, tokens, actions, visible)[:, -1]
    recent = refined(model, tokens[:, -7:], actions[:, -6:], visible[:, -6:])[:, -1]
    torch.testing.assert_close(whole, recent, atol=2e-5, rtol=1e-5)


def test_drafts_hide_hard_tokens_more_often_and_ask_for_hidden_tokens_only():
    torch.manual_seed(0)
    tokens = torch.zeros(200, 5, 64, dtype=torch.int64)
    hard = torch.zeros_like(tokens, dtype=torch.bool)
    hard[..., :8] = True
    mask = torch.rand(tokens.shape) < 0.5
    draft = random_draft(tokens, mask, hard)
    assert torch.equal(draft.predict_mask, mask & ~draft.visible)
    hidden = (~draft.visible).float()
    assert abs(float(hidden[..., :8].mean()) - 1 / 2) < 0.03
    assert abs(float(hidden[..., 8:].mean()) - 1 / 8) < 0.01


def test_refinement_draws_as_many_random_numbers_whatever_it_finds():
    # Else one row's dream would depend on another's.
    model = tiny()
    tokens, actions = episode(2)
    states = []
    for row in (0, 1):
        generator = torch.Generator().manual_seed(0)
        model.imaginer.next_frame(
            tokens[row, :1], actions[row, :1], model.imaginer.new_state(1), Sampling(), [generator]
        )
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(stay_gate=False, refine_layers=-1),
            "refine_layers: expected a whole number of at least 0, got -1",
        ),
        (dict(refine_passes=-1), "refine_passes: expected a whole number of at least 0, got -1"),
        (
            dict(prediction="autoregressive", attention="full", stay_gate=False, refine_layers=1),
            "refine_layers=1 needs prediction=parallel",
        ),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        WorldModelConfig(**change)
