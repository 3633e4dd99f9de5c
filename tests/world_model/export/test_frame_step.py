"""The step without memory dreams as `imagine` does."""

import pytest
import torch

from tests.world_model.tiny import episode, tiny
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, FrameStep, NoiseLayout

LATENTS = dict(latents=3, latent_classes=5)
MODELS = [
    ("factorised", {}),
    ("factorised", dict(positions="absolute", stay_gate=True)),
    ("factorised", dict(refine_layers=1, refine_passes=2)),
    ("factorised", dict(context=1, copies=1, history=1)),
    ("gated", {}),
    ("gated", LATENTS),
    ("gated", dict(**LATENTS, outcomes="frame", predicts_lives=True)),
    ("gated", dict(**LATENTS, latent_dropout=0.2)),
    ("parallel", dict(predicts_lives=True)),
    ("parallel", dict(positions="absolute")),
    ("merged", {}),
    ("autoregressive", {}),
    ("autoregressive", dict(stay_gate=True, predicts_lives=True)),
    ("autoregressive", dict(positions="absolute", copies=1, layers=3)),
    ("autoregressive", dict(context=1, copies=1, code_dim=0)),
]


def name_of(value):
    return value if isinstance(value, str) else "-".join(f"{k}={v}" for k, v in value.items())


@torch.no_grad()
def run(step, tokens, actions, known, noise=None, temperature=0.0):
    """Outputs of the steps after the known frames, by name."""
    inputs = dict(zip(INPUTS, step.example_inputs(len(tokens)), strict=True))
    inputs["temperature"] = torch.tensor(temperature)
    results, current = [], tokens[:, 0]
    for t in range(actions.shape[1]):
        current = tokens[:, t] if t < known else current
        inputs |= {"tokens": current, "action": actions[:, t]}
        if noise is not None:
            inputs["noise"] = noise[t]
        out = dict(zip(OUTPUTS, step(*inputs.values()), strict=True))
        inputs |= {name: out[f"next_{name}"] for name in ("past", "cache", "frames")}
        current = out["next_tokens"]
        if t >= known - 1:
            results.append(out)
    return {name: torch.stack([out[name] for out in results], dim=1) for name in OUTPUTS}


@pytest.mark.parametrize(("shape", "changes"), MODELS, ids=name_of)
def test_greedy_dreams_are_those_of_imagine(shape, changes):
    model = tiny(shape, **changes)
    known = min(3, model.config.context)
    tokens, actions = episode(20)
    rollout = model.imagine(
        tokens[:, :known], actions[:, : known - 1], actions[:, known - 1 :], top_k=1
    )
    out = run(FrameStep(model.network).eval(), tokens, actions, known)
    assert rollout.tokens.unique().numel() > 2
    assert torch.equal(out["next_tokens"], rollout.tokens)
    assert torch.equal(out["reward"], rollout.rewards)
    assert torch.equal(out["end"], rollout.ends)
    assert torch.equal(out["life_lost"], rollout.lives_lost)


class Recorder:
    """Hands out the noise that `imagine` would draw, and remembers it."""

    def __init__(self, monkeypatch):
        self.drawn = []
        modules = ("imagination.imaginer", "imagination.sampling")
        for module in modules:
            monkeypatch.setattr(f"worldtokens.world_model.{module}.uniform_noise", self.noise)

    def noise(self, shape, sampling, generator, device):
        if sampling.greedy:
            return None
        self.drawn.append(torch.rand(tuple(shape), generator=generator))
        return self.drawn[-1]


@pytest.mark.parametrize(("shape", "changes"), MODELS[:5] + MODELS[8:13], ids=name_of)
def test_equal_noise_draws_what_imagine_draws(shape, changes, monkeypatch):
    model = tiny(shape, **changes)
    if model.config.refine_layers:
        pytest.skip("imagine draws the noise of refinement elsewhere")
    recorder = Recorder(monkeypatch)
    tokens, actions = episode(12)
    known = min(3, model.config.context)
    generator = torch.Generator().manual_seed(3)
    rollout = model.imagine(
        tokens[:, :known], actions[:, : known - 1], actions[:, known - 1 :], generator=generator
    )
    # Outcomes are drawn first, each (B,), then the tokens, (B, K).
    outcomes = 3 if model.config.predicts_lives else 2
    per_step = [
        recorder.drawn[n : n + outcomes + 1] for n in range(0, len(recorder.drawn), outcomes + 1)
    ]
    noise = []
    for *of_outcomes, of_tokens in per_step:
        of_outcomes += [torch.zeros(2)] * (3 - len(of_outcomes))
        noise.append(torch.cat((of_tokens, torch.stack(of_outcomes, dim=1)), dim=1))
    noise = [torch.zeros_like(noise[0])] * (known - 1) + noise
    out = run(FrameStep(model.network).eval(), tokens, actions, known, noise, 1.0)
    assert torch.equal(out["next_tokens"], rollout.tokens)
    assert torch.equal(out["reward"], rollout.rewards)
    assert torch.equal(out["end"], rollout.ends)


def test_frames_of_0_begin_a_row_anew():
    model = tiny("gated")
    step = FrameStep(model.network).eval()
    tokens, actions = episode(9)
    fresh = run(step, tokens[1:, 4:], actions[1:, 4:], 3)
    inputs = dict(zip(INPUTS, step.example_inputs(2), strict=True))
    inputs["temperature"] = torch.tensor(0.0)
    results, out = [], {}
    with torch.no_grad():
        for t in range(8):
            frame = tokens[:, t]
            if t == 4:
                inputs["frames"] = inputs["frames"] * torch.tensor([1, 0])
            if t > 6:
                frame = torch.stack((frame[0], out["next_tokens"][1]))
            inputs |= {"tokens": frame, "action": actions[:, t]}
            out = dict(zip(OUTPUTS, step(*inputs.values()), strict=True))
            inputs |= {name: out[f"next_{name}"] for name in ("past", "cache", "frames")}
            if t >= 6:
                results.append(out["next_tokens"][1:])
    assert torch.equal(torch.stack(results, dim=1), fresh["next_tokens"])
    assert out["next_frames"].tolist() == [8, 4]


def test_the_layout_of_the_noise():
    config = tiny("gated", latents=3, latent_classes=5).config
    layout = NoiseLayout.of(config)
    assert vars(layout) == {"latents": 3, "tokens": 8, "refined": 0, "outcomes": 3}
    codes, tokens, refined, outcomes = layout.split(torch.arange(14.0)[None])
    assert codes.tolist() == [[0, 1, 2]] and tokens[0, 0] == 3 and refined.shape == (1, 0)
    assert outcomes.tolist() == [[11, 12, 13]] and layout.size == 14
    refining = tiny("factorised", refine_layers=1, refine_passes=2).config
    # A quarter of 8 tokens, then a quarter of those, rounded up.
    assert NoiseLayout.of(refining).refined == 3
