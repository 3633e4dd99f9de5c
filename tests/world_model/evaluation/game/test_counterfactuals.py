import numpy as np
import torch

from worldtokens.world_model.evaluation.game import counterfactuals
from worldtokens.world_model.evaluation.game.counterfactuals import (
    choose_scripts,
    measure_counterfactuals,
    play_futures,
)
from worldtokens.world_model.evaluation.game.saved_states import SavedStates

NOOP, FIRE, UP, RIGHT, LEFT, DOWN = range(6)


def test_scripts_are_those_that_the_game_has_keys_for():
    platformer = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT")
    assert choose_scripts(platformer) == ["NOOP", "LEFT", "RIGHT", "UP", "DOWN", "FIRE,NOOP"]
    assert choose_scripts(("NOOP", "FIRE", "RIGHT")) == ["NOOP", "FIRE", "RIGHT"]
    assert len(choose_scripts(tuple(f"A{n}" for n in range(18)))) == 8


def test_scripts_are_played_from_the_same_moment(setup):
    states = SavedStates(setup.heldout)
    actions = np.array([[NOOP] * 8, [RIGHT] * 8, [FIRE] * 8])
    futures = play_futures(setup, states, actions, 5)
    assert futures is not None and futures.frames.shape == (2, 3, 8, 32, 32, 3)
    # FIRE does nothing in this game.
    assert np.array_equal(futures.frames[:, 0], futures.frames[:, 2])
    assert not np.array_equal(futures.frames[:, 0], futures.frames[:, 1])
    assert np.array_equal(setup.decode(futures.episodes[0].tokens[-1]), futures.last[0])


def test_a_dream_is_nearest_to_the_future_that_it_shows(setup, monkeypatch):
    states = SavedStates(setup.heldout)
    still = measure_counterfactuals(setup, states, 5)
    overall = {row.horizon: row for row in still if row.script == "all"}
    assert list(overall) == [1, 4, 8]
    for row in overall.values():
        # An untrained model copies the last frame.
        assert row.psnr == row.copy_psnr < row.tokenizer_psnr
        assert row.nearest == row.copy_nearest and row.states == 2
        assert row.foreground_recall == row.copy_foreground_recall
        # NOOP and FIRE have the same future, which counts as one: 2 * 2 + 4 * 1 of 6 * 6.
        assert row.compared == 12 and row.chance == (4 + 4) / 36
    roll_out = counterfactuals.roll_out

    def perfect(*arguments, **named):
        open_loop = roll_out(*arguments, **named)
        scripts = named["actions"][:6].numpy()
        futures = play_futures(setup, states, scripts, 5)
        assert futures is not None
        tokens = setup.tokenizer.encode(futures.frames).reshape(12, 8, 8)
        open_loop.rollout.tokens.copy_(torch.as_tensor(tokens))
        return open_loop

    monkeypatch.setattr(counterfactuals, "roll_out", perfect)
    rows = measure_counterfactuals(setup, states, 5)
    assert {row.nearest for row in rows} == {1.0}
    assert all(row.psnr == row.tokenizer_psnr for row in rows)
    assert {row.foreground_recall for row in rows} <= {1.0}
