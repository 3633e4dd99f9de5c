import pytest
import torch

from tests.world_model.tiny import SHAPES, episode, tiny
from worldtokens.world_model import Sampling


@pytest.mark.parametrize("shape", SHAPES)
def test_stepwise_logits_equal_those_of_the_whole_sequence_also_after_the_cache_is_full(shape):
    model = tiny(shape)
    tokens, actions = episode(9)  # Three times the context.
    with torch.no_grad():
        whole = model(tokens, actions)
    state = model.imaginer.new_state(2)
    for t in range(8):
        step = model.imaginer.read(tokens[:, t], actions[:, t], state)
        got = step.tokens
        if shape == "autoregressive":
            recent = state.stack_past()
            for k in range(7):
                x = state.tables.inputs[tokens[:, t + 1, k, None]]
                x = state.step(x)
                logits = model.network.token_logits(x, recent[:, k + 1 : k + 2], state.tables)
                got = torch.cat((got, logits), dim=1)
        torch.testing.assert_close(got, whole.tokens[:, t], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(step.rewards, whole.rewards[:, t], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(step.ends, whole.ends[:, t], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("greedy", [True, False])
def test_a_batch_dreams_as_its_rows_alone(shape, greedy):
    model = tiny(shape)
    tokens, actions = episode(3)
    future = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])

    def dream(rows):
        generators = [torch.Generator().manual_seed(row) for row in rows]
        return model.imagine(
            tokens[rows], actions[rows], future[rows], generator=generators,
            top_k=1 if greedy else None,
        )  # fmt: skip

    both, alone = dream([0, 1]), [dream([0]), dream([1])]
    for name in ("tokens", "rewards", "ends"):
        singles = torch.cat([getattr(one, name) for one in alone])
        assert torch.equal(getattr(both, name), singles)


@pytest.mark.parametrize("positions", ["rotary", "absolute"])
@pytest.mark.parametrize("shape", ["autoregressive", "factorised"])
def test_the_same_seed_dreams_the_same_and_another_does_not(shape, positions):
    model = tiny(shape, positions=positions)
    tokens, actions = episode(2)
    future = torch.zeros(2, 10, dtype=torch.int64)
    dreams = [
        model.imagine(tokens, actions, future, generator=torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    ]
    assert dreams[0].tokens.shape == (2, 10, 8) and dreams[0].tokens.dtype == torch.int64
    assert dreams[0].rewards.shape == dreams[0].ends.shape == (2, 10)
    assert dreams[0].rewards.dtype == torch.float32 and dreams[0].ends.dtype == torch.bool
    assert set(dreams[0].rewards.unique().tolist()) <= {0.0, 100.0}
    assert torch.equal(dreams[0].tokens, dreams[1].tokens)
    assert not torch.equal(dreams[0].tokens, dreams[2].tokens)


def test_greedy_imagination_takes_the_likeliest_of_the_teacher_forced_logits():
    model = tiny("autoregressive")
    tokens, actions = episode(3)
    future = torch.tensor([[1, 0], [2, 1]])
    dream = model.imagine(tokens, actions, future, top_k=1)
    everything = torch.cat((tokens, dream.tokens), dim=1)
    with torch.no_grad():
        prediction = model(everything, torch.cat((actions, future), dim=1))
    assert torch.equal(prediction.tokens[:, 2:].argmax(-1), dream.tokens)
    assert torch.equal(prediction.ends[:, 2:].argmax(-1) == 1, dream.ends)


def test_a_policy_sees_the_last_frame_and_gives_the_actions():
    model = tiny()
    tokens, actions = episode(2)
    seen = []

    def policy(frame):
        seen.append(frame)
        return frame[:, 0] % 3

    dream = model.imagine(tokens, actions, policy, top_k=1, horizon=3)
    assert torch.equal(seen[0], tokens[:, -1]) and torch.equal(seen[2], dream.tokens[:, 1])
    chosen = torch.stack([frame[:, 0] % 3 for frame in seen], dim=1)
    assert torch.equal(model.imagine(tokens, actions, chosen, top_k=1).tokens, dream.tokens)


def test_the_cache_is_bounded_and_its_size_stays():
    model = tiny("factorised")
    state = model.imaginer.new_state(4)
    # layers x (keys, values) x batch x context x positions x width x 4 bytes.
    assert state.cache.nbytes() == 2 * 2 * 4 * 3 * 3 * 16 * 4
    before = [layer.keys.data_ptr() for layer in state.cache.layers]
    frame = torch.zeros(4, 8, dtype=torch.int64)
    for _ in range(20):
        model.imaginer.next_frame(frame, frame[:, 0], state, Sampling(top_k=1))
    assert [layer.keys.data_ptr() for layer in state.cache.layers] == before
    assert state.cache.frames == 20 and len(state.past_frames) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_restarted_row_dreams_as_a_new_one_and_the_others_go_on_undisturbed(shape):
    model = tiny(shape, copies=1)
    tokens, actions = episode(3)
    other, other_actions = episode(6, batch=1)
    context, context_actions = other[:, 4:], other_actions[:, 4:]
    future = torch.tensor([[0, 1, 2, 0, 1, 2, 0], [2, 1, 0, 2, 1, 0, 1]])
    greedy = Sampling(top_k=1)
    state = model.imaginer.new_state(2)
    for t in range(2):
        model.imaginer.read(tokens[:, t], actions[:, t], state)
    frame, frames = tokens[:, -1], []
    for h in range(7):
        if h == 2:
            model.imaginer.restart(state, torch.tensor([1]), context, context_actions)
            frame = torch.stack((frame[0], context[0, -1]))
        frame = model.imaginer.next_frame(frame, future[:, h], state, greedy).tokens
        frames.append(frame)
    dreamt = torch.stack(frames, dim=1)
    undisturbed = model.imagine(tokens[:1], actions[:1], future[:1], top_k=1)
    assert torch.equal(dreamt[:1], undisturbed.tokens)
    new = model.imagine(context, context_actions, future[1:, 2:], top_k=1)
    assert torch.equal(dreamt[1:, 2:], new.tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(tokens=torch.zeros(2, 2, 8)), r"context_tokens: expected int64 \(B, T, 8\).*float32"),
        (dict(tokens=[[1]]), "context_tokens: expected a tensor .* got list"),
        (dict(tokens=torch.zeros(2, 2, 9).long()), r"context_tokens: .*got shape \(2, 2, 9\)"),
        (dict(tokens=torch.full((2, 2, 8), 7)), r"context_tokens: .*in \[0, 7\), got 7 to 7"),
        (dict(tokens=torch.zeros(2, 4, 8).long()), "at most 3 frames, the context .* got 4"),
        (dict(context_actions=torch.zeros(2, 2).long()), r"context_actions: expected int64 \(2, 1"),
        (dict(context_actions=torch.full((2, 1), -1)), r"context_actions: .*\[0, 3\), got -1"),
        (dict(actions=torch.full((2, 4), 3)), r"actions: expected values in \[0, 3\), got 3 to 3"),
        (dict(actions=torch.zeros(1, 4).long()), r"actions: expected int64 \(2, H\), got shape"),
        (dict(actions=torch.zeros(2, 0).long()), r"actions: expected int64 \(2, H\), got shape"),
        (dict(temperature=0.0), "temperature: expected a number above 0, got 0.0"),
        (dict(top_k=0), "top_k: expected at least 1 or None, got 0"),
        (dict(top_p=1.5), r"top_p: expected a share in \(0, 1\] or None, got 1.5"),
        (dict(horizon=3), "horizon: expected None beside given actions"),
        (dict(actions=lambda frame: frame[:, 0]), "horizon: expected at least 1 with a policy"),
        (dict(actions=lambda frame: frame[:, 0].int(), horizon=1), "policy's actions: .*int32"),
        (dict(generator=[torch.Generator()]), "generator: .*, 2 of them or None, got 1"),
        # A greedy dream needs none, and refuses it all the same.
        (dict(generator="x", top_k=1), "generator: expected a torch.Generator, .* got str 'x'"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = dict(
        tokens=torch.zeros(2, 2, 8).long(),
        context_actions=torch.zeros(2, 1).long(),
        actions=torch.zeros(2, 4).long(),
    )
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        tiny().imagine(arguments.pop("tokens"), **arguments)


def test_entropy_is_measured_where_it_is_asked_for():
    model = tiny()
    model.imaginer.uses_autocast = False
    tokens, actions = episode(2)
    greedy = Sampling(top_k=1)
    made = model.imaginer.next_frame(
        tokens[:, 0], actions[:, 0], model.imaginer.new_state(2), greedy
    )
    logits = model.imaginer.read(tokens[:, 0], actions[:, 0], model.imaginer.new_state(2)).tokens
    expected = torch.distributions.Categorical(logits=logits).entropy().sum(-1)
    torch.testing.assert_close(made.entropy, expected)
    bare = model.imaginer.next_frame(
        tokens[:, 0], actions[:, 0], model.imaginer.new_state(2), greedy, with_entropy=False
    )
    assert bare.entropy.isnan().all()
