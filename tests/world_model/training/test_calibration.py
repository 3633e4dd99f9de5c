import numpy as np
import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.training.calibration import calibrate, measure_rates


def random_play(steps: int = 3000, rate: float = 0.05) -> TokenDataset:
    """Random tokens; after action 1 a third of the steps pay, after others few; no game ends."""
    rng = np.random.default_rng(0)
    actions = rng.integers(3, size=steps)
    pays = rng.random(steps) < np.where(actions == 1, 0.3, rate)
    episode = TokenEpisode(
        "one", rng.integers(7, size=(steps + 1, 8)), actions,
        np.where(pays, 100.0, 0.0).astype(np.float32), np.zeros(steps, bool),
        np.arange(steps) == steps - 1, lives_lost=rng.random(steps) < 0.1,
    )  # fmt: skip
    return TokenDataset([episode])


@pytest.mark.parametrize(
    "changes", [{}, {"outcomes": "frame"}, {"latents": 2, "latent_dropout": 0.5}]
)
def test_as_much_is_expected_as_happens(changes, capsys):
    model, data = tiny(predicts_lives=True, **changes), random_play()
    before = {rate.kind: rate for rate in measure_rates(model, data)}
    ends = model.network.end_head[-1].weight.clone()
    calibrate(model, data)
    after = {rate.kind: rate for rate in measure_rates(model, data)}
    for kind in ("reward", "lost life"):
        assert abs(before[kind].expected / before[kind].happened - 1) > 0.2
        assert after[kind].expected == pytest.approx(after[kind].happened, rel=1e-3)
    assert torch.equal(model.network.end_head[-1].weight, ends), "no end was seen"
    lines = capsys.readouterr().err.splitlines()
    expected = f"reward: {before['reward'].happened} in {before['reward'].steps:,} held-out steps"
    assert len(lines) == 2 and lines[0].startswith(expected)


def test_every_step_with_enough_known_frames_counts_once():
    data = random_play(steps=50)
    rates = {rate.kind: rate for rate in measure_rates(tiny(), data)}
    # Of 50 steps the first three have fewer than four known frames; the last was cut off.
    assert (rates["reward"].steps, rates["end"].steps) == (47, 46)
    assert rates["reward"].happened == int((data.episodes[0].rewards[3:] != 0).sum())


def test_a_long_dataset_is_looked_at_in_part():
    (reward, *_) = measure_rates(tiny(), random_play(steps=60_000))
    assert 20_000 <= reward.steps <= 24_000


def test_models_with_absolute_positions_see_windows_of_their_context():
    model = tiny("autoregressive", positions="absolute", context=4)
    (reward, _) = measure_rates(model, random_play(steps=50))
    assert reward.steps == 48
