import numpy as np
import torch

from worldtokens.world_model.evaluation.events.dreams import (
    Happenings,
    alarms,
    dream,
    foreseen,
    is_predicted,
    true_happenings,
)
from worldtokens.world_model.evaluation.events.events import list_events


def happenings(rewards, lives_lost=None, ends=None) -> Happenings:
    shape = (len(rewards), len(rewards[0]))
    none = np.zeros(shape, bool).tolist()
    return Happenings.of(
        torch.zeros(*shape, 8, dtype=torch.int64), torch.tensor(rewards, dtype=torch.float32),
        torch.tensor(lives_lost or none), torch.tensor(ends or none),
    )  # fmt: skip


def test_nothing_happens_after_the_end():
    ends = [[False, True, False, True]]
    one = happenings([[1.0, 2.0, 3.0, 4.0]], [[False, True, True, True]], ends)
    assert one.rewards.tolist() == [[1.0, 2.0, 0.0, 0.0]]
    assert one.lives_lost.tolist() == [[False, True, False, False]]
    assert one.ends.tolist() == [[False, True, False, False]]


def test_a_reward_is_foreseen_within_one_step(setup):
    rewards = [
        [0, 0, 0, 100, 0], [0, 0, 100, 0, 0], [0, 0, 0, 0, 100], [0, 100, 0, 0, 0],
        [0, 0, 300, 100, 0],
    ]  # fmt: skip
    hits, values = foreseen(setup, "reward", happenings(rewards), 4, np.zeros(5, np.int64))
    assert hits.tolist() == [True, True, True, False, True]
    # Of two the nearer one counts.
    assert values[hits].tolist() == [100, 100, 100, 100]
    paid, first = alarms(setup, "reward", happenings(rewards), 2, np.zeros(5, np.int64))
    assert paid.tolist() == [False, True, False, True, True] and first[4] == 300


def test_a_lost_life_is_foreseen_within_two_steps(setup):
    lives = np.eye(7, dtype=bool)[:, :6].tolist()
    none = np.zeros((7, 6)).tolist()
    hits, _ = foreseen(setup, "lost life", happenings(none, lives), 4, np.zeros(7, np.int64))
    assert hits.tolist() == [False, True, True, True, True, True, False]


def test_scenes_and_lives_are_read_from_frames_where_the_model_has_no_word_for_them(new_setup):
    setup = new_setup(predicts_lives=False)
    events = list_events(setup.tokens.episodes)
    for kind, before in (("scene", 1), ("lost life", 3)):
        (event,) = events[kind]
        for lead in (1, 2):
            start = [(event.episode, event.start(lead, 4))]
            true = true_happenings(setup, start, lead + 2)
            hits, values = foreseen(setup, kind, true, lead, np.array([before]))
            assert hits.tolist() == [True]
            assert kind != "scene" or values.tolist() == [0.0]
            # Untrained models dream that everything stays as it is.
            still = dream(setup, start, lead + 2, "greedy", 1)
            assert not foreseen(setup, kind, still, lead, np.array([before]))[0].any()
            assert not alarms(setup, kind, still, lead, np.array([before]))[0].any()
    assert is_predicted(setup, "lost life") and is_predicted(setup, "end")
    setup.__dict__["lives_reader"] = None
    assert not is_predicted(setup, "lost life")
