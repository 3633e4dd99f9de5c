"""The tree keeps the rules of its layout: packages, imports, folders, test files."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from worldtokens.common.commands import STAGES

ROOT = Path(__file__).resolve().parents[1]
# The folders that the wheel holds below worldtokens/; `worldtokens` is the only one to import.
FOLDERS = (
    "collect", "common", "configs", "envs", "hub", "pretrained", "tokenizer", "training",
    "web", "world_model",
)  # fmt: skip
# What `import worldtokens.FOLDER` loads, so what users embed.
LIBRARY_MAY_IMPORT = {
    "worldtokens": {"common"},
    "common": set(),
    "configs": set(),
    "pretrained": set(),
    "envs": {"common"},
    "hub": {"common"},
    "training": {"common"},
    "web": set(),
    "collect": {"common", "envs", "hub.locations"},
    "tokenizer": {"common", "hub"},
    "world_model": {"common", "hub", "tokenizer"},
}
EXCEPTIONS = {
    # Dreams start from recorded episodes: the type of what users hand in.
    "worldtokens.world_model.rl.starts": {"collect"},
}
# Entry scripts, and the modules that only they load (their data, their plots).
SCRIPTS_MAY_IMPORT = {
    "collect": {"training"},
    "tokenizer": {"collect", "envs", "training"},
    "web": {"collect", "common", "hub", "tokenizer", "training", "world_model"},
    "world_model": {"collect", "envs", "training"},
}
MOST_FILES = 20
# What counts as a file of a folder of code.
COUNTED = (".py", ".yaml", ".ipynb")
# Modules that need no test file of their name, and why.
UNTESTED = {
    "envs/emulator.py": "a protocol without code",
    "worldtokens/__main__.py": "one line; tests/worldtokens/test_cli.py runs it",
}
TEXTS = (".py", ".md", ".ipynb", ".yaml", ".yml", ".toml")
NAMES = "|".join(FOLDERS)
# At the start of a line of code, also in a notebook's JSON or as the target of a Hydra config.
BARE = re.compile(
    rf"""^[\s">]*(?:from\ (?:{NAMES})(?:\.\w+)*\ import\b|import\ (?:{NAMES})\b"""
    rf"""|_target_:\ (?:{NAMES})\.)""",
    re.MULTILINE,
)


@cache
def modules() -> dict[str, Path]:
    """Our modules by dotted name."""
    files = {}
    for folder in (*FOLDERS, "worldtokens"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            parts = parts if folder == "worldtokens" else ("worldtokens", *parts)
            files[".".join(parts).removesuffix(".__init__")] = file
    return files


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


@cache
def imported(file: Path, with_types: bool = True) -> frozenset[str]:
    """Names of our modules that a file imports, at its top or inside a function."""
    tree = ast.parse(file.read_text())
    skipped = set()
    if not with_types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= set(ast.walk(node))
    names = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in modules() else node.module)
        elif isinstance(node, ast.ImportFrom):
            names.add(f"relative import in {file.name}")
    return frozenset(name for name in names if name.split(".")[0] in ("worldtokens", "relative"))


def folder_of(name: str) -> str:
    """The folder of a module: worldtokens.hub.locations lies in hub."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "worldtokens"


@cache
def library_of(folder: str) -> frozenset[str]:
    """Names of the folder's modules that `import worldtokens.FOLDER` loads."""
    seen: set[str] = set()
    waiting = [f"worldtokens.{folder}" if folder != "worldtokens" else "worldtokens"]
    while waiting:
        name = waiting.pop()
        if name in modules() and name not in seen and folder_of(name) == folder:
            seen.add(name)
            waiting += imported(modules()[name])
    return frozenset(seen)


def may_import(name: str) -> set[str]:
    """The folders and modules that a module may import, beside its own folder."""
    folder = folder_of(name)
    if folder == "worldtokens" and name == "worldtokens":
        return {*FOLDERS}
    library = LIBRARY_MAY_IMPORT[folder] | EXCEPTIONS.get(name, set())
    return (
        library if name in library_of(folder) else library | SCRIPTS_MAY_IMPORT.get(folder, set())
    )


def dependency_imports() -> set[str]:
    top = set()
    names = importlib.metadata.packages_distributions()
    required = importlib.metadata.requires("worldtokens") or []
    wanted = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in required}
    for module, distributions in names.items():
        if wanted & {name.lower().replace("_", "-") for name in distributions}:
            top.add(module)
    return top


def test_nothing_beside_an_entry_script_hides_a_module():
    # A script's folder is first on sys.path.
    taken = set(sys.stdlib_module_names) | dependency_imports()
    assert {"torch", "numpy", "hydra", "wandb"} <= taken
    folders = {(ROOT / stage.script).parent for stage in STAGES}
    assert {folder.name for folder in folders} == {"collect", "tokenizer", "web", "world_model"}
    hiding = [shown(path) for folder in folders for path in folder.iterdir() if path.stem in taken]
    assert hiding == []


