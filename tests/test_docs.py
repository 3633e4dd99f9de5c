"""What mkdocs does not check: snippets run, commands and links on disk exist, names are listed."""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import yaml

import worldtokens
from worldtokens.common.commands import STAGES
from worldtokens.training.command_line import compose

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md",
    *sorted(page for page in DOCS.rglob("*.md") if "measured" not in page.parts),
]  # fmt: skip
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SCRIPT = re.compile(r"(?:python|--num_processes \d+) ([\w./-]+\.py)\b")
STAGE = re.compile(r"\bworldtokens ([a-z][a-z-]+) \w+=")


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [code for name, code in BLOCK.findall(page.read_text()) if name == language]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


AGENTS = blocks(DOCS / "guides" / "agents.md", "python")


@pytest.mark.parametrize("number", range(len(AGENTS)))
def test_the_snippets_for_agents_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(AGENTS[number], f"agents.md, snippet {number + 1}", "exec"), names)
    shapes = {name: tuple(names[name].shape) for name in ("frame", "pixels") if name in names}
    assert shapes in ({}, {"frame": (64, 64, 3)}, {"pixels": (8, 64, 64, 3)})


def test_there_are_snippets_for_agents():
    assert len(AGENTS) >= 4


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_exist(page):
    for link in LINK.findall(page.read_text()):
        target = link.partition("#")[0]
        if target and "://" not in link:
            assert (page.parent / target).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page):
    names = {stage.name for stage in STAGES}
    code = "\n".join(blocks(page, "bash"))
    for script in SCRIPT.findall(code):
        assert (ROOT / script).is_file(), script
    assert set(STAGE.findall(code)) <= names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_holds_one_command_that_can_be_copied(page):
    for code in blocks(page, "bash"):
        assert "MontezumaRevenge..." not in code and not code.startswith("$ ")
    # Commands inside of sentences cannot be copied; tables may name keys and scripts.
    for line in BLOCK.sub("", page.read_text()).splitlines():
        if "`python benchmarks/" in line:
            pytest.fail(f"a command inside of a sentence: {line}")


def test_the_commands_of_the_guide_to_your_own_game_compose():
    stages = {stage.script: stage for stage in STAGES}
    lines = "".join(blocks(DOCS / "guides" / "your-own-game.md", "bash")).splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("python ")]
    assert len(commands) >= 10
    for script, *overrides in commands:
        main = importlib.import_module(stages[script].module).main
        config = compose(get_type_hints(main)["config"], stages[script].config, overrides)
        folders = ("MiniGrid-DoorKey-5x5-v0", "CartPole-v1", "CarRacing-v3", "MyGame")
        assert config.env in folders and config.data == f"data/{config.env}"


def test_every_result_has_a_command():
    for page in sorted((DOCS / "results").glob("*.md")):
        if page.name == "index.md":
            continue
        for section in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:]:
            if "\n| " in section:
                assert "```bash" in section, f"{page.name}: {section.splitlines()[0]}"


def test_the_commands_page_shows_the_help_of_every_stage():
    text = (DOCS / "commands.md").read_text()
    for stage in STAGES:
        section = text.split(f"\n## {stage.name}\n")[1].split("\n## ")[0]
        assert f"`{stage.script}` {stage.summary}." in section
        assert f"\n<!-- help {stage.name} -->\n" in section


def test_help_is_filled_in(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mkdocs"])
    hook = runpy.run_path(str(DOCS / "hooks" / "stage_help.py"))
    page = SimpleNamespace(file=SimpleNamespace(src_uri="commands.md"))
    filled = hook["on_page_markdown"]("a\n<!-- help report -->\nb", page)
    assert filled.startswith("a\n```text\n") and filled.endswith("\n```\nb")
    assert "usage: worldtokens report KEY=VALUE ..." in filled and "\n  verify=false " in filled
    assert "flags:" not in filled
    page.file.src_uri = "index.md"
    assert hook["on_page_markdown"]("<!-- help report -->", page) == "<!-- help report -->"


def test_the_commands_page_shows_every_choice_of_a_group():
    text = (DOCS / "commands.md").read_text()
    for path in sorted((ROOT / "configs").glob("*/*.yaml")):
        assert f'--8<-- "{path.relative_to(ROOT)}"' in text


def test_the_reference_has_every_public_name():
    pages = {page: page.read_text() for page in (DOCS / "reference").glob("*.md")}
    shown = [name for text in pages.values() for name in re.findall(r"^::: (\S+)", text, re.M)]
    index = pages[DOCS / "reference" / "index.md"]
    for name in worldtokens.__all__:
        assert shown.count(f"worldtokens.{name}") == 1, name
        assert f"#worldtokens.{name})" in index, name


def test_the_messages_that_are_explained_exist():
    folders = ("collect", "envs", "hub", "tokenizer", "training", "world_model")
    code = "".join(path.read_text() for name in folders for path in (ROOT / name).rglob("*.py"))
    # Messages are split over lines, and name what came in braces.
    code = re.sub(r"\{[^{}]*\}", "", re.sub(r'"\s*\n\s*f?"', "", code))
    text = (DOCS / "guides" / "troubleshooting.md").read_text()
    messages = re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)
    assert len(messages) > 12
    for message in messages:
        for part in re.split(r"\.\.\.|'X'|'env'|env=|tokenizer\.yaml|dataset\.json", message):
            if len(part) > 8:
                assert part.strip() in code, message


def test_the_changelog_names_modules_that_exist():
    text = (ROOT / "CHANGELOG.md").read_text()
    table = text.split("| old module | new module |")[1].split("\n\n")[0]
    modules = re.findall(r"`worldtokens\.([\w.]+)`", table)
    assert len(modules) > 60
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_the_site_lists_every_page():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text().split("plugins:")[0])
    listed = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    written = {
        str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "measured" not in page.parts
    }
    assert listed == written


def test_the_citation_file_is_valid():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["title"] and citation["message"]
    assert citation["authors"] == [{"name": "The worldtokens authors"}]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
