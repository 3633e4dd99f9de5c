"""The tree keeps the rules that keep its imports working."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("envs", "collect", "tokenizer", "world_model", "training")
MAY_IMPORT = {
    "envs": set(),
    "training": set(),
    "collect": {"envs"},
    "tokenizer": set(),
    "world_model": {"tokenizer"},
}
ENTRY_MAY_IMPORT = {
    "collect": {"envs", "training"},
    "tokenizer": {"envs", "collect", "training"},
    "world_model": {"envs", "collect", "training", "tokenizer"},
}


def modules() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    """Dotted names of our own modules that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in PACKAGES}


def is_entry_script(file: Path) -> bool:
    return '__name__ == "__main__"' in file.read_text()


def dependency_imports() -> set[str]:
    top = set()
    names = importlib.metadata.packages_distributions()
    required = importlib.metadata.requires("worldtokens") or []
    wanted = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in required}
    for module, distributions in names.items():
        if wanted & {name.lower().replace("_", "-") for name in distributions}:
            top.add(module)
    return top


def test_no_file_hides_a_module_of_the_same_name():
    taken = set(PACKAGES) | set(sys.stdlib_module_names) | dependency_imports()
    assert {"torch", "numpy", "hydra", "wandb"} <= taken
    hiding = [
        str(file.relative_to(ROOT))
        for file in modules()
        if file.stem in taken and file.stem != "__init__"
    ]
    assert hiding == []


def test_imports_point_one_way():
    wrong = []
    for file in modules():
        package = file.relative_to(ROOT).parts[0]
        allowed = {package} | (
            ENTRY_MAY_IMPORT[package] if is_entry_script(file) else MAY_IMPORT[package]
        )
        for name in imported(file):
            if name.split(".")[0] not in allowed:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_nothing_imports_an_entry_script():
    scripts = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for file in modules()
        if is_entry_script(file)
    }
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules()
        for name in imported(file)
        if name in scripts
    ]
    assert wrong == []


def test_there_is_no_utils_module():
    assert [file for file in modules() if "util" in file.stem] == []
