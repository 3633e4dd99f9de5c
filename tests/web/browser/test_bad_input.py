"""One clear line for whatever is wrong."""

import json
import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def spoilt(built_page, tmp_path):
    """A copy of the page, to take something from."""
    shutil.copytree(built_page, tmp_path / "page")
    return tmp_path / "page"


def payloads(tree, *others):
    content = json.dumps(tree).encode() if not isinstance(tree, bytes) else tree
    files = [{"name": "dream.json", "mimeType": "application/json", "buffer": content}]
    return [*files, *others]


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        ("dreams/montezuma_revenge/step.int8.onnx.gz", "step.int8.onnx.gz: expected a file, got"),
        ("dreams/montezuma_revenge/dream.json", "dream.json: expected a file, got error 404"),
        ("dreams/index.json", "dreams/index.json: expected a file, got error 404"),
        ("vendor/ort-wasm-simd-threaded.wasm.gz", "threaded.wasm.gz: expected a file, got error"),
        ("js/worker.js", "js/worker.js: the browser cannot run this file"),
    ],
)  # fmt: skip
def test_a_lost_file(visit, spoilt, lost, line):
    (spoilt / lost).unlink()
    played = visit(spoilt, expects_trouble=True)
    assert line in played.problem()
    assert "\n" not in played.problem()


def test_a_damaged_file_and_a_reload_once_it_is_back(visit, spoilt):
    path = spoilt / "dreams" / "montezuma_revenge" / "decode.onnx.gz"
    content = path.read_bytes()
    path.write_bytes(b"another graph")
    played = visit(spoilt, expects_trouble=True)
    assert "decode.onnx.gz: expected the file that dream.json describes" in played.problem()
    path.write_bytes(content)
    played.page.reload()
    played.wait()
    assert played.page.is_hidden("#problem")
    assert len(played.steps([3, 3])) == 2


def test_a_browser_without_webassembly(visit, built_page):
    played = visit(built_page, expects_trouble=True, script="delete globalThis.WebAssembly")
    assert played.problem().startswith("this browser has no WebAssembly, which the model needs")


def test_a_browser_without_simd(visit, built_page):
    script = "WebAssembly.validate = () => false"
    played = visit(built_page, expects_trouble=True, script=script)
    assert played.problem().startswith("this browser has no WebAssembly SIMD")


def test_folders_that_hold_no_dream_leave_the_one_that_is_played(visit, built_page, dream_folder):
    played = visit(built_page)
    played.wait()
    tree = json.loads((dream_folder / "dream.json").read_text())
    picture = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"notes"}
    cases = [
        ([picture], "notes.txt: expected a picture, a saved list of actions, or a folder"),
        (payloads(b"{"), "dream.json: expected JSON, got something else"),
        (payloads({"format": "other"}), "dream.json: expected format worldtokens.dream, got other"),
        (payloads({**tree, "version": 7}), "dream.json: expected version 1, got 7; this page and"),
        (payloads({**tree, "batch": 4}), "dream.json: expected batch 1, got 4"),
    ]
    for files, line in cases:
        played.page.evaluate("document.getElementById('problem').hidden = true")
        played.page.set_input_files("#file", files)
        assert line in played.problem()
    assert len(played.steps([3, 3])) == 2


def test_actions_of_another_model(visit, built_page):
    played = visit(built_page)
    played.wait()
    tree = {"format": "worldtokens.actions", "game": "Pong", "fingerprints": {"world_model": "77"}}
    file = {"name": "a.json", "mimeType": "application/json", "buffer": json.dumps(tree).encode()}
    played.page.set_input_files("#file", file)
    assert "a.json: expected actions of the model that is loaded, got those of Pong 77" in (
        played.problem()
    )
