"""Known ways in dreams: what counts, by hand, and a tiny run in the fake game."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldtokens import EpisodeDataset, WorldModel, WorldModelConfig

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "key"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(FOLDER))
    return importlib.import_module("dreamt_ways")


class Reader:
    """Reads the place from the first two tokens; 99 is nobody."""

    def read(self, tokens):
        at = tokens[:, :2].astype(float)
        return np.where(at == 99, np.nan, at)


def walks_of(script, lengths):
    return [
        script.Walk(
            10 * n + np.arange(t + 1)[:, None].repeat(2, 1),
            np.arange(t),
            [bytes([n, step]) for step in range(t)],
        )
        for n, t in enumerate(lengths)
    ]


def test_places_lie_so_many_steps_before_the_key(script):
    # The first way is too short to have four known frames there.
    places = script.places_of(walks_of(script, [5, 6, 9]), distance=3, steps=40, context=4)
    assert places.known[:, :, 0].tolist() == [[10, 11, 12, 13], [23, 24, 25, 26]]
    assert places.before.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert places.actions.tolist() == [[3, 4, 5], [6, 7, 8]]
    assert places.states == [b"\1\3", b"\2\6"]
    assert script.places_of(walks_of(script, [9]), 3, 2, 4).actions.tolist() == [[6, 7]]
    assert script.places_of(walks_of(script, [5]), 3, 2, 4) is None


def test_what_comes_first_counts(script):
    places = script.Places(
        torch.zeros(4, 4, 3).long(), torch.zeros(4, 3).long(), torch.zeros(4, 3).long(), [b""] * 4
    )
    plays = script.Plays(np.zeros((4, 3, 3), np.int64), *np.zeros((2, 4, 3), bool))
    plays.frames[0] = 50  # is far away for two frames, and dies later
    plays.ends[0, 2] = plays.ends[1, 0] = True
    plays.paid[1, 2] = plays.paid[2, 2] = True
    plays.frames[2, 2] = 50  # takes the key where it vanishes: paid
    row = script.row_of("x", plays, places, 3, Reader())
    assert (row.lost, row.died, row.paid, row.plays, row.steps) == (0.25, 0.25, 0.25, 4, 3)
    row = script.row_of("x", plays, places, 3, None)
    assert (row.lost, row.died, row.paid) == (0.0, 0.5, 0.25)
    assert np.isnan(script.row_of("x", plays, places, 4, None).paid)


def test_in_the_game_every_way_pays(script, explored, tiny_tokenizer, tmp_path, capsys):
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tiny_tokenizer.fingerprint, game="FakeGame",
        vocab_size=tiny_tokenizer.vocab_size, grid=tiny_tokenizer.grid,
        num_actions=EpisodeDataset(explored).num_actions, reward_values=[0.0, 100.0], context=4,
        layers=1, heads=2, width=16, copies=1, history=1, merge=1,
    )  # fmt: skip
    WorldModel(config).save_pretrained(tmp_path / "model")
    words = (
        f"--ways {explored} --practice {explored} --tokenizer {tmp_path}/tokenizer "
        f"--world-models {tmp_path}/model --distances 3 5 --steps 4 --draws 2 --most-ways 3 "
        f"--out {tmp_path}/out"
    ).split()
    rows = script.main(words)
    assert [(row.world, row.distance, row.steps) for row in rows] == [
        (name, distance, steps)
        for distance, steps in ((3, 3), (5, 4))
        for name in ("the game", f"{tmp_path}/model")
    ]
    assert (rows[0].paid, rows[0].died, rows[0].lost) == (1.0, 0.0, 0.0)
    assert np.isnan(rows[2].paid)
    assert rows[1].plays == rows[0].plays > 0 and rows[1].paid < 1
    with open(tmp_path / "out" / "dreamt_ways.csv") as file:
        assert [row["distance"] for row in csv.DictReader(file)] == ["3", "3", "5", "5"]
    assert capsys.readouterr().out.count("| the game |") == 2
    with pytest.raises(ValueError, match="--distances: expected ways of 903 steps, got at most"):
        script.main([*words, "--distances", "900"])
    with pytest.raises(ValueError, match="--draws: expected a whole number of at least 1, got 0"):
        script.main([*words, "--draws", "0"])
