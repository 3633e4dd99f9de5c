import numpy as np

from worldtokens.world_model.evaluation.events.choice import (
    choose,
    choose_windows,
    find_near_misses,
)
from worldtokens.world_model.evaluation.events.events import list_events


def test_a_visit_to_the_place_of_a_reward_without_one_is_a_near_miss(setup):
    rewards = list_events(setup.tokens.episodes)["reward"]
    assert [(event.value, event.scene, event.step) for event in rewards] == [(100.0, 1, 5)]
    near = find_near_misses(setup.heldout, setup.tokens.episodes, rewards)
    assert list(near) == [(100.0, 1)]
    (miss,) = near[100.0, 1]
    # The second held-out episode stands in the cell before the key from frame 5 to its end.
    assert miss.episode.name == "played-0019" and miss.step == (5 + 20) // 2


def test_games_and_data_without_labelled_memory_have_no_near_misses(setup, monkeypatch):
    rewards = list_events(setup.tokens.episodes)["reward"]
    heldout = setup.heldout
    assert find_near_misses(heldout, setup.tokens.episodes, []) == {}
    read = lambda self, name, start, stop: np.zeros((stop - start, 128), np.uint8)  # noqa: E731
    monkeypatch.setattr(type(heldout), "read", read)
    assert find_near_misses(heldout, setup.tokens.episodes, rewards) == {}


def test_quiet_windows_hold_no_event_of_their_kind(setup):
    by_kind = {windows.kind: windows for windows in choose_windows(setup, 100)}
    # No game ends, and rooms change only where a player dies.
    assert list(by_kind) == ["reward", "lost life", "scene"]
    for kind, windows in by_kind.items():
        assert len(windows.events) == 1 and len(windows.near_misses) == (kind == "reward")
        for episode, first in windows.quiet:
            # Four known frames, then ten steps.
            steps = slice(first + 3, first + 13)
            assert len(episode.rewards[steps]) == 10
            assert not (kind == "reward" and episode.rewards[steps].any())
            assert not (kind == "lost life" and episode.lives_lost[steps].any())
    # Each of three episodes of 20 steps has eight windows of 14 frames; step 5 lies in three.
    assert len(by_kind["reward"].quiet) == 24 - 3


def test_a_part_of_the_events_is_drawn_in_order(setup):
    events = list_events(setup.tokens.episodes)["lost life"] * 5
    assert choose(events, 9, np.random.default_rng(0)) == events
    assert len(choose(events, 2, np.random.default_rng(0))) == 2
