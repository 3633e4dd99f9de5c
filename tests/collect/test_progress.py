from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.cells import RamCells
from worldtokens.collect.progress import ExploringBar, RecordingBar
from worldtokens.collect.tasks import Progress


def test_recording_shows_steps_rooms_and_the_best_score(capsys):
    bar = RecordingBar(done=10, total=40)
    bar.add(Progress(recorded_steps=20, rooms=frozenset({1, 2}), best_score=300.0))
    bar.add(Progress(recorded_steps=5, rooms=frozenset({2}), best_score=100.0))
    bar.close()
    assert "35/40" in (shown := capsys.readouterr().err.split("\r")[-1])
    assert "rooms=2" in shown and "score=300" in shown


def test_exploring_shows_steps_rooms_and_cells(capsys):
    archive = Archive(RamCells((0,), (1,)))
    bar = ExploringBar([archive], total=100)
    for key, room in (("0a", 1), ("0b", 2), ("0c", 2)):
        archive.add(Route(key, room, 50.0, 3, 1, b""))
    archive.explored_steps = 60
    bar.show()
    bar.close()
    shown = capsys.readouterr().err.split("\r")[-1]
    assert "60/100" in shown and "rooms=2" in shown and "cells=3" in shown and "score=50" in shown
