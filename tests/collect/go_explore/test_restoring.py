from types import SimpleNamespace

import pytest

from worldtokens.collect.go_explore.restoring import possible_policy

GO_EXPLORE = {"name": "go_explore", "mean_hold": 5}


@pytest.mark.parametrize(
    ("policy", "problem", "name"),
    [
        (GO_EXPLORE, "", "go_explore"),
        (GO_EXPLORE, "a state cannot be restored (why)", "held_random"),
        ({"name": "random"}, "a state cannot be restored (why)", "random"),
    ],
)
def test_states_that_cannot_be_restored_need_another_policy(policy, problem, name, capsys):
    chosen = possible_policy(policy, SimpleNamespace(restoring_problem=problem))
    assert chosen["name"] == name
    printed = capsys.readouterr().out
    assert printed == (
        f"note: {problem}; policy=held_random from resets takes the place of go_explore\n"
        if name == "held_random"
        else ""
    )
