import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.evaluation.rounding import (
    ModelOutputs,
    compute_outputs,
    describe_rounding,
)


def test_the_change_is_described_in_words():
    tokens, frames = torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, 1, 1, 3).byte()
    before = ModelOutputs(tokens, frames, tokens[None])
    other = tokens.clone()
    other[0, 0] = 1
    text = describe_rounding(before, ModelOutputs(other, frames + 3, tokens[None]))
    assert "On 2 held-out frames 87.500% of the tokens and 100.000% of the likeliest" in text
    assert "at most 3 of 255" in text


def test_outputs_are_those_of_the_models(loaded):
    excerpts = loaded.heldout.episodes[:2]
    outputs = compute_outputs(loaded.tokenizer, loaded.model, excerpts)
    assert torch.equal(outputs.tokens[:13], loaded.tokenizer.encode(excerpts[0].frames))
    assert torch.equal(outputs.frames, loaded.tokenizer.decode(outputs.tokens))
    # As many frames as fit in the context are predicted of each excerpt, and one more.
    tokens, actions = outputs.tokens[None, :5], torch.from_numpy(excerpts[0].actions[None, :4])
    with torch.no_grad():
        likeliest = loaded.model(tokens, actions).tokens.argmax(-1)
    assert torch.equal(outputs.predicted[:1], likeliest) and len(outputs.predicted) == 2
    # Given tokens are decoded in place of the tokenizer's own.
    others = (outputs.tokens + 1) % 64
    again = compute_outputs(loaded.tokenizer, loaded.model, excerpts, others)
    assert torch.equal(again.tokens, outputs.tokens)
    assert torch.equal(again.frames, loaded.tokenizer.decode(others))


def test_latents_are_not_drawn_at_random(loaded):
    config = WorldModelConfig(**{**vars(loaded.model.config), "latents": 4})
    model = WorldModel(config).eval()
    torch.nn.init.normal_(model.network.latents.inject.weight)
    excerpts = loaded.heldout.episodes[:2]
    first, again = (compute_outputs(loaded.tokenizer, model, excerpts) for _ in range(2))
    assert torch.equal(first.predicted, again.predicted)
