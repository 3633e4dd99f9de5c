import constant_action_score
import numpy as np
import pytest
from constant_action_score import play


class Paying:
    """Pays 2 for action 1 and 1 for any other; an episode has three steps."""

    def reset(self, seed):
        self.seeds = [*getattr(self, "seeds", []), seed]
        self.left = 3

    def step(self, action):
        self.left -= 1
        return None, 2.0 if action == 1 else 1.0, False, self.left == 0, {}


def test_scores_are_sums_over_an_episode_per_seed():
    env = Paying()
    assert play(env, range(7, 9), lambda: 1).tolist() == [6.0, 6.0]
    assert play(env, [3], iter([0, 1, 0]).__next__).tolist() == [4.0]
    assert env.seeds == [7, 8, 3]


def test_main_prints_both_scores(run_script, capsys):
    words = "--game FakeGame --action noop --episodes 2 --episode-steps 5 --frame-skip 4".split()
    run_script(constant_action_score.main, *words)
    held, played = capsys.readouterr().out.splitlines()
    assert held.split() == ["NOOP", "held", "0.00", "+-", "0.00", "(2", "episodes)"]
    assert played.startswith("random play ")


def test_an_unknown_action_is_named(run_script):
    with pytest.raises(ValueError, match="'JUMP'"):
        run_script(constant_action_score.main, "--game", "FakeGame", "--action", "JUMP")


def test_the_seeds_are_those_of_the_example(run_script, monkeypatch):
    seen: list[list[int]] = []
    monkeypatch.setattr(
        constant_action_score,
        "play",
        lambda env, seeds, act: seen.append(list(seeds)) or np.ones(2),
    )
    words = ["--game", "FakeGame", "--action", "NOOP", "--episodes", 2, "--seed", 3]
    run_script(constant_action_score.main, *words)
    assert seen == [[1_003_000, 1_003_001]] * 2
