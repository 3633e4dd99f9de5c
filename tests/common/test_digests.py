import os

import pytest

from worldtokens.common.digests import DamagedFile, add_digest, check_digest, with_digest


def test_a_digest_is_the_sha256_of_all_before(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert not check_digest(path)
    add_digest(path)
    assert (
        path.read_bytes()
        == with_digest(b"abc")
        == (
            b"abc\nworldtokens-sha256:"
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
        )
    )
    assert check_digest(path)


@pytest.mark.parametrize("position", (0, 2, 30, -2))
def test_a_changed_byte_is_noticed(tmp_path, position):
    path = tmp_path / "file"
    content = bytearray(with_digest(b"abc"))
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="its bytes changed since it was written"):
        check_digest(path)


def test_an_old_file_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(with_digest(b"abc"))
    os.utime(path, (1, 1))
    assert check_digest(path) and check_digest(path)
    path.write_bytes(with_digest(b"abc").replace(b"abc", b"abd"))
    with pytest.raises(DamagedFile):
        check_digest(path)
