import numpy as np
import pytest

from worldtokens.collect.policies.random_actions import HeldRandomPolicy, RandomPolicy

FRAME = np.zeros((8, 8, 3), np.uint8)


def actions_of(policy, seed, count):
    policy.begin(np.random.default_rng(seed))
    return [policy.act(FRAME) for _ in range(count)]


@pytest.mark.parametrize("policy", (RandomPolicy(5), HeldRandomPolicy(5, 10)))
def test_the_generator_decides_everything(policy):
    first = actions_of(policy, 0, 200)
    assert actions_of(policy, 0, 200) == first
    assert actions_of(policy, 1, 200) != first
    assert set(first) == set(range(5))


def test_held_actions_last_as_long_as_asked_on_average():
    actions = np.array(actions_of(HeldRandomPolicy(100, 10), 0, 100_000))
    changes = (np.diff(actions) != 0).sum()
    # One draw in a hundred repeats the action before it.
    assert 100_000 / changes == pytest.approx(10 / 0.99, rel=0.05)
    assert len(set(np.diff(actions_of(HeldRandomPolicy(100, 1), 0, 50)).tolist())) > 30


def test_held_actions_need_a_step():
    with pytest.raises(ValueError, match="policy.mean_hold: expected at least 1 step, got 0.5"):
        HeldRandomPolicy(5, 0.5)
