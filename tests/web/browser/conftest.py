"""A page with the shipped weights, and a headless Chromium that plays on it.

Without a browser these tests are skipped; with WORLDTOKENS_NEEDS_BROWSER=1, as in CI, they fail.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from worldtokens import EpisodeDataset, Tokenizer, WorldModel
from worldtokens.web.page_folder import build_page
from worldtokens.web.server import address, make_server
from worldtokens.world_model.export.dream_folder import ExportSettings, export_dream

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# A busy machine takes its time; nothing here measures it.
PATIENCE = 300_000


def lacking(reason: str) -> None:
    """Skips, or fails where a browser has to be there."""
    if os.environ.get("WORLDTOKENS_NEEDS_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Played:
    """A page in a browser, and what must not happen on it.

    Attributes:
        page: Playwright's.
        url: Where it was opened.
        troubles: Console errors, uncaught errors and requests to elsewhere.
    """

    page: Any
    url: str
    troubles: list[str] = field(default_factory=list)

    def wait(self, state: str = "ready") -> None:
        """Waits until the page is in a state; fails with the page's line if it failed."""
        reached = self.page.wait_for_function(
            "state => [state, 'failed'].find(is => is === document.getElementById('page')"
            ".dataset.state)",
            arg=state, timeout=PATIENCE,
        )  # fmt: skip
        assert reached.json_value() == state, self.problem()

    def wait_for(self, expression: str) -> None:
        """Waits until an expression is true."""
        self.page.wait_for_function(expression, timeout=PATIENCE)

    def call(self, code: str, argument: Any = None) -> Any:
        """Runs an async function body with `app` and `argument`."""
        return self.page.evaluate(
            f"async (argument) => {{ const app = worldtokens; {code} }}", argument
        )

    def steps(self, actions: list[int], temperature: float = 0.0) -> list[list[int]]:
        """Takes actions one by one; returns the tokens of each frame."""
        return self.call(
            "document.getElementById('temperature').value = argument.temperature;"
            "app.hud.state = 'looking'; const all = [];"
            "for (const action of argument.actions) {"
            "  await app.step(action); all.push([...app.dream.tokens]); }"
            "return all;",
            {"actions": actions, "temperature": temperature},
        )

    def problem(self) -> str:
        """Waits for a line that tells a problem, and returns it."""
        self.wait_for("!document.getElementById('problem').hidden")
        return self.page.inner_text("#problem")


@pytest.fixture(scope="session")
def shipped() -> dict[str, Any]:
    """The shipped models in float32, and their held-out episodes."""
    model = WorldModel.from_pretrained("montezuma_revenge")
    tokenizer = Tokenizer.from_pretrained("montezuma_revenge")
    model.imaginer.uses_autocast = tokenizer.uses_autocast = False
    heldout = EpisodeDataset("montezuma_revenge", split="heldout")
    return {"model": model, "tokenizer": tokenizer, "heldout": heldout}


@pytest.fixture(scope="session")
def dream_folder(shipped, tmp_path_factory) -> Path:
    """The shipped models as graphs."""
    folder = tmp_path_factory.mktemp("dream")
    settings = ExportSettings(check_starts=1, check_steps=3)
    export_dream(shipped["model"], shipped["tokenizer"], shipped["heldout"], folder, settings)
    return folder


@pytest.fixture(scope="session")
def built_page(dream_folder, tmp_path_factory) -> Path:
    """The page of the shipped models."""
    folder = tmp_path_factory.mktemp("site") / "page"
    try:
        build_page([dream_folder], folder)
    except ValueError as error:
        lacking(f"the page cannot be built: {error}")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        lacking("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # A container's root user has no sandbox.
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder; returns its address."""
    servers = []

    def start(folder: Path) -> str:
        server = make_server(folder, 0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return address(server)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def visit(browser, serve) -> Iterator[Callable[..., Played]]:
    """Opens a folder's page; fails at the end if there was trouble that no test expects."""
    visits, contexts = [], []

    def open_page(folder: Path, query: str = "", expects_trouble=False, script="", **options):
        url = serve(folder)
        context = browser.new_context(accept_downloads=True, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        played = Played(context.new_page(), url)
        page, troubles = played.page, played.troubles
        page.on("console", lambda m: m.type in ("error", "warning") and troubles.append(m.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith((url, "blob:", "data:")) or troubles.append(r.url)
        )
        if script:
            page.add_init_script(script)
        page.goto(url + query)
        if not expects_trouble:
            visits.append(played)
        return played

    yield open_page
    for context in contexts:
        context.close()
    assert [played.troubles for played in visits if played.troubles] == []
