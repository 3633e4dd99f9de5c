import numpy as np
import pytest

from collect.policies import CallablePolicy, HeldRandomPolicy, RandomPolicy, make_policy

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
    with pytest.raises(ValueError, match="policy.mean_hold must be at least 1 step, got 0.5"):
        HeldRandomPolicy(5, 0.5)


def always_last(num_actions):
    return lambda frame: num_actions - 1


def not_a_policy(num_actions):
    return num_actions


def test_any_callable_can_be_a_policy():
    policy = make_policy({"_target_": f"{__name__}.always_last", "name": "mine"}, 7)
    assert isinstance(policy, CallablePolicy)
    assert actions_of(policy, 0, 3) == [6, 6, 6]


def test_wrong_policies_say_what_is_wrong():
    with pytest.raises(ValueError, match="policy._target_ is missing"):
        make_policy({"name": "random"}, 7)
    with pytest.raises(ValueError, match="policy nowhere.Policy cannot be made: "):
        make_policy({"_target_": "nowhere.Policy"}, 7)
    with pytest.raises(ValueError, match="made a int, which is neither a Policy"):
        make_policy({"_target_": f"{__name__}.not_a_policy"}, 7)
    with pytest.raises(ValueError, match="mean_hold"):
        make_policy({"_target_": "collect.policies.HeldRandomPolicy", "mean_hold": 0}, 7)
