import numpy as np
import pytest

from worldtokens.collect.policies.human import HumanPolicy, action_of
from worldtokens.collect.policies.policy import PolicyStopped, make_policy

MEANINGS = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHTFIRE")
FRAME = np.zeros((8, 8, 3), np.uint8)


def test_keys_become_the_action_that_does_most_of_them():
    assert action_of(set(), MEANINGS) == 0
    assert action_of({"UP"}, MEANINGS) == 2
    assert action_of({"UP", "RIGHT", "FIRE"}, MEANINGS) == 6
    # No action does exactly this: one of its parts is done.
    assert MEANINGS[action_of({"LEFT", "DOWN"}, MEANINGS)] in ("LEFT", "DOWN")


def test_people_play_until_they_close_the_window(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    policy = make_policy(
        {"_target_": "worldtokens.collect.policies.human.HumanPolicy", "steps_per_second": 1000},
        MEANINGS,
    )
    assert isinstance(policy, HumanPolicy)
    policy.begin(np.random.default_rng(0))
    assert policy.act(FRAME) == 0
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(PolicyStopped):
        policy.act(FRAME)
    pygame.quit()
