import numpy as np
import pytest
import torch

from worldtokens.world_model.data.event_windows import WindowConfig, WindowSampler, find_events
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode


def episode(name: str, steps: int, **changes) -> TokenEpisode:
    """Frame t is token t everywhere."""
    values = dict(
        tokens=np.arange(steps + 1)[:, None].repeat(2, 1),
        actions=np.zeros(steps, np.int64),
        rewards=np.zeros(steps, np.float32),
        terminated=np.zeros(steps, bool),
        truncated=np.arange(steps) == steps - 1,
        lives_lost=np.zeros(steps, bool),
        scenes=np.zeros(steps + 1, np.int64),
    )
    return TokenEpisode(name, **{**values, **changes})


def eventful() -> TokenEpisode:
    rewards = np.zeros(40, np.float32)
    rewards[[5, 30]], rewards[12] = 100, 1000
    lost = np.arange(40) == 20
    scenes = np.repeat([1, 2], [26, 15])
    return episode("e", 40, rewards=rewards, lives_lost=lost, scenes=scenes)


def test_events_are_found_by_kind_and_step():
    found = {kind: steps.tolist() for kind, steps in find_events(eventful()).items()}
    assert found == {
        "reward 100": [5, 30], "reward 1000": [12], "lost life": [20], "scene": [25],
    }  # fmt: skip
    assert find_events(episode("quiet", 5)) == {}


def test_a_share_of_the_windows_holds_an_event_of_each_kind_as_often():
    dataset = TokenDataset([episode("quiet", 400), eventful()])
    sampler = WindowSampler(dataset, 6, WindowConfig(0.5, 0.0))
    rng, kinds = np.random.default_rng(0), {"reward": 0, "life": 0, "scene": 0}
    for _ in range(60):
        segments, windows = sampler.draw(8, rng)
        assert segments.tokens.shape == (8, 6, 2)
        assert segments.tokens[:, 0, 0].tolist() == windows[:, 1].tolist()
        for row in range(4, 8):
            assert windows[row, 0] == 1
            start = int(windows[row, 1])
            inside = range(start, start + 5)
            assert segments.mask[row].all()
            kinds["reward"] += any(step in inside for step in (5, 12, 30))
            kinds["life"] += 20 in inside
            kinds["scene"] += 25 in inside
            assert any(step in inside for step in (5, 12, 20, 25, 30))
    assert all(count > 60 for count in kinds.values()), kinds


def test_without_shares_the_windows_are_those_of_the_dataset():
    dataset = TokenDataset([episode("quiet", 400), eventful()])
    sampler = WindowSampler(dataset, 6, WindowConfig(0.0, 0.0))
    first, windows = sampler.draw(8, np.random.default_rng(1))
    second = dataset.sample(8, 6, np.random.default_rng(1))
    assert torch.equal(first.tokens, second.tokens)
    sampler.remember(windows, torch.ones(8))
    assert sampler.parts == {}


def test_windows_of_high_loss_come_again_also_after_a_restart():
    dataset = TokenDataset([episode("quiet", 400)])
    sampler = WindowSampler(dataset, 6, WindowConfig(0.0, 0.5))
    windows = np.stack([np.zeros(40, np.int64), np.arange(40)], axis=1)
    sampler.remember(windows, torch.arange(40.0))
    again = WindowSampler(dataset, 6, WindowConfig(0.0, 0.5))
    again.load_state_dict(sampler.state_dict())
    for one in (sampler, again):
        _, drawn = one.draw(8, np.random.default_rng(0))
        assert drawn[4:, 1].min() >= 30, "the upper quarter"
    assert list(sampler.parts) == ["windows"]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((1.5, 0.0), r"event_share: expected a number in \[0, 1\], got 1.5"),
        ((0.6, 0.6), "high_loss_share: expected at most 1 together with event_share, got 0.6"),
    ],
)
def test_wrong_shares_are_named(shares, message):
    with pytest.raises(ValueError, match=message):
        WindowConfig(*shares)
