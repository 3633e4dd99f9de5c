import dataclasses

import numpy as np

from worldtokens.collect import DatasetDescription, EpisodeDataset, ShardWriter, write_description
from worldtokens.collect.dataset.events import Event, Moment, find_events, step_events
from worldtokens.envs import EnvConfig


def test_the_events_of_a_step_by_hand():
    before = Moment(lives=3, scene=1, cell="0a")
    assert step_events(before, 0.0, False, 3, 1) == []
    assert step_events(before, 100.0, False, 4, 1) == [Event("reward", 100.0, 1, "0a")]
    assert step_events(before, -1.0, True, 2, 5) == [
        Event("reward", -1.0, 1, "0a"),
        Event("life_lost", 2.0, 1, "0a"),
        Event("end", 0.0, 1, "0a"),
        Event("scene", 5.0, 1, "0a"),
    ]
    assert Event("reward", 100.0, 1, "0a").name == "reward:100@0a"


def test_the_events_of_a_dataset_by_hand(tmp_path, make_episode):
    write_description(tmp_path, DatasetDescription(EnvConfig("FakeGame"), ("NOOP",) * 6, (8, 8, 3)))
    writer = ShardWriter(tmp_path / "shards", "test", (8, 8, 3))
    for number, lives in enumerate(([3, 3, 2, 2], [5, 4, 4, 3])):
        episode = make_episode(number, 3)
        ram = episode.ram.copy()
        ram[:, 0] = [0, 0, 1, 1]
        rewards = np.array([0, -2.5, 0], np.float32)
        lives = np.array(lives, np.uint8)
        writer.append(dataclasses.replace(episode, ram=ram, rewards=rewards, lives=lives))
    writer.flush()
    events = find_events(EpisodeDataset(tmp_path))
    # Four frames each; the second begins at 4, with another number of lives, which is no event.
    assert events["reward"].frames.tolist() == [1, 5]
    assert events["reward"].values.tolist() == [-2.5, -2.5]
    assert events["life_lost"].frames.tolist() == [1, 4, 6]
    assert events["life_lost"].values.tolist() == [2, 4, 3]
    assert events["end"].frames.tolist() == [2]  # the second episode is truncated
    assert events["scene"].frames.tolist() == [1, 5]
    assert events["scene"].values.tolist() == [1, 1]
