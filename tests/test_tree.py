"""The tree keeps the rules that keep its imports working."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("envs", "collect", "tokenizer", "world_model", "training")
# What `import <package>` loads, so what users embed.
LIBRARY_MAY_IMPORT = {
    "envs": set(),
    "training": set(),
    "collect": {"envs"},
    "tokenizer": set(),
    "world_model": {"tokenizer"},
}
# Entry scripts, and the modules that only they load (their data, their pictures).
SCRIPTS_MAY_IMPORT = {
    "envs": set(),
    "training": set(),
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


def library_of(package: str) -> set[Path]:
    """Files that `import <package>` loads, from its __init__ on."""
    by_name = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in modules()}
    by_name |= {name.removesuffix(".__init__"): file for name, file in by_name.items()}
    seen: set[Path] = set()
    waiting = [ROOT / package / "__init__.py"]
    while waiting:
        file = waiting.pop()
        if file not in seen and file.relative_to(ROOT).parts[0] == package:
            seen.add(file)
            waiting += [by_name[name] for name in imported(file) if name in by_name]
    return seen


def test_imports_point_one_way():
    wrong = []
    for package in PACKAGES:
        library = library_of(package)
        for file in sorted((ROOT / package).rglob("*.py")):
            rule = LIBRARY_MAY_IMPORT if file in library else SCRIPTS_MAY_IMPORT
            for name in sorted(imported(file)):
                if name.split(".")[0] not in {package} | rule[package]:
                    wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_library_is_more_than_its_front_door():
    assert ROOT / "tokenizer" / "quantizers" / "fsq.py" in library_of("tokenizer")
    assert ROOT / "tokenizer" / "train.py" not in library_of("tokenizer")


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
        if name in scripts and scripts[name] != file
    ]
    assert wrong == []


def test_there_is_no_utils_module():
    assert [file for file in modules() if "util" in file.stem] == []
