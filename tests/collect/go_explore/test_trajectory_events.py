from collections import Counter

import numpy as np
import pytest

from worldtokens.collect.dataset.events import Moment
from worldtokens.collect.go_explore.approaches import Wanted
from worldtokens.collect.go_explore.paths import PathRecorder
from worldtokens.collect.go_explore.trajectory_events import TrajectoryEvents
from worldtokens.envs import make_env


@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_an_approach_leads_to_its_event_again(sticky):
    env = make_env("FakeGame", repeat_action_probability=sticky)
    _, info = env.reset(seed=1)
    events = TrajectoryEvents("start", PathRecorder(None, env.get_state().to_bytes(), 7))
    env.reseed(7)
    rng = np.random.default_rng(0)
    terminated = False
    action = 0
    while not terminated:
        if events.recorder.needs_state:
            events.recorder.keep_state(env.get_state())
        if len(events.recorder) % 12 == 0:
            action = int(rng.integers(6))
        before = Moment(info["lives"], int(info["ram"][0]), f"{len(events.recorder):04x}")
        reward, terminated, _, info = env.advance(action)
        events.add(action, before, reward, terminated, info["lives"], int(info["ram"][0]))
    found = events.approaches(Wanted())
    assert Counter(a.event.kind for a in found)["life_lost"] == 3
    assert any(len(a.path.actions) > a.lead for a in found)
    for a in found:
        assert a.start == "start"
        # Long ways begin at a state in between.
        assert a.lead < 24 + 32 and (a.lead >= 24 or int(a.event.cell, 16) < 24)
        _, before = a.path.replay(env, a.event_step)
        _, terminated, _, after = env.advance(a.path.actions[a.event_step])
        if a.event.kind == "life_lost":
            assert after["lives"] == a.event.value == before["lives"] - 1
        if a.event.kind == "end":
            assert terminated
