import dataclasses

import numpy as np
import pytest

from worldtokens.collect import DatasetDescription, EpisodeDataset, ShardWriter, write_description
from worldtokens.collect.event_counts import EventCount, count_events, print_events
from worldtokens.envs import EnvConfig


@pytest.fixture
def write_events(tmp_path, make_episode):
    """A dataset of one episode per seed: x of the player, rewards and lives, step by step."""

    def write(episodes, game="FakeGame"):
        write_description(tmp_path, DatasetDescription(EnvConfig(game), ("NOOP",) * 6, (8, 8, 3)))
        writer = ShardWriter(tmp_path / "shards", "test", (8, 8, 3))
        for number, (seed, x, rewards, lives) in enumerate(episodes):
            episode = make_episode(2 * number + 1, len(rewards), seed)
            ram = np.zeros((len(x), 128), np.uint8)
            ram[:, 1] = x
            writer.append(
                dataclasses.replace(
                    episode,
                    ram=ram,
                    rewards=np.array(rewards, np.float32),
                    lives=np.array(lives, np.uint8),
                )
            )
        writer.flush()
        return EpisodeDataset(tmp_path)

    return write


def test_counts_and_near_misses_by_hand(write_events):
    dataset = write_events(
        [
            # Enters cell 2 (x 16 to 23) twice: paid at the first visit, not at the second.
            (1, [0, 16, 17, 30, 18, 31], [0, 0, 100, 0, 0], [3] * 6),
            # Paid in another cell, and a life is lost.
            (2, [0, 40, 41], [0, 100], [3, 3, 2]),
            # Held out: two visits in the first cell by themselves, one is paid.
            (9, [16, 30, 16, 30], [0, 0, 100], [3] * 4),
        ]
    )
    counts = count_events(dataset)
    cells = ["0000" + f"{x // 8:02x}" + "00" for x in (16, 40)]
    assert counts == [
        EventCount("reward", 100.0, 0, 2, 1, near_misses=2, places={cells[0]: 2, cells[1]: 1}),
        EventCount("life_lost", 2.0, 0, 1, 0, near_misses=0, places={cells[1]: 1}),
    ]


def test_without_labels_or_ram_there_are_no_cells(write_events):
    dataset = write_events([(1, [0, 0, 0], [1, -1], [3, 3, 3]), (2, [0, 0], [1], [0, 0])])
    assert count_events(dataset) == [
        EventCount("reward", 1.0, 0, 2, 0),
        EventCount("reward", -1.0, 0, 1, 0),
    ]


def test_long_tables_show_the_most_frequent_and_the_rarest(capsys):
    rows = [EventCount("reward", float(v), 1, 100 - v, 1, 5, {"0a": 1}) for v in range(20)]
    print_events([*rows, EventCount("end", 0.0, 1, 3, 4, 5, {"0a": 1, "0b": 6})])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == "kind value scene train held out cells near misses".split()
    assert lines[2].split() == ["reward", "0", "1", "100", "1", "1", "5"]
    assert len(lines) == 2 + 12 + 1 + 1
    assert "8 more, see report.json" in lines[8]
    assert lines[14].split() == ["reward", "19", "1", "81", "1", "1", "5"]
    assert lines[15].split() == ["end", "0", "1", "3", "4", "2", "5"]
    print_events([])
    assert capsys.readouterr().out.split() == ["events", "none"]
