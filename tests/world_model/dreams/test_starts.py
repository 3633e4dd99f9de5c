import numpy as np
import pytest

from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.dreams.starts import starts_before_events


@pytest.fixture
def tokens():
    """20 steps; step 3 pays 100, 10 and 17 pay 300; step 12 costs a life."""
    rewards = np.zeros(20, np.float32)
    rewards[3], rewards[[10, 17]] = 100, 300
    nothing = np.zeros(20, bool)
    lost = np.arange(20) == 12
    episode = TokenEpisode(
        "one", np.zeros((21, 4), int), np.zeros(20, int), rewards, nothing, nothing, lives_lost=lost
    )
    return TokenDataset([episode])


def firsts(tokens, kind, count=9, lead=2, context=3, horizon=4):
    rng = np.random.default_rng(0)
    return [f for _, f in starts_before_events(tokens, kind, count, lead, context, horizon, rng)]


def test_the_event_comes_lead_steps_after_the_known_frames(tokens):
    # Frames 7, 8, 9 are known; the first dreamt step is 9, the second, 10, pays.
    assert firsts(tokens, "reward 300") == [7, 14]
    assert firsts(tokens, "reward") == [0, 7, 14]
    assert firsts(tokens, "lost life") == [9]
    assert len(firsts(tokens, "reward", count=2)) == 2


def test_events_too_near_to_an_end_of_the_episode_are_left_out(tokens):
    assert firsts(tokens, "reward 300", horizon=5) == [7]
    assert firsts(tokens, "reward", context=4) == [6, 13]


def test_other_events_are_named(tokens):
    with pytest.raises(ValueError, match="expected one of .'lost life', 'reward', 'reward 100'"):
        firsts(tokens, "scene")
    with pytest.raises(ValueError, match="with 4 frames before it and 28 after, got 'lost life'"):
        firsts(tokens, "lost life", horizon=30)
