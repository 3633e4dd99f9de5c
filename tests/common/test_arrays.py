import io
import struct
import zipfile

import numpy as np
import pytest

from worldtokens.common.arrays import load_arrays


def npy_header(shape, dtype="|u1"):
    text = str({"descr": dtype, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def write_zip(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("a.npy", content)


@pytest.mark.parametrize("save", (np.savez, np.savez_compressed))
def test_arrays_come_back(tmp_path, save):
    save(tmp_path / "a.npz", a=np.arange(6).reshape(2, 3), b=np.array(["x", "ü"]), c=np.float32(2))
    arrays = load_arrays(tmp_path / "a.npz")
    assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and arrays["b"].tolist() == ["x", "ü"]
    assert arrays["c"] == 2 and arrays["c"].dtype == np.float32


def test_declared_sizes_are_checked_before_memory_is_taken(tmp_path):
    path = tmp_path / "a.npz"
    write_zip(path, npy_header((10**13,)) + b"123")
    with pytest.raises(ValueError, match="a.npy declares .10000000000000,. of uint8, which it"):
        load_arrays(path)


def test_bombs_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_zip(path, bytes((1 << 30) + 1), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(ValueError, match="it declares 1073741825 bytes, more than it may hold"):
        load_arrays(path)


def test_objects_are_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([print], dtype=object), allow_pickle=True)
    write_zip(tmp_path / "a.npz", content.getvalue())
    with pytest.raises(ValueError, match="a.npy holds objects"):
        load_arrays(tmp_path / "a.npz")


def test_damage_of_all_kinds_is_a_value_error(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(100), b=np.ones(50, np.float32))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(whole)
        for position in rng.integers(len(content), size=4):
            content[position] = rng.integers(256)
        path.write_bytes(content[: rng.integers(1, len(content) + 1)])
        with pytest.raises(ValueError, match="a.npz: expected a whole NPZ file, got a damaged one"):
            load_arrays(path)
