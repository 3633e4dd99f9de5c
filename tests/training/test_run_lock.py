import signal
import subprocess
import sys

import pytest

from worldtokens.training.run_lock import lock_folder, unlock_folder

HOLD = """
import sys, time
from pathlib import Path
from worldtokens.training.run_lock import lock_folder
lock_folder(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match=f"run folder {tmp_path}: expected no other process"):
            lock_folder(tmp_path)
        process.send_signal(signal.SIGKILL)
    lock_folder(tmp_path)
    # A run of this process that was given up does not lock its folder.
    lock_folder(tmp_path)
    unlock_folder(tmp_path)


def test_without_locks_it_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    def no_locks(*args):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    lock_folder(tmp_path)
    assert "file system without locks" in capsys.readouterr().err
