import collect_speed
import pytest
from collect_speed import Row, reading_rows


def test_a_dataset_is_read(dataset, run_script, capsys):
    rows = {row.name: row for row in reading_rows(dataset, repeats=1)}
    assert rows["frames on disk"] == Row("frames on disk", 62, "frames")
    shards = sum(path.stat().st_size for path in (dataset / "shards").iterdir())
    assert rows["size on disk"].value == shards / 62
    assert all(row.value > 0 for row in rows.values())


def test_collecting_stands_beside_the_raw_loop(run_script, capsys, monkeypatch):
    monkeypatch.setattr(collect_speed, "_speed_of", lambda work, *_: len(work.__name__))
    monkeypatch.setattr(collect_speed, "reading_rows", lambda folder: [])
    run_script(collect_speed.main, "--game", "Pong", "--steps", 10, "--repeats", 1)
    raw, collected, *_ = capsys.readouterr().out.splitlines()
    # The names of the two works have 9 and 8 characters.
    assert raw.split() == "raw emulator loop, 1 process 9 steps/s".split()
    assert collected.split() == "collecting, 1 process 8 steps/s 0.89 x raw".split()


def test_an_unknown_game_is_named(run_script):
    with pytest.raises(ValueError, match="Montezuma"):
        run_script(collect_speed.main, "--game", "MontezumasRevenge")
