import errno
import os
import subprocess
import sys

import pytest

from worldtokens.common import atomic
from worldtokens.common.atomic import (
    creating_folder,
    read_text,
    replace_folder,
    replacing,
    set_aside_name,
    sweep,
    write_bytes,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    final = tmp_path / "metrics.json"
    write_text(final, "old")
    with pytest.raises(OSError, match="No space left"):
        with replacing(final) as partial:
            partial.write_text("half of the n")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert final.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "one")
    write_text(tmp_path / "a" / "b.txt", "two")
    assert (tmp_path / "a" / "b.txt").read_text() == "two"


def test_bytes_are_written_as_they_are(tmp_path):
    write_bytes(tmp_path / "a.bin", b"\x00\r\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\r\n"


def test_replace_folder_leaves_only_the_new_one(tmp_path):
    for name, text in [("export", "old"), ("built", "new")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text(text)
    replace_folder(tmp_path / "built", tmp_path / "export")
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]
    assert (tmp_path / "export" / "model").read_text() == "new"


def test_without_an_exchange_the_old_folder_stays_readable(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    for name, text in [("export", "old"), ("built", "new")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text(text)
    rename = os.replace

    def die(source, target):
        if source == tmp_path / "built":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "built", tmp_path / "export")
    assert (set_aside_name(tmp_path / "export") / "model").read_text() == "old"
    monkeypatch.setattr(os, "replace", rename)
    replace_folder(tmp_path / "built", tmp_path / "export")
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


def test_replace_folder_can_keep_what_is_not_replaced(tmp_path):
    for name, text in [("export", "old"), ("built", "new")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text(text)
    (tmp_path / "export" / "notes").write_text("mine")
    replace_folder(tmp_path / "built", tmp_path / "export", keep_others=True)
    files = {path.name: path.read_text() for path in (tmp_path / "export").iterdir()}
    assert files == {"model": "new", "notes": "mine"}


def test_files_of_killed_processes_are_swept(tmp_path):
    script = f"""
import os, signal
from worldtokens.common.atomic import creating_folder, replacing
with replacing({str(tmp_path / "a.json")!r}) as partial, creating_folder(
    {str(tmp_path / "folder")!r}
) as folder:
    partial.write_text("half")
    folder.mkdir()
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / f".{os.getpid()}.mine").write_text("being written")
    (tmp_path / ".hidden").write_text("of a user")
    (tmp_path / ".1-00000000.other").write_text("of another machine")
    sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f".{os.getpid()}.mine", ".hidden", ".1-00000000.other"}
    os.utime(tmp_path / ".1-00000000.other", (0, 0))
    sweep(tmp_path)
    assert not (tmp_path / ".1-00000000.other").exists()


def test_a_new_folder_appears_whole(tmp_path):
    with creating_folder(tmp_path / "new") as partial:
        partial.mkdir()
        (partial / "a").write_text("1")
        assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_text_is_utf_8_and_keeps_names_that_are_not(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_text(tmp_path / "a", f"ü {name}")
    assert (tmp_path / "a").read_bytes() == "ü caf".encode() + b"\xe9"
    assert read_text(tmp_path / "a") == f"ü {name}"
