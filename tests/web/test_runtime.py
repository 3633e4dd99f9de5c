import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from worldtokens.web import runtime
from worldtokens.web.runtime import FILES, npm_command, pinned_version, runtime_files

NPM = """#!/bin/sh
echo "$@" > called
echo once >> calls
sleep "${SLOW:-0}"
[ -n "$FAILS" ] && { echo "npm error network" >&2; exit 1; }
mkdir -p node_modules/onnxruntime-web/dist
printf '{"version": "%s"}' "$VERSION" > node_modules/onnxruntime-web/package.json
for name in $NAMES; do echo "$name" > "node_modules/onnxruntime-web/dist/$name"; done
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for node_modules, and an npm that writes what the variables say."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("npm", NPM), ("node", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VERSION", pinned_version())
    monkeypatch.setenv("NAMES", " ".join(FILES))
    monkeypatch.setattr(runtime, "_place", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_npm_fetches_what_the_lockfile_names_once(place):
    files = runtime_files()
    assert [path.name for path in files] == list(FILES)
    assert files[0].read_text() == f"{FILES[0]}\n"
    assert "ci --ignore-scripts" in (place / "called").read_text()
    lock = json.loads((place / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/onnxruntime-web"]["version"] == pinned_version()
    (place / "called").unlink()
    assert runtime_files() == files and not (place / "called").exists()


def test_two_at_a_time_fetch_it_once(place, monkeypatch):
    # Two test processes once emptied the folder under each other.
    monkeypatch.setenv("SLOW", "0.3")
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: runtime_files(), range(2))
    assert first == second and (place / "calls").read_text() == "once\n"


def test_a_folder_without_locks_is_used_all_the_same(place, monkeypatch):
    def acquire(lock):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(runtime.FileLock, "acquire", acquire)
    assert [path.name for path in runtime_files()] == list(FILES)


def test_what_npm_says_is_told(place, monkeypatch):
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(ValueError, match="npm ci: expected onnxruntime-web, got an error: npm err"):
        runtime_files()


def test_another_version_and_missing_files_are_told(place, monkeypatch):
    monkeypatch.setenv("NAMES", FILES[0])
    with pytest.raises(ValueError, match=f"expected onnxruntime-web .*, got no {FILES[1]}; delete"):
        runtime_files()
    monkeypatch.setenv("VERSION", "0.1")
    (place / "node_modules" / "onnxruntime-web" / "package.json").write_text("{}")
    monkeypatch.setenv("NAMES", " ".join(FILES))
    with pytest.raises(ValueError, match="got 0.1; delete"):
        runtime_files()


def test_node_comes_from_the_wheel_where_there_is_none(monkeypatch):
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    command, environment = npm_command()
    assert command[0].endswith("bin/node") and command[1].endswith("npm-cli.js")
    assert all(os.path.isfile(word) for word in command)
    assert environment["PATH"].startswith(os.path.dirname(command[0]))
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"got neither; pip install 'worldtokens\[play\]'"):
        npm_command()


def test_a_clone_keeps_it_in_the_clone_and_a_wheel_in_the_cache(tmp_path, monkeypatch):
    assert runtime._place() == runtime.FOLDER
    installed = tmp_path / "site-packages" / "web"
    installed.mkdir(parents=True)
    (installed / "package-lock.json").write_text("lock")
    monkeypatch.setattr(runtime, "FOLDER", installed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = runtime._place()
    assert first.parent == tmp_path / "cache" / "worldtokens"
    (installed / "package-lock.json").write_text("another")
    assert runtime._place() != first


def test_the_lockfile_names_no_host():
    lock = (runtime.FOLDER / "package-lock.json").read_text()
    assert "resolved" not in lock and "http" not in lock.replace('"url": "https://', "")
    for name, package in json.loads(lock)["packages"].items():
        assert not name or package["integrity"].startswith("sha512-")
