import numpy as np
import pytest

from worldtokens.collect.dataset.events import Event
from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.passes import RecordFromEvent, varied
from worldtokens.collect.go_explore.paths import Path
from worldtokens.collect.policies import HeldRandomPolicy
from worldtokens.collect.tasks import Worker
from worldtokens.envs import make_env

NOOP, RIGHT = 0, 3
PATH = [10, 11, 12, 13, 14, 15, 16, 17]
LEAD = 6


def test_every_way_through_an_event():
    rng = np.random.default_rng(0)
    scripts = [varied(PATH, LEAD, 5, rng) for _ in range(500)]
    exact = PATH[:LEAD]
    to_the_event = [s for s in scripts if s == exact]
    too_short = [s for s in scripts if s != exact and s == PATH[: len(s)] and len(s) < LEAD]
    past = [s for s in scripts if s == PATH[: len(s)] and len(s) > LEAD]
    changed = [s for s in scripts if len(s) == LEAD and s != exact]
    prelude = [s for s in scripts if len(s) > LEAD and s[-LEAD:] == exact]
    assert [len(way) / 500 for way in (too_short, changed, prelude)] == pytest.approx(
        [0.2, 0.2, 0.2], abs=0.06
    )
    assert len(to_the_event) / 500 == pytest.approx(0.2 + 0.2 / 3, abs=0.06)
    assert sum(map(len, (to_the_event, too_short, past, changed, prelude))) == 500
    assert {len(s) for s in too_short} == {2, 3, 4, 5} and {len(s) for s in past} == {7, 8}
    assert {sum(a != b for a, b in zip(s, exact, strict=True)) for s in changed} == {1, 2}
    assert {len(s) - LEAD for s in prelude} == {1, 2, 3}
    assert all(len(set(s[:-LEAD])) == 1 and s[0] < 5 for s in prelude)


def test_a_lead_of_one_step_has_nothing_to_leave_out():
    rng = np.random.default_rng(0)
    assert all(len(varied([7], 1, 5, rng)) >= 1 for _ in range(100))


@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_an_episode_begins_on_the_way_to_the_event_and_passes_through_it(sticky):
    env = make_env("FakeGame", repeat_action_probability=sticky, noop_max=0)
    env.reset(seed=3)
    env.reseed(5)
    state = env.get_state().to_bytes()
    positions = [int(env.advance(RIGHT)[3]["ram"][1]) for _ in range(40)]
    event = Event("reward", 100.0, 0, "0a")
    approach = Approach(event, "", Path(((0, state),), bytes([RIGHT] * 30), ((0, 5),)), 27)
    episodes = []
    worker = Worker(env, HeldRandomPolicy(6, 3), lambda _: None, episodes.append, 0)
    firsts = set()
    for seed in range(40):
        recorded = RecordFromEvent(f"job-{seed:08d}", seed, approach, 35, seed % 2 == 0).run(worker)
        episode = episodes[-1]
        assert recorded.info == episode.info and episode.num_steps <= 35
        assert episode.info.start_cell == "reward:100@0a" and episode.start == "restored"
        # At most 24 and at least 4 of the 28 steps to the event lie before it.
        first = positions.index(int(episode.ram[0, 1])) + 1
        assert 28 - 24 <= first <= 28 - 4
        firsts.add(first)
    assert len(firsts) > 8
    again = RecordFromEvent("job-00000004", 4, approach, 35, True)
    again.run(worker)
    np.testing.assert_array_equal(episodes[-1].frames, episodes[4].frames)
    followed = [(e.actions[:4] == RIGHT).mean() for e in episodes[0:40:2]]
    free = [(e.actions[:4] == RIGHT).mean() for e in episodes[1:40:2]]
    assert np.mean(followed) > 0.8 > 0.5 > np.mean(free)
