import pytest
import torch

from tests.world_model.tiny import SHAPES, episode, tiny
from worldtokens.world_model import WorldModel, WorldModelConfig


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
def test_masked_predictions_have_the_logits_of_the_whole(shape):
    model = tiny(shape)
    tokens, actions = episode(4)
    mask = torch.rand(2, 3, 8) < 0.4
    with torch.no_grad():
        whole, some = model(tokens, actions), model(tokens, actions, mask)
    torch.testing.assert_close(some.tokens, whole.tokens[mask])
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
    config = WorldModelConfig(
        context=4, layers=1, width=32, heads=2, copies=1, history=2, stay_gate=stay_gate
    )
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
    torch.nn.init.zeros_(model.network.copy_gate.weight)
    with torch.no_grad():
        model.network.copy_gate.bias.copy_(torch.tensor([100.0, 50.0]))
    tokens = torch.zeros(1, 3, 8, dtype=torch.int64)
    tokens[:, 0], tokens[:, 1] = 2, 5
    with torch.no_grad():
        logits = model(tokens, torch.zeros(1, 2, dtype=torch.int64)).tokens
    # Frame 1 follows frame 0 (token 2), frame 2 follows tokens 5 and, before it, 2.
    assert logits[0, 0].argsort(-1, descending=True)[:, 0].tolist() == [2] * 8
    assert logits[0, 1].argsort(-1, descending=True)[:, :2].tolist() == [[5, 2]] * 8


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sliding_cache_equals_a_recomputed_window_of_all_frames_that_can_matter(shape):
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


def test_the_iris_architecture_has_its_number_of_parameters():
    config = WorldModelConfig(
        vocab_size=512, grid=(4, 4), num_actions=18, reward_values=[-1, 0, 1], context=20,
        prediction="autoregressive", attention="full", positions="absolute", merge=1, history=1,
        layers=10, heads=4, width=256, dropout=0.1, copies=0, stay_gate=False,
        predicts_lives=False,
    )  # fmt: skip
    assert sum(p.numel() for p in WorldModel(config).parameters()) == 8_451_077


CODED = WorldModelConfig(
    vocab_size=3, code_dim=2, width=64, heads=2, layers=1, copies=1, history=2, stay_gate=False
)


def test_tokens_with_like_codes_are_read_and_predicted_alike():
    torch.manual_seed(0)
    model = WorldModel(CODED)
    model.network.set_codes(torch.tensor([[0.0, 0.0], [0.1, 0.0], [-5.0, 3.0]]))
    own = model.network.token_embedding.weight.detach()
    tables = model.network.tables()
    for table, base in (
        (tables.inputs, own),
        (tables.outputs, model.network.token_head[-1].weight),
    ):
        shared = (table - base).detach()
        assert (shared[0] - shared[1]).norm() < 0.1 * (shared[0] - shared[2]).norm()


def gated(shape="gated", **changes):
    model = tiny(shape, stay_gate=True, **changes)
    # Gates that are sure of staying, sure of change and neither.
    model.network.copy_gate.weight.data[0] *= 10
    return model


@pytest.mark.parametrize("shape", ("gated", "autoregressive"))
def test_the_gate_says_how_likely_a_token_stays_and_the_logits_say_the_same(shape):
    tokens, actions = episode(4)
    with torch.no_grad():
        made = gated(shape)(tokens, actions)
    stays = made.tokens.softmax(-1).gather(-1, tokens[:, :3, :, None])[..., 0]
    torch.testing.assert_close(stays, made.stays.sigmoid())
    assert float(stays.min()) > 0.0 and float(stays.std()) > 0.0
