import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.description import find_dataset
from worldtokens.collect.report import ReportConfig, main, make_report, verify
from worldtokens.training.command_line import compose

ROOT = Path(__file__).parents[2]


def report(folder, *overrides):
    main(compose(ReportConfig, "report", [f"data={folder}", *overrides]))


def test_metrics_by_hand(dataset_folder):
    metrics = make_report(EpisodeDataset(dataset_folder))
    # Lengths 5, 3, 1, 7, 2, 9, 4, 6, 8, 20, 3, 2; episode k gives 0 + 1 + ... + (length - 1).
    assert (metrics.episodes, metrics.steps, metrics.frames) == (12, 70, 82)
    assert (metrics.heldout_episodes, metrics.restored_episodes) == (1, 0)
    assert metrics.lengths == (1, 5.83, 20) and metrics.returns == (0, 26.17, 190)
    assert metrics.terminated_episodes == 6
    assert metrics.frames_by_room == {0: 6 + 8 + 5 + 21, 1: 4 + 3 + 7 + 4, 2: 2 + 10 + 9 + 3}
    assert list(metrics.steps_by_action) == ["NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN"]
    # Step t takes action t % 6.
    assert (
        metrics.steps_by_action["NOOP"] == 12 + 4 + 1 + 1 and metrics.steps_by_action["DOWN"] == 7
    )


def test_prints_draws_and_saves(dataset_folder, capsys):
    report(dataset_folder)
    printed = capsys.readouterr().out
    assert "steps            70" in printed and "rooms            3" in printed
    assert json.loads((dataset_folder / "report.json").read_text())["episodes"] == 12
    assert (dataset_folder / "contact_sheet.png").exists()
    assert (dataset_folder / "room_map.png").exists()


def test_verification_sets_bad_shards_aside(dataset_folder, capsys):
    shards = sorted((dataset_folder / "shards").glob("*.h5"))
    whole = shards[1].read_bytes()
    os.truncate(shards[0], 100)
    middle = bytearray(whole)
    middle[len(middle) // 3] ^= 1
    report(dataset_folder, "verify=true")
    printed = capsys.readouterr().out
    assert f"damaged shard    {shards[0]}: " in printed
    assert "3 of 4 shards are whole" in printed
    assert (dataset_folder / "set_aside" / shards[0].name).stat().st_size == 100
    assert not shards[0].exists() and len(EpisodeDataset(dataset_folder)) == 9
    # A second damaged shard of that name does not replace the first.
    shards[0].write_text("bad again")
    report(dataset_folder, "verify=true")
    assert (dataset_folder / "set_aside" / f"{shards[0].name}.1").read_text() == "bad again"


def test_verification_moves_only_what_is_damaged_and_ours(dataset_folder, capsys):
    shards = sorted((dataset_folder / "shards").glob("*.h5"))
    foreign = dataset_folder / "shards" / "notes.h5"
    foreign.write_text("notes of a user")
    verify(dataset_folder)
    printed = capsys.readouterr().out
    assert f"damaged file     {foreign}" in printed and "left there" in printed
    with h5py.File(foreign, "w") as file:
        file["frames"] = [1]
    verify(dataset_folder)
    assert "HDF5 file of another program; move it out" in capsys.readouterr().out
    foreign.unlink()
    (dataset_folder / "shards" / "gone-000000.h5").symlink_to(dataset_folder / "nothing")
    verify(dataset_folder)
    printed = capsys.readouterr().out
    assert "No such file or directory; it was moved or deleted" in printed
    assert "4 of 5 shards are whole" in printed
    assert all(shard.exists() for shard in shards)
    assert not (dataset_folder / "set_aside").exists()


def test_a_shard_that_is_open_elsewhere_is_whole(dataset_folder, capsys):
    shard = sorted((dataset_folder / "shards").glob("*.h5"))[0]
    with h5py.File(shard, "r+"):
        verify(dataset_folder)
    assert "4 of 4 shards are whole" in capsys.readouterr().out


def test_the_command_takes_a_flag_and_explains_a_missing_dataset(dataset_folder):
    command = [sys.executable, "collect/report.py", "--verify"]
    done = subprocess.run(
        [*command, f"data={dataset_folder}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "4 of 4 shards are whole" in done.stdout
    with pytest.raises(ValueError, match="nothing is not a dataset: expected dataset.json in it"):
        report(dataset_folder.parent / "nothing")


def test_shipped_start_frames_are_reported_and_left_as_they_are(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    starts = find_dataset("montezuma_revenge")
    before = sorted(path.name for path in starts.iterdir())
    report("montezuma_revenge")
    assert "episodes         22: 21 held out, 21 from restored states" in capsys.readouterr().out
    with pytest.raises(ValueError, match="verify: expected false for data=montezuma_revenge"):
        report("montezuma_revenge", "verify=true")
    assert sorted(path.name for path in starts.iterdir()) == before
    assert list(tmp_path.iterdir()) == []
