"""Shows what `--help` of each stage prints: replaces `<!-- help STAGE -->` on the commands page."""

import contextlib
import io
import re
from typing import Any

from worldtokens.cli import run
from worldtokens.common.commands import find_stage

MARKER = re.compile(r"^<!-- help ([a-z-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fills in the help texts; mkdocs calls it for each page."""
    if page.file.src_uri != "commands.md":
        return markdown
    return MARKER.sub(lambda marker: f"```text\n{help_text(marker[1])}```", markdown)


def help_text(name: str) -> str:
    """Returns what `worldtokens NAME --help` prints.

    Args:
        name: Of a stage.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        run(find_stage(name), ["--help"])
    # Hydra's flags are the same for all stages; the page says them once.
    return printed.getvalue().partition("\nflags:\n")[0].rstrip() + "\n"
