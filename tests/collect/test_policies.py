import numpy as np
import pytest

from worldtokens.collect.policies.policy import CallablePolicy, PolicyStopped, make_policy
from worldtokens.collect.policies.random_actions import HeldRandomPolicy, RandomPolicy

MEANINGS = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHTFIRE")
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
    policy = make_policy({"_target_": f"{__name__}.always_last", "name": "mine"}, MEANINGS)
    assert isinstance(policy, CallablePolicy)
    assert actions_of(policy, 0, 3) == [6, 6, 6]


def test_wrong_policies_say_what_is_wrong():
    with pytest.raises(ValueError, match="policy._target_ is missing"):
        make_policy({"name": "random"}, MEANINGS)
    with pytest.raises(ValueError, match="policy._target_: nowhere.Policy cannot be imported"):
        make_policy({"_target_": "nowhere.Policy"}, MEANINGS)
    with pytest.raises(ValueError, match="made a int, which is neither a Policy"):
        make_policy({"_target_": f"{__name__}.not_a_policy"}, MEANINGS)
    with pytest.raises(ValueError, match="cannot be made: .*unexpected keyword argument 'hold'"):
        make_policy({"_target_": "worldtokens.collect.policies.RandomPolicy", "hold": 0}, MEANINGS)
    with pytest.raises(ValueError, match="mean_hold"):
        make_policy(
            {"_target_": "worldtokens.collect.policies.HeldRandomPolicy", "mean_hold": 0},
            MEANINGS,
        )


def test_keys_become_the_action_that_does_most_of_them():
    from worldtokens.collect.policies.human import action_of

    assert action_of(set(), MEANINGS) == 0
    assert action_of({"UP"}, MEANINGS) == 2
    assert action_of({"UP", "RIGHT", "FIRE"}, MEANINGS) == 6
    # No action does exactly this: one of its parts is done.
    assert MEANINGS[action_of({"LEFT", "DOWN"}, MEANINGS)] in ("LEFT", "DOWN")


def test_people_play_until_they_close_the_window(monkeypatch):
    pygame = pytest.importorskip("pygame")
    from worldtokens.collect.policies.human import HumanPolicy

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


LEAVING = """
from worldtokens.collect.policies.policy import PolicyStopped


class Leaving:
    def begin(self, rng):
        self.left = 5

    def act(self, frame):
        self.left -= 1
        if self.left < 0:
            raise PolicyStopped
        return 3
"""


def test_what_was_played_before_leaving_is_recorded(tmp_path, monkeypatch):
    from worldtokens.collect import EpisodeDataset
    from worldtokens.collect.run import CollectConfig, main
    from worldtokens.training.command_line import compose

    (tmp_path / "leaving_policy.py").write_text(LEAVING)
    monkeypatch.syspath_prepend(tmp_path)
    overrides = ["env=FakeGame", f"data={tmp_path}", "num_workers=1", "policy=random"]
    config = compose(CollectConfig, "collect", overrides)
    config.policy = {"name": "leaving", "_target_": "leaving_policy.Leaving"}
    main(config)
    (episode,) = EpisodeDataset(tmp_path).episodes
    assert episode.actions.tolist() == [3] * 5
    assert episode.truncated.tolist() == [False] * 4 + [True]


@pytest.mark.slow
def test_agents_of_stable_baselines_play(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    import gymnasium

    class Blank(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (64, 64, 3 * 2), np.uint8)
        action_space = gymnasium.spaces.Discrete(len(MEANINGS))

    sb3.PPO("CnnPolicy", Blank(), n_steps=8, batch_size=8, device="cpu").save(tmp_path / "a.zip")
    node = {
        "_target_": "worldtokens.collect.policies.stable_baselines.StableBaselinesPolicy",
        "algorithm": "PPO",
        "checkpoint": str(tmp_path / "a.zip"),
        "deterministic": False,
    }
    policy = make_policy(node, MEANINGS)
    frame = np.zeros((64, 64, 3), np.uint8)
    runs = []
    for seed in (0, 0, 1):
        policy.begin(np.random.default_rng(seed))
        runs.append([policy.act(frame) for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    with pytest.raises(ValueError, match=r"sees . channels of \(64, 64\), frames are \(8, 8, 3\)"):
        policy.act(FRAME)
    with pytest.raises(ValueError, match=r"expected images and Discrete\(2\)"):
        make_policy(node, MEANINGS[:2])
    with pytest.raises(ValueError, match="there is no file"):
        make_policy({**node, "checkpoint": "nowhere.zip"}, MEANINGS)
    with pytest.raises(ValueError, match="stable-baselines3 has no 'PPPO'"):
        make_policy({**node, "algorithm": "PPPO"}, MEANINGS)
