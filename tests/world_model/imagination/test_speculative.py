import pytest
import torch

from tests.world_model import tiny as tiny_models
from tests.world_model.tiny import episode
from worldtokens.world_model import Sampling, WorldModel, WorldModelConfig
from worldtokens.world_model.imagination.sampling import seeded_generators


def tiny(positions="rotary", copies=1, std=0.4):
    torch.manual_seed(0)
    config = WorldModelConfig(
        prediction="autoregressive", attention="full", merge=1, history=1, positions=positions,
        tokenizer="abc", vocab_size=7, grid=(4, 2), num_actions=3, context=3, layers=2, heads=2,
        width=16, copies=copies, stay_gate=False, code_dim=3, reward_values=[0.0, 100.0],
    )  # fmt: skip
    model = WorldModel(config).eval()
    model.imaginer.uses_autocast = False
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model


def context(batch=2):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, (batch, 2, 8), generator=generator)
    actions = torch.randint(3, (batch, 12), generator=generator)
    return tokens, actions[:, :1], actions[:, 1:]


def count_passes(model):
    lengths, step = [], model.network.transformer.step

    def counted(x, *arguments):
        lengths.append(x.shape[1])
        return step(x, *arguments)

    model.network.transformer.step = counted
    return lengths


@pytest.mark.parametrize("positions", ("rotary", "absolute"))
@pytest.mark.parametrize("draw", (dict(top_k=1), dict(temperature=0.7), dict(top_p=0.8)))
def test_speculative_decoding_draws_what_drawing_one_by_one_draws(positions, draw):
    model = tiny(positions, copies=0)
    # Without a favourite token, and more sensitive to what it reads.
    model.network.token_head[-1].bias.data.zero_()
    model.network.token_embedding.weight.data.mul_(5)
    rollouts, passes = [], []
    for speculative in (False, True):
        model.imaginer.speculative = speculative
        lengths = count_passes(model)
        # 11 frames with a context of 3: the cache is written over, with absolute positions emptied.
        rollouts.append(model.imagine(*context(), **draw, generator=seeded_generators(3, 2)))
        passes.append(len(lengths))
    plain, speculative = rollouts
    assert torch.equal(plain.tokens, speculative.tokens)
    assert torch.equal(plain.rewards, speculative.rewards)
    assert torch.equal(plain.ends, speculative.ends)
    # Each of the 11 frames takes 8 passes one by one, and one more reads the context.
    assert passes[0] == 11 * 8 + 1 and passes[1] < passes[0]
    assert draw == dict(top_k=1) or len(plain.tokens.unique()) > 2


def test_a_frame_that_stays_takes_one_pass_more():
    model = tiny(std=0.05)
    # Whatever else it thinks, the token that stands there gains.
    model.network.copy_gate.bias.data.fill_(50.0)
    model.imaginer.speculative = True
    lengths = count_passes(model)
    tokens, between, actions = context()
    rollout = model.imagine(tokens, between, actions)
    assert torch.equal(rollout.tokens, tokens[:, -1:].expand(-1, 11, -1))
    # The frame before (all but its first pass read its last token only then) and its action, then
    # 7 drafted tokens at once.
    assert lengths == [9] + [9, 7] + [2, 7] * 10


def test_the_entropy_is_the_same():
    model, frames = tiny(), []
    tokens, _, actions = context()
    for speculative in (False, True):
        model.imaginer.speculative = speculative
        state = model.imaginer.new_state(2)
        frame = model.imaginer.next_frame(tokens[:, 0], actions[:, 0], state, Sampling(top_k=1))
        frames.append((frame.entropy, state.cache.position, state.cache.frames))
    torch.testing.assert_close(frames[0][0], frames[1][0])
    # All but the last token are in state, either way.
    assert frames[0][1:] == frames[1][1:] == (7, 1)


def test_few_dreams_on_a_cpu_decode_speculatively_by_default():
    model = tiny()
    passes = {}
    for batch in (8, 9):
        lengths = count_passes(model)
        model.imagine(*context(batch), top_k=1)
        passes[batch] = len(lengths)
        del model.network.transformer.step
    # 8 dreams of 8 tokens are as many as one pass may take.
    assert passes[8] < passes[9] == 11 * 8 + 1


def gated(shape="gated", **changes):
    model = tiny_models.tiny(shape, stay_gate=True, **changes)
    # Gates that are sure of staying, sure of change and neither.
    model.network.copy_gate.weight.data[0] *= 10
    return model


@pytest.mark.parametrize("draw", (dict(top_k=1), dict(), dict(temperature=0.7), dict(top_p=0.8)))
def test_with_a_gate_too_speculative_decoding_draws_what_drawing_one_by_one_draws(draw):
    model = gated("autoregressive")
    tokens, actions = episode(3)
    future = torch.randint(3, (2, 9), generator=torch.Generator().manual_seed(2))
    rollouts = []
    for speculative in (False, True):
        model.imaginer.speculative = speculative
        rollouts.append(
            model.imagine(tokens, actions, future, **draw, generator=seeded_generators(3, 2))
        )
    assert torch.equal(rollouts[0].tokens, rollouts[1].tokens)
