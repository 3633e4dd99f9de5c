"""The README is short, its snippet runs word for word, and its commands exist."""

import re
from pathlib import Path

import av
import pytest

from worldtokens.common.commands import STAGES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MOST_WORDS = 1000
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"`(?:python )?((?:\w+/)+\w+\.py)\b")
STAGE = re.compile(r"`worldtokens ([a-z][a-z-]*)\b")
TARGET = re.compile(r"\bmake ([a-z]+)\b(?= +#|`)")


def test_it_has_at_most_a_thousand_words():
    assert len(README.split()) <= MOST_WORDS


def test_the_snippet_dreams_with_the_shipped_weights(tmp_path, monkeypatch):
    [snippet] = SNIPPET.findall(README)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})
    with av.open(str(tmp_path / "dream.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 60


def test_its_commands_exist():
    scripts = {stage.name: stage.script for stage in STAGES}
    rows = re.findall(r"^\| `(\S+\.py)` \| `worldtokens (\S+)` \|", README, re.MULTILINE)
    assert len(rows) >= 6
    for script, name in rows:
        assert scripts[name] == script
    assert set(STAGE.findall(README)) <= set(scripts)
    for script in SCRIPT.findall(README):
        assert (ROOT / script).is_file(), script


def test_its_make_targets_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = TARGET.findall(README)
    assert {"dream", "demo", "test", "docs"} <= set(named) <= set(targets)


@pytest.mark.parametrize("paper", ["2209.00588", "2012.09841", "2004.12919", "2502.01591"])
def test_it_and_the_citation_file_cite_the_papers(paper):
    assert paper in README
    assert f"https://arxiv.org/abs/{paper}" in (ROOT / "CITATION.cff").read_text()
