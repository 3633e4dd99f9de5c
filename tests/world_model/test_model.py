import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.imagination.sampling import Sampling

SHAPES = {
    "autoregressive": dict(prediction="autoregressive", attention="full", merge=1, history=1),
    "parallel": dict(prediction="parallel", attention="full", merge=1),
    "merged": dict(prediction="parallel", attention="full", merge=2),
    "factorised": dict(prediction="parallel", attention="factorised", merge=2),
    "gated": dict(prediction="parallel", attention="factorised", merge=2, stay_gate=True),
}


def tiny(shape="factorised", **changes):
    torch.manual_seed(0)
    config = WorldModelConfig(
        **{
            **dict(tokenizer="abc", vocab_size=7, grid=(4, 2), num_actions=3, context=3),
            **dict(layers=2, heads=2, width=16, copies=2, code_dim=3, reward_values=[0.0, 100.0]),
            **SHAPES[shape],
            **changes,
        }
    )
    model = WorldModel(config).eval()
    model.uses_autocast = False
    for parameter in model.parameters():
        # Untrained weights are too small for a wrong mask to show.
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def episode(frames, batch=2):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, (batch, frames, 8), generator=generator)
    return tokens, torch.randint(3, (batch, frames - 1), generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
def test_stepwise_logits_equal_those_of_the_whole_sequence_also_after_the_ring_is_full(shape):
    model = tiny(shape)
    tokens, actions = episode(9)  # Three times the context.
    with torch.no_grad():
        whole = model(tokens, actions)
    memory = model.new_memory(2)
    for t in range(8):
        step = model.read(tokens[:, t], actions[:, t], memory)
        got = step.tokens
        if shape == "autoregressive":
            recent = model._remembered(memory)
            for k in range(7):
                x = memory.tables.inputs[tokens[:, t + 1, k, None]]
                x = model.transformer.step(x, memory)
                logits = model._token_logits(x, recent[:, k + 1 : k + 2], memory.tables)
                got = torch.cat((got, logits), dim=1)
        torch.testing.assert_close(got, whole.tokens[:, t], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(step.rewards, whole.rewards[:, t], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(step.ends, whole.ends[:, t], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sliding_memory_equals_a_recomputed_window_of_all_frames_that_can_matter(shape):
    model = tiny(shape, copies=1)
    tokens, actions = episode(12)
    with torch.no_grad():
        whole = model(tokens, actions)
        # Two layers of three frames reach back four frames from the frame they predict from, whose
        # embedding reaches back one more.
        recent = model(tokens[:, -7:], actions[:, -6:])
        changed = tokens.clone()
        changed[:, :5] = (changed[:, :5] + 1) % 7
        other = model(changed, actions)
    torch.testing.assert_close(whole.tokens[:, -1], recent.tokens[:, -1], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(whole.tokens[:, -1], other.tokens[:, -1], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_prediction_sees_what_it_predicts_or_later_actions(shape):
    model = tiny(shape)
    tokens, actions = episode(4)
    later = tokens.clone()
    later[:, 2:] = (later[:, 2:] + 3) % 7
    later_actions = actions.clone()
    later_actions[:, 2:] = (later_actions[:, 2:] + 1) % 3
    with torch.no_grad():
        before, after = model(tokens, actions), model(later, later_actions)
    torch.testing.assert_close(before.tokens[:, 0], after.tokens[:, 0])
    torch.testing.assert_close(before.rewards[:, :2], after.rewards[:, :2])
    seen = 1 if shape == "autoregressive" else 8  # Its first token has seen none of the frame.
    torch.testing.assert_close(before.tokens[:, 1, :seen], after.tokens[:, 1, :seen])
    assert not torch.allclose(before.tokens[:, 2], after.tokens[:, 2])


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_that_were_asked_for_have_the_logits_of_the_whole(shape):
    model = tiny(shape)
    tokens, actions = episode(4)
    asked = torch.rand(2, 3, 8) < 0.4
    with torch.no_grad():
        whole, some = model(tokens, actions), model(tokens, actions, asked)
    torch.testing.assert_close(some.tokens, whole.tokens[asked])
    torch.testing.assert_close(some.rewards, whole.rewards)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_action_changes_the_prediction_of_its_frame(shape):
    model = tiny(shape)
    tokens, actions = episode(3)
    other = actions.clone()
    other[:, 1] = (other[:, 1] + 1) % 3
    with torch.no_grad():
        a, b = model(tokens, actions), model(tokens, other)
    torch.testing.assert_close(a.tokens[:, 0], b.tokens[:, 0])
    assert not torch.allclose(a.tokens[:, 1], b.tokens[:, 1])


@pytest.mark.parametrize("stay_gate", [False, True])
def test_an_untrained_model_expects_the_frame_to_stay(stay_gate):
    config = WorldModelConfig(context=4, layers=1, width=32, heads=2, stay_gate=stay_gate)
    model = WorldModel(config).eval()
    tokens = torch.randint(512, (1, 3, 64))
    with torch.no_grad():
        logits = model(tokens, torch.zeros(1, 2, dtype=torch.int64)).tokens
    assert torch.equal(logits.argmax(-1), tokens[:, :2])
    # e^2 / (1 + e^2) = 0.88 where all other logits are equal, which they nearly are.
    stays = logits.softmax(-1).gather(-1, tokens[:, :2, :, None])
    assert 0.85 < float(stays.mean()) < 0.91


def test_the_copy_bonus_goes_to_the_tokens_of_the_frames_before():
    model = tiny("factorised")
    torch.nn.init.zeros_(model.copy_gate.weight)
    with torch.no_grad():
        model.copy_gate.bias.copy_(torch.tensor([100.0, 50.0]))
    tokens = torch.zeros(1, 3, 8, dtype=torch.int64)
    tokens[:, 0], tokens[:, 1] = 2, 5
    with torch.no_grad():
        logits = model(tokens, torch.zeros(1, 2, dtype=torch.int64)).tokens
    # Frame 1 follows frame 0 (token 2), frame 2 follows tokens 5 and, before it, 2.
    assert logits[0, 0].argsort(-1, descending=True)[:, 0].tolist() == [2] * 8
    assert logits[0, 1].argsort(-1, descending=True)[:, :2].tolist() == [[5, 2]] * 8


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


def test_memory_is_bounded_and_its_size_stays():
    model = tiny("factorised")
    memory = model.new_memory(4)
    # layers x (keys, values) x batch x context x places x width x 4 bytes.
    assert memory.nbytes() == 2 * 2 * 4 * 3 * 3 * 16 * 4
    before = [ring.keys.data_ptr() for ring in memory.rings]
    frame = torch.zeros(4, 8, dtype=torch.int64)
    for _ in range(20):
        model.next_frame(frame, frame[:, 0], memory, Sampling(top_k=1))
    assert [ring.keys.data_ptr() for ring in memory.rings] == before
    assert memory.frames == 20 and len(memory.tokens) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_restarted_row_dreams_as_a_new_one_and_the_others_go_on_undisturbed(shape):
    model = tiny(shape, copies=1)
    tokens, actions = episode(3)
    other, other_actions = episode(6, batch=1)
    context, context_actions = other[:, 4:], other_actions[:, 4:]
    future = torch.tensor([[0, 1, 2, 0, 1, 2, 0], [2, 1, 0, 2, 1, 0, 1]])
    greedy = Sampling(top_k=1)
    memory = model.new_memory(2)
    for t in range(2):
        model.read(tokens[:, t], actions[:, t], memory)
    frame, frames = tokens[:, -1], []
    for h in range(7):
        if h == 2:
            model.restart(memory, torch.tensor([1]), context, context_actions)
            frame = torch.stack((frame[0], context[0, -1]))
        frame = model.next_frame(frame, future[:, h], memory, greedy).tokens
        frames.append(frame)
    dreamt = torch.stack(frames, dim=1)
    undisturbed = model.imagine(tokens[:1], actions[:1], future[:1], top_k=1)
    assert torch.equal(dreamt[:1], undisturbed.tokens)
    new = model.imagine(context, context_actions, future[1:, 2:], top_k=1)
    assert torch.equal(dreamt[1:, 2:], new.tokens)


def test_the_iris_architecture_has_its_number_of_parameters():
    config = WorldModelConfig(
        vocab_size=512, grid=(4, 4), num_actions=18, reward_values=[-1, 0, 1], context=20,
        prediction="autoregressive", attention="full", positions="absolute", merge=1, history=1,
        layers=10, heads=4, width=256, dropout=0.1, copies=0,
    )  # fmt: skip
    assert sum(p.numel() for p in WorldModel(config).parameters()) == 8_451_077


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
        (dict(generator=[torch.Generator()]), "generator: expected one or 2, got 1"),
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


def test_tokens_of_another_tokenizer_are_refused():
    tiny().check_tokenizer("abc")
    with pytest.raises(ValueError, match="trained on the tokens of tokenizer 'abc', not of 'xyz'"):
        tiny().check_tokenizer("xyz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(prediction="serial"), "prediction: expected one of .* got 'serial'"),
        (dict(layers=0), "layers: expected at least 1, got 0"),
        (dict(heads=3), "width 256 over 3 heads"),
        (dict(prediction="autoregressive"), "use attention=full with prediction=autoregressive"),
        (
            dict(prediction="autoregressive", attention="full"),
            "merge=2 and history=2 need",
        ),
        (dict(merge=3), r"merge=3 does not divide the grid \(8, 8\)"),
        (dict(copies=9), "copies: expected 0 to context=8, got 9"),
        (dict(copies=0, stay_gate=True), "stay_gate=true needs copies of at least 1"),
        (dict(refine_layers=1, stay_gate=True), "refine_layers=1 learns from tokens that stay"),
        (dict(dropout=1.0), r"dropout: expected a share in \[0, 1\), got 1.0"),
        (dict(reward_values=[1.0, 0.0]), "reward_values: expected ascending distinct values"),
    ],
)
def test_wrong_configs_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        WorldModelConfig(**change)


def test_tokens_with_like_codes_are_read_and_predicted_alike():
    torch.manual_seed(0)
    config = WorldModelConfig(vocab_size=3, code_dim=2, width=64, heads=2, layers=1)
    model = WorldModel(config)
    model.set_codes(torch.tensor([[0.0, 0.0], [0.1, 0.0], [-5.0, 3.0]]))
    own = model.token_embedding.weight.detach()
    tables = model.tables()
    for table, base in ((tables.inputs, own), (tables.outputs, model.token_head[-1].weight)):
        shared = (table - base).detach()
        assert (shared[0] - shared[1]).norm() < 0.1 * (shared[0] - shared[2]).norm()


def test_codes_are_saved_with_the_model(tmp_path):
    model = WorldModel(WorldModelConfig(vocab_size=3, code_dim=2, width=64, heads=2, layers=1))
    model.set_codes(torch.tensor([[0.0, 0.0], [0.1, 0.0], [-5.0, 3.0]]))
    model.save_pretrained(tmp_path)
    assert torch.equal(WorldModel.from_pretrained(tmp_path).codes, model.codes)