def test_worldtokens_is_the_only_package():
    wrong = [
        f"{shown(file)}: {found.group().strip()}"
        for file in sorted(ROOT.rglob("*"))
        if file.suffix in TEXTS and file.is_file() and not file.is_symlink()
        and not {"stubs", "site", "build", "dist", "node_modules", "data", "runs"}
        & set(file.relative_to(ROOT).parts[:1])
        and not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
        for found in BARE.finditer(file.read_text())
    ]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "is_bare"),
    [
        ("from tokenizer import Tokenizer", True),
        ("    import world_model.model", True),
        ('    "from hub.locations import SHIPPED\\n",', True),
        ("  _target_: collect.policies.RandomPolicy", True),
        ("from worldtokens.tokenizer import Tokenizer", False),
        ("from training on frames to dreams", False),
        ("import collections", False),
    ],
)
def test_a_bare_import_is_recognized(line, is_bare):
    assert bool(BARE.search(line)) == is_bare


def test_imports_point_one_way():
    wrong = []
    for name, file in modules().items():
        allowed = may_import(name)
        for other in sorted(imported(file)):
            inside = other.removeprefix("worldtokens.")
            if folder_of(other) != folder_of(name) and not {folder_of(other), inside} & allowed:
                wrong.append(f"{shown(file)} imports {other}")
    assert wrong == []


def test_the_library_is_more_than_its_front_door():
    assert "worldtokens.tokenizer.quantizers.fsq" in library_of("tokenizer")
    assert "worldtokens.tokenizer.train" not in library_of("tokenizer")


def test_nothing_imports_an_entry_script():
    scripts = {stage.module for stage in STAGES}
    wrong = [
        f"{shown(file)} imports {other}"
        for name, file in modules().items()
        for other in imported(file) & scripts
        if other != name
    ]
    assert wrong == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    reached = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph[name]
        reached[start] = seen
    groups = {
        tuple(sorted(other for other in graph if other in reached[name] and name in reached[other]))
        for name in graph
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def test_there_are_no_circles_of_imports():
    graph = {
        name: {other for other in imported(file, with_types=False) if other in modules()} - {name}
        for name, file in modules().items()
    }
    assert (
        len(graph) > 100
        and "worldtokens.hub.model_files" in graph["worldtokens.hub.pretrained_model"]
    )
    assert circles(graph) == []


def room_of(file: Path) -> str:
    """The folder inside a package that holds a module, or the module itself."""
    parts = file.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else shown(file)


def test_there_are_no_circles_of_rooms():
    graph: dict[str, set[str]] = {}
    for file in modules().values():
        others = {
            room_of(modules()[other])
            for other in imported(file, with_types=False)
            if other in modules() and modules()[other].name != "__init__.py"
        }
        graph[room_of(file)] = graph.get(room_of(file), set()) | others - {room_of(file)}
    assert len(graph) > 60 and "hub/model_files.py" in graph["hub/pretrained_model.py"]
    assert circles(graph) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_no_folder_holds_too_many_files():
    tops = [*FOLDERS, "worldtokens", "tests", "benchmarks", "examples"]
    folders = [path for top in tops for path in [ROOT / top, *(ROOT / top).rglob("*")]]
    crowded = {}
    for folder in folders:
        if folder.is_dir() and folder.name != "__pycache__":
            files = [file for file in folder.iterdir() if file.suffix in COUNTED]
            if len(files) > MOST_FILES:
                crowded[shown(folder)] = len(files)
    assert crowded == {}


def test_there_is_no_utils_module():
    assert [name for name in modules() if "util" in name] == []


def test_the_wheel_lists_every_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {name for name, file in modules().items() if file.name == "__init__.py"}
    # Folders of data whose name could be a package's, which setuptools wants to have listed.
    packages |= {
        ".".join(("worldtokens", *folder.relative_to(ROOT).parts))
        for top in ("configs", "pretrained", "web/page")
        for folder in [ROOT / top, *(ROOT / top).rglob("*")]
        if folder.is_dir() and folder.name.isidentifier() and folder.name != "__pycache__"
    }
    assert sorted(tool["packages"]) == sorted(packages)
    assert tool["package-dir"] == {
        "worldtokens": "worldtokens", **{f"worldtokens.{name}": name for name in FOLDERS}
    }  # fmt: skip
    unlisted = {
        file.parent for file in modules().values() if not (file.parent / "__init__.py").is_file()
    }
    assert unlisted == set()


def test_type_checkers_see_every_package():
    links = ROOT / "stubs" / "worldtokens"
    named = {path.name for path in links.iterdir()}
    own = {path.name for path in (ROOT / "worldtokens").glob("*.py")}
    assert named == {*FOLDERS, *own}
    assert all(path.is_symlink() and path.exists() for path in links.iterdir())


def is_property(function: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def test_docstrings_of_functions_are_in_the_third_person():
    # ruff knows the imperative only. "See" refers to the docstring of a base.
    wrong = []
    for file in modules().values():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and not is_property(node):
                first = (ast.get_docstring(node) or "See").split()[0]
                if not re.fullmatch(r"[A-Z][a-z]+s[,;]?|See", first):
                    wrong.append(f"{shown(file)}:{node.lineno} {node.name}: {first}")
    assert wrong == []


def test_every_module_has_a_test_file_of_its_name():
    missing = []
    for file in modules().values():
        defines = any(
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            for node in ast.parse(file.read_text()).body
        )
        test = ROOT / "tests" / file.relative_to(ROOT).parent / f"test_{file.name}"
        if defines and file.name != "__init__.py" and not test.is_file():
            missing.append(shown(file))
    assert sorted(set(missing) - UNTESTED.keys()) == []
    assert [name for name in UNTESTED if not (ROOT / name).is_file()] == []
