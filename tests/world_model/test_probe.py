import shutil

import numpy as np
import pytest

from collect import EpisodeDataset
from tokenizer import Tokenizer
from training.command_line import compose
from world_model import evaluate
from world_model.evaluate import EvaluateConfig
from world_model.metrics import Fidelity
from world_model.probe import PositionProbe, find_runs, fit_probe, share_of_runs_followed
from world_model.segments import TokenEpisode
from world_model.tables import comparison_table, overall_table, room_table
from world_model.token_cache import load_tokens


def test_a_probe_reads_where_a_token_stands():
    rng = np.random.default_rng(0)
    place = rng.integers(4, size=2000)
    tokens = rng.integers(1, 6, size=(2000, 4))
    tokens[np.arange(2000), place] = 0  # The player.
    probe = PositionProbe.fit(tokens[:1500], (place * 40 + 10).astype(np.uint8), 6)
    read = probe.read(tokens[1500:])
    # Bins are 4 units wide.
    assert np.abs(read - (place[1500:] * 40 + 10)).max() < 4


def test_games_without_labels_have_no_probe(dataset, tokenizer_folder, monkeypatch):
    data = EpisodeDataset(dataset)
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    monkeypatch.setattr("world_model.probe.ram_labels", lambda game: {})
    tokens = load_tokens(data, tokenizer)
    assert fit_probe(data, tokens, 64) is None
    assert find_runs(data, tokens.episodes, 2, 10) == []


def row(**changes):
    values = dict(
        horizon=8, guess="dream", room=-1, rollouts=5, psnr=20.0, foreground_recall=0.5,
        token_accuracy=0.9, reward_accuracy=1.0, end_accuracy=1.0, player_error=3.0,
    )  # fmt: skip
    return Fidelity(**{**values, **changes})


def test_tables():
    rows = [
        row(guess=guess, psnr=psnr, room=room)
        for room in (-1, 4)
        for guess, psnr in (("dream", 21.5), ("copy", 19.25), ("tokenizer", 40.0))
    ]
    assert "  21.50  19.25  40.00" in overall_table(rows)
    assert "       4        5    21.50  19.25" in room_table(rows)
    assert room_table(rows[:3]) == ""
    assert "21.50 0.500" in comparison_table({"mine": rows, "other": rows})


class Runs:
    """A dataset of one episode that walks as its actions say, without frames."""

    game = "FakeGame"
    action_meanings = ("NOOP", "RIGHT", "UPLEFT")

    def __init__(self, actions):
        moves = np.array([0, 1, -1])[actions]
        self.ram = np.zeros((len(actions) + 1, 128), np.uint8)
        self.ram[:, 1] = 50 + np.concatenate(([0], np.cumsum(moves)))
        self.num_frames = len(self.ram)

    def read(self, name, start, stop):
        return self.ram[start:stop]


def test_runs_are_steps_held_to_one_side_that_moved_there_within_one_room():
    actions = np.array([0, 0] + [1] * 9 + [2] * 8 + [0] * 10)
    data = Runs(actions)
    nothing = np.zeros(len(actions), bool)
    episode = TokenEpisode(
        "e", np.zeros((len(actions) + 1, 1), np.int16), actions, nothing * 0.0, nothing, nothing
    )
    runs = find_runs(data, [episode], context=2, most=9)  # pyright: ignore[reportArgumentType]
    assert [(run.first, run.direction) for run in runs] == [(1, 1), (10, -1)]
    data.ram[5, 0] = 1  # The player is in another room for a frame.
    runs = find_runs(data, [episode], context=2, most=9)  # pyright: ignore[reportArgumentType]
    assert [(run.first, run.direction) for run in runs] == [(10, -1)]
    data.ram[:, 1] = 50  # A wall.
    assert find_runs(data, [episode], 2, 9) == []  # pyright: ignore[reportArgumentType]


def test_a_run_is_followed_if_the_probe_sees_the_player_go_there():
    class Eye:
        def read(self, tokens):
            return tokens[:, 0].astype(float)

    runs = [type("Run", (), {"direction": d})() for d in (1, 1, -1, -1)]
    before = np.array([[10], [10], [10], [10]])
    after = np.array([[18], [10], [2], [18]])
    share = share_of_runs_followed(Eye(), runs, before, after)  # pyright: ignore
    assert share == 0.5


def test_runs_stand_side_by_side_if_they_were_judged_alike(trained, dataset, capsys):
    def run(*more):
        options = ["env=FakeGame", f"root={trained}", f"data={dataset}", "horizons=[1,4]", *more]
        evaluate.main(compose(EvaluateConfig, "world_model_evaluate", options))

    folder = trained / "FakeGame"
    shutil.copytree(folder / "world_model" / "export", folder / "other" / "export")
    with pytest.raises(ValueError, match="other was not evaluated yet"):
        run("starts=4", "compare=[other]")
    run("starts=4", "run=other")
    capsys.readouterr()
    run("starts=4", "compare=[other]")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "(dB | recall)" in line)
    assert line.split()[:3] == ["horizon", "world_model", "other"]
    with pytest.raises(ValueError, match="other was evaluated with starts=4, this run with 5"):
        run("starts=5", "compare=[other]")
