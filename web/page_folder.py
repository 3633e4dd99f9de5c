"""The folder of a page: its own files, the runtime, and dreams; any file server can serve it."""

import gzip
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldtokens.common.atomic import replace_folder, write_text
from worldtokens.hub.locations import snake_case
from worldtokens.web.runtime import FOLDER, runtime_files
from worldtokens.world_model.export.description import DESCRIPTION

PAGE = FOLDER / "page"
VENDOR, DREAMS, INDEX = "vendor", "dreams", "index.json"
# Compressed here, since not every server does: what a player waits for.
COMPRESSED = (".onnx", ".wasm")


def build_page(dreams: Sequence[Path], folder: Path) -> int:
    """Writes the folder of a page that plays some dreams.

    Args:
        dreams: Folders that `export_dream` wrote; the page opens the first.
        folder: Of the page; it is replaced as a whole.

    Returns:
        Bytes that the first visit loads, with int8 weights and without a graphics card.

    Raises:
        ValueError: The runtime cannot be had, or a folder holds no dream.
        OSError: Something cannot be written.
    """
    _check_replaceable(folder)
    runtime = runtime_files()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(PAGE, partial)
        (partial / VENDOR).mkdir()
        for path in runtime:
            _put(path, partial / VENDOR / path.name)
        entries = [_put_dream(source, partial / DREAMS) for source in dreams]
        write_text(partial / DREAMS / INDEX, json.dumps(entries) + "\n")
        replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return first_visit_bytes(folder)


def _check_replaceable(folder: Path) -> None:
    """Checks that a folder is new, empty or a page, which has nothing beside its own files."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    ours = {path.name for path in PAGE.iterdir()} | {VENDOR, DREAMS}
    others = sorted({path.name for path in folder.iterdir()} - ours) if folder.is_dir() else []
    if others or not (folder / VENDOR).is_dir() or not (folder / DREAMS / INDEX).is_file():
        named = f" ({', '.join(others[:3])})" if others else ""
        raise ValueError(
            f"out={folder}: expected a new folder or a page built before, got one with other "
            f"files{named}; choose another folder"
        )


def first_visit_bytes(folder: Path) -> int:
    """Returns the bytes that the first visit of a page loads, as they are stored."""
    entries = json.loads((folder / DREAMS / INDEX).read_text())
    dream = folder / entries[0]["folder"]
    graphs = json.loads((dream / DESCRIPTION).read_text())["graphs"]
    step = graphs["step"].get("int8") or graphs["step"]["float32"]
    wasm = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm.gz")
    loaded = [
        *(path for path in folder.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")),
        *(folder / VENDOR / name for name in wasm),
        folder / DREAMS / INDEX,
        dream / DESCRIPTION,
        dream / step["file"],
        dream / graphs["decode"]["float32"]["file"],
    ]
    return sum(path.stat().st_size for path in loaded)


def _put_dream(source: Path, folder: Path) -> dict[str, str]:
    """Copies one dream; returns its entry in the index."""
    try:
        tree: dict[str, Any] = json.loads((source / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{source}: expected {DESCRIPTION}, got none ({error})") from error
    name = snake_case(tree["game"]) or "dream"
    place = folder / name
    place.mkdir(parents=True)
    for files in tree["graphs"].values():
        for graph in files.values():
            stored = _put(source / graph["file"], place / graph["file"])
            graph["file"], graph["wire"] = stored.name, stored.stat().st_size
    write_text(place / DESCRIPTION, json.dumps(tree) + "\n")
    return {"name": tree["game"], "folder": f"{DREAMS}/{name}"}


def _put(source: Path, target: Path) -> Path:
    """Copies a file, compressed where that saves a download; returns where it lies."""
    if source.suffix not in COMPRESSED:
        shutil.copyfile(source, target)
        return target
    target = target.with_name(f"{target.name}.gz")
    # Without a time, so that equal files are equal compressed.
    target.write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))
    return target
