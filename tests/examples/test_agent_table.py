import json

import numpy as np
import pytest


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("agent_table")


@pytest.fixture
def print_rows(example, monkeypatch, capsys):
    """Runs the script on a folder; returns the rows that it prints."""

    def run(folder):
        monkeypatch.setattr("sys.argv", ["agent_table.py", str(folder)])
        example.main()
        return capsys.readouterr().out.splitlines()[2:]

    return run


def save(folder, where, seed, score, real=1000, random=1.0):
    path = folder / f"Pong_{where}_{seed}_{real}" / "scores.json"
    path.parent.mkdir(parents=True)
    scores = {
        "game": "Pong", "where": where, "seed": seed, "real_steps": real, "seconds": 90.0,
        "dream_steps": 5000 if where == "dream" else 0, "trained": [score - 1, score + 1],
        "random": [random, random + 0.1 * seed], "held": {"NOOP": 0.0, "UP": 3.0 + 0.1 * seed},
    }  # fmt: skip
    path.write_text(json.dumps(scores))


def test_a_difference_counts_from_two_errors_on(example):
    is_above = example.is_above
    a = np.array([4.0, 5.0, 6.0])
    # Each mean has the error 1 / sqrt(3), their difference sqrt(2 / 3).
    assert is_above(a, a - 2.1 * np.sqrt(2 / 3)) and not is_above(a, a - 1.9 * np.sqrt(2 / 3))
    assert not is_above(a, np.array([0.0]))


def test_the_table(example, tmp_path, print_rows):
    for seed in range(3):
        save(tmp_path, "dream", seed, 10 + seed)
        save(tmp_path, "game", seed, 4 + seed)
        save(tmp_path, "game", seed, 30 + seed, real=999)
    groups = example.read(tmp_path)
    assert [(group.where, group.real_steps) for group in groups] == [
        ("dream", 1000), ("game", 999), ("game", 1000)
    ]  # fmt: skip
    assert groups[0].scores.tolist() == [10.0, 11.0, 12.0]
    assert groups[0].best_action == "UP" and groups[0].held.tolist() == [3.0, 3.1, 3.2]
    rows = print_rows(tmp_path)
    # The agents of the game that are better had fewer real steps, and are no rivals.
    assert rows[0] == (
        "| Pong | dream | 1,000 | 5,000 | 2 | 3 | 11.0 +- 1.0 | 1.1 +- 0.1 | UP 3.1 +- 0.1 | "
        "random, best action, no dreams |"
    )
    assert rows[2].endswith("| 5.0 +- 1.0 | 1.1 +- 0.1 | UP 3.1 +- 0.1 | random, best action |")
    for seed in range(3):
        save(tmp_path, "game", seed, 11 + seed, real=2000)
    assert print_rows(tmp_path)[0].endswith("| random, best action |")


def test_one_seed_is_above_nothing(tmp_path, print_rows):
    save(tmp_path, "dream", 0, 50)
    assert print_rows(tmp_path)[0].endswith("| 50.0 | 1.0 | UP 3.0 | nothing |")


def test_wrong_folders_are_named(example, tmp_path):
    with pytest.raises(ValueError, match="expected folders with a scores.json in .*, got none"):
        example.read(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scores.json").write_text('{"game": "Pong"}')
    with pytest.raises(ValueError, match="scores.json: expected game, .* got no where, seed"):
        example.read(tmp_path)
