"""The snippets of the README run word for word."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
HEADING = "Embed it in your agent"


def snippets(text: str) -> list[str]:
    """The ```python blocks between the heading and the next one of its level or above.

    Empty where the heading is not there.
    """
    lines = iter(text.splitlines())
    level = next((len(m[1]) for m in map(heading, lines) if m and m[2] == HEADING), None)
    if level is None:
        return []
    found, block = [], None
    for line in lines:
        if block is None:
            if (m := heading(line)) and len(m[1]) <= level:
                break
            block = [] if line == "```python" else None
        elif line == "```":
            found.append("\n".join(block) + "\n")
            block = None
        else:
            block.append(line)
    assert block is None, "the last block is not closed"
    return found


def heading(line: str) -> re.Match | None:
    return re.fullmatch(r"(#+) (.+?)\s*", line)


SNIPPETS = snippets(README.read_text())


def test_the_section_has_three_snippets():
    if f"# {HEADING}" not in README.read_text():
        pytest.skip(f"README.md has no section {HEADING!r} yet")
    assert len(SNIPPETS) >= 3


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippet(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(SNIPPETS[number], f"README.md, snippet {number + 1}", "exec"), {})


def test_snippets_are_found_below_the_heading_only():
    text = f"""# Title
```python
before
```
## {HEADING}
```python
# a comment, no heading
first
```
### Deeper
```bash
no python
```
```python
second
```
## Next
```python
after
```
"""
    assert snippets(text) == ["# a comment, no heading\nfirst\n", "second\n"]
    assert snippets("# Title\n") == []
