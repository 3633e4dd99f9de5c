import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.policies.policy import CallablePolicy, make_policy, stable_node
from worldtokens.collect.policies.random_actions import HeldRandomPolicy, RandomPolicy
from worldtokens.collect.run import CollectConfig, main
from worldtokens.training.command_line import compose

MEANINGS = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHTFIRE")
FRAME = np.zeros((8, 8, 3), np.uint8)

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


def always_last(num_actions):
    return lambda frame: num_actions - 1


def not_a_policy(num_actions):
    return num_actions


def test_any_callable_can_be_a_policy():
    policy = make_policy({"_target_": f"{__name__}.always_last", "name": "mine"}, MEANINGS)
    assert isinstance(policy, CallablePolicy)
    policy.begin(np.random.default_rng(0))
    assert [policy.act(FRAME) for _ in range(3)] == [6, 6, 6]


def test_wrong_policies_say_what_is_wrong():
    with pytest.raises(ValueError, match="policy._target_: expected the dotted name .*, got none"):
        make_policy({"name": "random"}, MEANINGS)
    with pytest.raises(ValueError, match="policy._target_: nowhere.Policy cannot be imported"):
        make_policy({"_target_": "nowhere.Policy"}, MEANINGS)
    with pytest.raises(ValueError, match="expected .*not_a_policy to return a Policy .*, got int"):
        make_policy({"_target_": f"{__name__}.not_a_policy"}, MEANINGS)
    with pytest.raises(ValueError, match="cannot be made: .*unexpected keyword argument 'hold'"):
        make_policy({"_target_": "worldtokens.collect.policies.RandomPolicy", "hold": 0}, MEANINGS)
    with pytest.raises(ValueError, match="mean_hold"):
        make_policy(
            {"_target_": "worldtokens.collect.policies.HeldRandomPolicy", "mean_hold": 0},
            MEANINGS,
        )


def test_what_was_played_before_leaving_is_recorded(tmp_path, monkeypatch):
    (tmp_path / "leaving_policy.py").write_text(LEAVING)
    monkeypatch.syspath_prepend(tmp_path)
    overrides = ["env=FakeGame", f"data={tmp_path}", "num_workers=1", "policy=random"]
    config = compose(CollectConfig, "collect", overrides)
    config.policy = {"name": "leaving", "_target_": "leaving_policy.Leaving"}
    main(config)
    (episode,) = EpisodeDataset(tmp_path).episodes
    assert episode.actions.tolist() == [3] * 5
    assert episode.truncated.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    "old, new, settings",
    (
        ("collect.policies.RandomPolicy", RandomPolicy, {}),
        ("collect.policies.HeldRandomPolicy", HeldRandomPolicy, {"mean_hold": 10}),
    ),
)
def test_the_names_of_the_first_version_still_name_our_policies(old, new, settings):
    node = {"name": "mine", "_target_": old, **settings}
    assert type(make_policy(node, MEANINGS)) is new
    assert stable_node(node) == node
    assert stable_node({**node, "_target_": f"worldtokens.{old}"}) == node


@pytest.mark.parametrize(
    "old, new",
    (
        ("collect.human.HumanPolicy", "policies.human.HumanPolicy"),
        (
            "collect.stable_baselines.StableBaselinesPolicy",
            "policies.stable_baselines.StableBaselinesPolicy",
        ),
    ),
)
def test_policies_that_moved_are_found_by_their_old_names(old, new):
    # Both need arguments: what fails is the call, after the import.
    with pytest.raises(ValueError, match=f"policy {old} cannot be made: .*unexpected"):
        make_policy({"_target_": old, "nothing": 0}, MEANINGS)
    assert stable_node({"_target_": f"worldtokens.collect.{new}"}) == {"_target_": old}


def test_other_targets_keep_their_names():
    node = {"name": "mine", "_target_": "my_agents.Agent", "size": 3}
    assert stable_node(node) == node
    assert stable_node({"name": "go_explore"}) == {"name": "go_explore"}
