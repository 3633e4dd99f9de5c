import errno

import pytest

from worldtokens.common.atomic import replacing, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    final = tmp_path / "figures.json"
    write_text(final, "old")
    with pytest.raises(OSError, match="No space left"):
        with replacing(final) as partial:
            partial.write_text("half of the n")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert final.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "one")
    write_text(tmp_path / "a" / "b.txt", "two")
    assert (tmp_path / "a" / "b.txt").read_text() == "two"
