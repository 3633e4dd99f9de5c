import copy
import pickle

import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.imagination import precision

CPU_BF16 = "worldtokens.world_model.imagination.precision.native_autocast_dtype"


def tiny(**changes):
    torch.manual_seed(0)
    settings = dict(
        vocab_size=7, grid=(4, 2), num_actions=3, context=3, layers=2, heads=2, width=16, copies=1,
        history=2, stay_gate=False,
    )  # fmt: skip
    model = WorldModel(WorldModelConfig(**{**settings, **changes})).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


AUTOREGRESSIVE = dict(prediction="autoregressive", attention="full", merge=1, history=1)


def frames(count, batch):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, (batch, count, 8), generator=generator)
    return tokens, torch.randint(3, (batch, count - 1), generator=generator)


FULL = dict(prediction="parallel", attention="full")


@pytest.mark.parametrize(
    ("changes", "cached"),
    [({}, torch.float32), (AUTOREGRESSIVE, torch.float32), (FULL, torch.bfloat16)],
)
def test_dreams_are_in_bfloat16_where_the_device_is_fast_at_it(monkeypatch, changes, cached):
    monkeypatch.setattr(CPU_BF16, lambda device: torch.bfloat16)
    model = tiny(**changes)

    def dtypes():
        state = model.imaginer.new_state(2)
        return state.tables.inputs.dtype, state.cache.layers[0].keys.dtype

    # A cache that is attended to by one query at a time stays in float32, which is faster.
    assert dtypes() == (torch.bfloat16, cached)
    assert model.network.token_embedding.weight.dtype == torch.float32
    model.imaginer.uses_autocast = False
    assert dtypes() == (torch.float32, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert dtypes() == (torch.bfloat16, cached)
    monkeypatch.setattr(CPU_BF16, lambda device: None)
    model.imaginer.uses_autocast = True
    assert dtypes() == (torch.float32, torch.float32)


@pytest.mark.parametrize("changes", [{}, dict(refine_layers=1), AUTOREGRESSIVE])
def test_logits_in_bfloat16_are_those_of_float32_up_to_rounding(monkeypatch, changes):
    monkeypatch.setattr(CPU_BF16, lambda device: torch.bfloat16)
    model = tiny(**changes)
    tokens, actions = frames(5, 40)
    logits = {}
    for low in (True, False):
        model.imaginer.uses_autocast = low
        state = model.imaginer.new_state(40)
        for t in range(4):
            prediction = model.imaginer.read(tokens[:, t], actions[:, t], state)
        logits[low] = prediction.tokens
    assert logits[True].dtype == torch.float32
    error = (logits[True] - logits[False]).norm() / logits[False].norm()
    assert 0 < float(error) < 0.03


def test_the_copy_in_low_precision_is_kept_until_a_weight_changes(monkeypatch):
    monkeypatch.setattr(CPU_BF16, lambda device: torch.bfloat16)
    model = tiny()
    first = model.imaginer.new_state(16).network
    assert model.imaginer.new_state(99).network is first and first is not model
    with torch.no_grad():
        model.network.token_head[-1].bias += 1.0
    second = model.imaginer.new_state(16).network
    assert second is not first
    torch.testing.assert_close(second.token_head[-1].bias, first.token_head[-1].bias + 1)
    assert "prepared" not in "".join(model.state_dict())


def test_a_copy_or_pickle_of_a_model_has_nothing_prepared(monkeypatch):
    monkeypatch.setattr(CPU_BF16, lambda device: torch.bfloat16)
    model = tiny()
    low = model.imaginer.new_state(16).network
    assert low is not model.network and model.imaginer.new_state(16).network is low
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.imaginer.network is again.network is not model.network
        assert again.imaginer._prepared._network is None


def test_a_restarted_row_joins_in_the_precision_of_the_others(monkeypatch):
    monkeypatch.setattr(CPU_BF16, lambda device: torch.bfloat16)
    model = tiny(**FULL)
    tokens, actions = frames(3, 16)
    state = model.imaginer.new_state(16)
    for t in range(2):
        model.imaginer.read(tokens[:, t], actions[:, t], state)
    model.imaginer.restart(state, torch.tensor([3]), tokens[:1], actions[:1])
    assert state.cache.layers[0].keys.dtype == torch.bfloat16
    per_dream = state.cache.layers[0].keys.unflatten(0, (16, -1))
    # The cache of rows 0 and 3 now holds the same frames.
    torch.testing.assert_close(per_dream[3], per_dream[0], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("changes", [{}, dict(attention="full"), AUTOREGRESSIVE])
def test_compiled_passes_dream_as_others(monkeypatch, changes):
    # "eager" traces and guards as a compiler does, but needs none.
    monkeypatch.setattr(precision, "BACKEND", "eager")
    torch.compiler.reset()
    model = tiny(**changes)
    model.imaginer.uses_autocast = False
    tokens, actions = frames(3, 2)
    future = torch.tensor([[0, 1, 2, 0, 1, 2, 0], [2, 2, 1, 0, 0, 1, 1]])
    plain = model.imagine(tokens, actions, future, top_k=1)
    model.imaginer.compile = True
    assert model.imaginer.new_state(2).compiled is not None
    compiled = model.imagine(tokens, actions, future, top_k=1)
    assert torch.equal(compiled.tokens, plain.tokens)
    assert torch.equal(compiled.rewards, plain.rewards)


def test_compiled_passes_have_static_shapes(monkeypatch):
    monkeypatch.setattr(precision, "BACKEND", "eager")
    torch.compiler.reset()
    model = tiny(**AUTOREGRESSIVE)
    model.imaginer.uses_autocast = False
    model.imaginer.compile = True
    tokens, actions = frames(2, 2)
    model.imagine(tokens, actions, torch.zeros(2, 5, dtype=torch.int64), top_k=1)
    # Whole blocks, single tokens, and a frame's last token with its action: nothing else comes.
    with torch.compiler.set_stance("fail_on_recompile"):
        model.imagine(tokens, actions, torch.zeros(2, 12, dtype=torch.int64), top_k=1)


def test_dreams_of_any_number_go_on_where_the_compiler_gives_up(monkeypatch):
    monkeypatch.setattr(precision, "BACKEND", "eager")
    torch.compiler.reset()
    model = tiny()
    model.imaginer.uses_autocast = False
    for count in range(1, 13):
        tokens, actions = frames(3, count)
        future = torch.zeros(count, 2, dtype=torch.int64)
        model.imaginer.compile = False
        plain = model.imagine(tokens, actions, future, top_k=1)
        model.imaginer.compile = True
        compiled = model.imagine(tokens, actions, future, top_k=1)
        assert torch.equal(compiled.tokens, plain.tokens)


def test_graphs_are_asked_of_the_compiler_and_the_cache_stays_in_place(monkeypatch):
    mask = []

    def compile(function, **options):
        mask.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    model = tiny()
    model.imaginer.uses_autocast = False
    tokens, actions = frames(3, 2)
    future = torch.zeros(2, 4, dtype=torch.int64)
    plain = model.imagine(tokens, actions, future, top_k=1)
    model.imaginer.compile = "graphs"
    state = model.imaginer.new_state(2)
    model.imaginer.compile = True
    model.imaginer.new_state(2)
    model.imaginer.compile = "graphs"
    assert torch.equal(model.imagine(tokens, actions, future, top_k=1).tokens, plain.tokens)
    # Compiled once for each wish.
    assert [options["options"] for options in mask] == [{"triton.cudagraphs": True}, None]
    for layer in state.cache.layers:
        for tensor in (layer.keys, layer.values):
            assert tensor._dynamo_static_input_type == "unguarded"
    model.imaginer.compile = "fast"
    with pytest.raises(ValueError, match="compile: expected .* or 'graphs', got 'fast'"):
        model.imaginer.new_state(2)


def test_dreams_are_compiled_only_where_one_asks_for_it(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    model = tiny()
    assert model.imaginer.compile is None
    assert model.imaginer.new_state(1).compiled is None
    model.imaginer.compile = True
    assert model.imaginer.new_state(1).compiled is not None
