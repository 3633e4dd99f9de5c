"""The key in real games: baselines whose results are known, in the fake game."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "key"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(FOLDER))
    return importlib.import_module("key_play")


@pytest.fixture(scope="module")
def agents(script):
    return importlib.import_module("montezuma_agent")


def test_wilson_interval_by_hand(script):
    row = script.row_of("reset", "x", np.array([True, False, False, False]), np.arange(4.0))
    # z = 1.96: center (0.25 + 0.4802) / 1.9604, width 1.96 / 1.9604 sqrt(0.046875 + 0.060025).
    assert (row.games, row.keys, row.share, row.mean_score) == (4, 1, 0.25, 1.5)
    assert row.low == pytest.approx(0.3725 - 0.3269, abs=1e-4)
    assert row.high == pytest.approx(0.3725 + 0.3269, abs=1e-4)


def test_known_ways_take_the_key_and_what_does_nothing_does_not(
    script, agents, explored, tiny_tokenizer, tmp_path, capsys, monkeypatch
):
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    agent = agents.Agent(agents.codes_of(tiny_tokenizer), tiny_tokenizer.grid, 6)
    facts = {"tokenizer": tiny_tokenizer.fingerprint}
    for number in (1, 2):
        agent.save(tmp_path / "seed_7" / "agents" / f"round_00{number}.safetensors", facts)
    words = (
        f"--agents {tmp_path}/seed_7 --data {explored} --tokenizer {tmp_path}/tokenizer "
        f"--distances 3 --games 4 --screened 2 --steps 400 --sticky 0 --clone-steps 60 "
        f"--most-ways 2 --out {tmp_path}/out"
    ).split()
    play, rows = script.play, script.main(words)
    with open(tmp_path / "out" / "key_play.csv") as file:
        assert [row["player"] for row in csv.DictReader(file)] == [row.player for row in rows]
    near = {row.player: row for row in rows if row.start == "3 steps before"}
    assert list(near)[:5] == [
        "agent seed_7 round_002",
        "random",
        "held random",
        "known way",
        "cloned ways",
    ]
    assert near["known way"].share == 1.0 and near["known way"].mean_score == 100.0
    assert "from 3 steps before" in capsys.readouterr().err
    # The last steps to the key are few, so an imitator of its own training ways finds them.
    assert near["cloned ways"].keys > 0
    reset = {row.player: row for row in rows if row.start == "reset"}
    # No single key leads around the wall; no-ops before the game move the guard, not the player.
    (held,) = (row for player, row in reset.items() if player.startswith("best single action"))
    assert (held.keys, held.games, held.mean_score) == (0, 4, 0.0)
    # Again: what was played stays, only a new agent plays.
    played = []
    monkeypatch.setattr(script, "play", lambda *terms: played.append(terms[0]) or play(*terms))
    agent.save(tmp_path / "seed_7" / "agents" / "round_003.safetensors", facts)
    again = script.main(words)
    assert [row for row in again if row.player != "agent seed_7 round_003"] == [
        row for row in rows if row.player != "agent seed_7 round_002"
    ]
    assert {type(player).__name__ for player in played} == {"AgentPlayer"}
    with pytest.raises(ValueError, match="--out: expected a folder of the same settings, got .*4"):
        script.main([*words, "--games", "3"])
    for name in ("key_play.png", "game.mp4", "game.gif"):
        assert (tmp_path / "out" / name).stat().st_size > 500


def test_agents_of_another_tokenizer_are_refused(
    script, agents, explored, tiny_tokenizer, tmp_path
):
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    agent = agents.Agent(agents.codes_of(tiny_tokenizer), tiny_tokenizer.grid, 6)
    agent.save(tmp_path / "a.safetensors", {"tokenizer": "other"})
    words = f"--agents {tmp_path}/a.safetensors --data {explored} --tokenizer {tmp_path}/tokenizer"
    with pytest.raises(ValueError, match="a.safetensors: expected an agent that reads tokens of"):
        script.main([*words.split(), "--games", "1", "--most-ways", "1"])
    with pytest.raises(ValueError, match="--games: expected a whole number of at least 1, got 0"):
        script.main(["--games", "0"])
    with pytest.raises(ValueError, match="expected archives that know ways to a reward of 7"):
        script.main([*words.split(), "--reward", "7"])
