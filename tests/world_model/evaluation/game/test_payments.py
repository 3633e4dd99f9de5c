import numpy as np
import pytest

from worldtokens.world_model.evaluation.game import payments
from worldtokens.world_model.evaluation.game.payments import (
    Outcomes,
    measure_payments,
    payment_rows,
    play_both,
)
from worldtokens.world_model.evaluation.game.saved_states import SavedStates

RIGHT, NOOP = 3, 0
HELD_RANDOM = {
    "name": "held_random", "_target_": "worldtokens.collect.policies.HeldRandomPolicy",
    "mean_hold": 10,
}  # fmt: skip


def test_outcomes_are_counted_over_all_rooms_and_by_room():
    game = np.array([True, True, True, True, False, False, False, False])
    dream = np.array([True, False, False, False, True, False, False, False])
    never = np.zeros(8, bool)
    rooms = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    outcomes = Outcomes(rooms, {"paid": game, "end": never}, {"paid": dream, "end": never})
    rows = {(row.outcome, row.room): row for row in payment_rows("near rewards", outcomes, 0)}
    assert list(rows) == [("paid", -1), ("paid", 1), ("paid", 2), ("end", -1)]
    row = rows["paid", -1]
    assert (row.count, row.game, row.dream, row.both) == (8, 4, 2, 1)
    assert row.both_by_chance == 1.0 and row.ratio == 0.5
    assert 0 <= row.low < 0.5 < row.high
    assert rows["paid", 1].ratio == 0.25 and np.isnan(rows["paid", 2].ratio)
    end = rows["end", -1]
    assert (end.game, end.dream) == (0, 0) and np.isnan(end.low)


class RightPolicy:
    """Walks to the right, and counts the frames that it saw."""

    frames: dict[int, int] = {}

    def begin(self, rng):
        self._me = len(self.frames)
        self.frames[self._me] = 0

    def act(self, frame):
        assert frame.shape == (32, 32, 3)
        self.frames[self._me] += 1
        return RIGHT


def test_a_policy_plays_in_the_game_and_in_the_dream(setup, monkeypatch):
    RightPolicy.frames = {}
    monkeypatch.setattr(payments, "make_policy", lambda node, meanings: RightPolicy())
    states = SavedStates(setup.heldout)
    outcomes = play_both(setup, states, {}, states.draw(5, np.random.default_rng(0)), 10)
    assert outcomes is not None and outcomes.rooms.tolist() == [1, 1]
    assert outcomes.game["paid"].tolist() == outcomes.game["paid 100"].tolist() == [True, True]
    assert outcomes.game["life lost"].tolist() == [False, False]
    assert set(outcomes.dream) == set(outcomes.game)
    # Two games and two dreams; three known frames are seen, and ten frames to act at.
    assert RightPolicy.frames == {0: 13, 1: 13, 2: 13, 3: 13}


def test_held_random_takes_the_same_actions_in_both(setup, monkeypatch):
    states = SavedStates(setup.heldout)
    taken = {}
    play, roll_out = states.play, payments.roll_out

    def keep_played(state, agent, steps):
        played = play(state, agent, steps)
        taken.setdefault("game", []).append(played.actions[3:].tolist())
        return played

    def keep_dreamt(*arguments, **named):
        open_loop = roll_out(*arguments, **named)
        taken["dream"] = open_loop.actions.tolist()
        return open_loop

    monkeypatch.setattr(states, "play", keep_played)
    monkeypatch.setattr(payments, "roll_out", keep_dreamt)
    play_both(setup, states, HELD_RANDOM, states.draw(5, np.random.default_rng(0)), 20)
    assert taken["game"] == taken["dream"]


def test_both_sorts_of_starts_are_played(setup):
    rows = measure_payments(setup, SavedStates(setup.heldout), HELD_RANDOM, 4, 10)
    assert {row.starts for row in rows} >= {"any cell"}
    (paid,) = (row for row in rows if (row.starts, row.outcome) == ("any cell", "paid"))
    assert paid.count == 2


def test_models_that_predict_no_lives_lose_none(new_setup):
    setup = new_setup(predicts_lives=False)
    rows = measure_payments(setup, SavedStates(setup.heldout), HELD_RANDOM, 4, 10)
    assert "life lost" not in {row.outcome for row in rows}


@pytest.mark.parametrize("count", [0, 1])
def test_no_start_gives_no_outcome(setup, count, monkeypatch):
    states = SavedStates(setup.heldout)
    chosen = states.draw(count, np.random.default_rng(0))
    ended = states.play(states.cells[0], states.random_agent(np.random.default_rng(0)), 2)
    monkeypatch.setattr(states, "play", lambda state, agent, steps: ended)
    assert play_both(setup, states, HELD_RANDOM, chosen, 10) is None
