import numpy as np

from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.events.events import group_events, list_events


def episode(scenes, **steps) -> TokenEpisode:
    """An episode of a token, whose steps are 0 or False where nothing is said."""
    length = len(scenes) - 1
    arrays = {
        "rewards": np.zeros(length, np.float32),
        "terminated": np.zeros(length, bool),
        "lives_lost": np.zeros(length, bool),
    }
    for name, values in steps.items():
        for step, value in values.items():
            arrays[name][step] = value
    return TokenEpisode(
        "e", np.zeros((length + 1, 1), np.int16), np.zeros(length, np.int64),
        truncated=np.zeros(length, bool), scenes=np.array(scenes), **arrays,
    )  # fmt: skip


def test_events_are_listed_by_kind():
    one = episode([5] * 9, rewards={2: 100, 4: -7.5}, terminated={7: True}, lives_lost={7: True})
    events = list_events([one])
    found = [(event.value, event.scene, event.step) for event in events["reward"]]
    assert sorted(found) == [(-7.5, 5, 4), (100.0, 5, 2)]
    assert [event.step for event in events["lost life"]] == [7]
    assert [event.step for event in events["end"]] == [7]
    assert events["scene"] == []
    # Frame 3 follows step 2. Two known frames, the last of them one step before: frames 1 and 2.
    (paid,) = (event for event in events["reward"] if event.step == 2)
    assert [paid.start(1, 2), paid.start(2, 2), paid.start(8, 2)] == [1, 0, -6]


def test_changes_of_scene_count_if_both_scenes_stay():
    # A door, a flicker, and a change that the episode stops after.
    one = episode([1, 1, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 3, 3])
    found = [(event.step, event.scene, event.value) for event in list_events([one])["scene"]]
    assert found == [(2, 1, 2.0)]


def test_rewards_are_grouped_by_value_and_scene():
    one = episode([1, 1, 1, 2, 2, 2], rewards={0: 100, 1: 300, 3: 100, 4: 100})
    rewards = sorted(list_events([one])["reward"], key=lambda event: event.step)
    groups = {key: members.tolist() for key, members in group_events(rewards).items()}
    assert groups == {
        ("all", -1): [0, 1, 2, 3], ("100", -1): [0, 2, 3], ("300", -1): [1],
        ("100", 1): [0], ("100", 2): [2, 3], ("300", 1): [1],
    }  # fmt: skip
    lost = list_events([episode([1] * 4, lives_lost={1: True})])["lost life"]
    assert list(group_events(lost)) == [("all", -1)]
    assert {key: len(members) for key, members in group_events([]).items()} == {("all", -1): 0}
