import gzip
import json

import pytest

from worldtokens.web import page_folder
from worldtokens.web.page_folder import build_page, first_visit_bytes


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    folder = tmp_path / "runtime"
    folder.mkdir()
    names = (
        "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm",
        "ort.webgpu.min.mjs",
    )  # fmt: skip
    for name in names:
        (folder / name).write_bytes(name.encode() * 100)
    monkeypatch.setattr(page_folder, "runtime_files", lambda: [folder / name for name in names])


@pytest.fixture
def dream(tmp_path):
    folder = tmp_path / "dream"
    folder.mkdir()
    graphs = {}
    for name, file in (("step", "step.int8.onnx"), ("decode", "decode.onnx")):
        (folder / file).write_bytes(file.encode() * 1000)
        precision = "int8" if name == "step" else "float32"
        graphs[name] = {precision: {"file": file, "bytes": 1000 * len(file), "sha256": "0"}}
    tree = {"game": "MontezumaRevenge", "graphs": graphs}
    (folder / "dream.json").write_text(json.dumps(tree))
    return folder


def test_a_page_holds_all_it_needs(tmp_path, runtime, dream):
    size = build_page([dream], tmp_path / "page")
    page = tmp_path / "page"
    assert json.loads((page / "dreams" / "index.json").read_text()) == [
        {"name": "MontezumaRevenge", "folder": "dreams/montezuma_revenge"}
    ]
    assert (page / "js" / "app.js").is_file() and (page / "index.html").is_file()
    stored = page / "dreams" / "montezuma_revenge" / "step.int8.onnx.gz"
    assert gzip.decompress(stored.read_bytes()) == (dream / "step.int8.onnx").read_bytes()
    tree = json.loads((page / "dreams" / "montezuma_revenge" / "dream.json").read_text())
    graph = tree["graphs"]["step"]["int8"]
    assert graph["file"] == stored.name and graph["wire"] == stored.stat().st_size < graph["bytes"]
    wasm = page / "vendor" / "ort-wasm-simd-threaded.wasm.gz"
    assert wasm.read_bytes()[:2] == b"\x1f\x8b"
    assert size == first_visit_bytes(page) > wasm.stat().st_size + stored.stat().st_size
    # What a graphics card needs is not loaded at first.
    (page / "vendor" / "ort.webgpu.min.mjs").write_bytes(b"")
    assert first_visit_bytes(page) == size


def test_a_page_is_replaced_and_other_folders_are_not(tmp_path, runtime, dream):
    build_page([dream], tmp_path / "page")
    (tmp_path / "page" / "js" / "stale.js").write_text("")
    build_page([dream], tmp_path / "page")
    assert not (tmp_path / "page" / "js" / "stale.js").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("")
    with pytest.raises(ValueError, match="expected a new folder or a page built before"):
        build_page([dream], tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_site_with_libraries_of_its_own_is_not_a_page(tmp_path, runtime, dream):
    # PHP, Go and Ruby keep libraries in folders called vendor, too.
    site = tmp_path / "site"
    build_page([dream], site)
    (site / "thesis").mkdir()
    with pytest.raises(ValueError, match=r"got one with other files \(thesis\)"):
        build_page([dream], site)
    assert (site / "thesis").is_dir()
    (site / "thesis").rmdir()
    (site / "dreams" / "index.json").unlink()
    with pytest.raises(ValueError, match="got one with other files; choose another"):
        build_page([dream], site)
    assert (site / "vendor").is_dir()


def test_a_folder_without_a_dream_is_told(tmp_path, runtime):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: expected dream.json, got none"):
        build_page([tmp_path / "empty"], tmp_path / "page")
    assert not (tmp_path / "page").exists()
