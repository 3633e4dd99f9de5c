import errno

import pytest

from worldtokens.common.atomic import replace_folder, replacing, write_bytes, write_text


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
