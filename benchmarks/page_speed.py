"""How fast the page dreams in a headless Chromium, how steady its pace is, and what it loads.

    make site
    python benchmarks/page_speed.py page
    python benchmarks/page_speed.py page --steps 300 --isolated

WASM on one thread (`--isolated` serves the headers with which the page may use more), each frame
decoded and drawn; actions are held for ten steps each. Rates are of the page's own clock, in the
page. Needs playwright and a Chromium.
"""

import argparse
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from worldtokens.web.server import PageHandler, address, make_server

PACED_STEPS = 450
RUN = """
async ({ pace, steps }) => {
  const app = worldtokens;
  await app.begin(0);
  const held = [3, 11, 4, 2, 5, 0, 1, 12];
  const shown = [];
  const step = app.step.bind(app);
  app.clock.step = async () => {
    if (app.dream.over) await app.dream.seek(0), await app.dream.catchUp();
    await step(held[Math.floor(shown.length / 10) % held.length]);
    shown.push(performance.now());
    if (shown.length >= steps) app.clock.running = false;
  };
  const began = performance.now();
  app.hud.state = "playing";
  app.clock.start(pace === null ? Infinity : pace);
  const first = performance.now();
  await app.clock.finished;
  app.clock.step = step;
  return { began, first, shown, memory: performance.memory?.usedJSHeapSize ?? null };
}
"""


def summarise(shown: np.ndarray, pace: float | None) -> dict[str, float]:
    """Summarises when frames were shown.

    Args:
        shown: Milliseconds, one per step.
        pace: Steps per second that were asked for; None for as many as possible.

    Returns:
        rate, steps per second over all; slowest, the least rate over a tenth of them; with a pace
        late_p99, by how many milliseconds 99 of 100 steps were at most behind the schedule of the
        first one that was on time.
    """
    rate = 1000 * (len(shown) - 1) / (shown[-1] - shown[0])
    tenth = max(1, len(shown) // 10)
    windows = shown[tenth:] - shown[:-tenth]
    result = {"rate": float(rate), "slowest": float(1000 * tenth / windows.max())}
    if pace is not None:
        behind = shown - shown[0] - np.arange(len(shown)) * 1000 / pace
        result["late_p99"] = float(np.percentile(behind - np.median(behind), 99))
    return result


def serve(folder: Path, isolated: bool) -> str:
    """Serves a folder from a thread; returns its address."""
    if isolated:
        server = make_server(folder, 0)
    else:
        handler = type("Plain", (SimpleHTTPRequestHandler,), {
            "extensions_map": PageHandler.extensions_map, "log_message": PageHandler.log_message,
        })  # fmt: skip
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return address(server)


def measure(browser: Any, url: str, weights: str, steps: int) -> None:
    """Measures one precision and prints it."""
    page = browser.new_context().new_page()
    loaded = [0]
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda e: loaded.append(e["encodedDataLength"]))
    began = time.perf_counter()
    page.goto(f"{url}?weights={weights}")
    state = "document.getElementById('page').dataset.state === 'ready'"
    page.wait_for_function(state, timeout=300_000)
    ready = time.perf_counter() - began
    threads = page.evaluate("worldtokens.engine.threads")
    print(f"{weights}: {threads} thread(s), ready after {ready:.1f} s")
    page.evaluate(RUN, {"pace": None, "steps": 50})
    memory = []
    for pace, count in ((None, steps), (15, PACED_STEPS)):
        result = page.evaluate(RUN, {"pace": pace, "steps": count})
        memory.append(result["memory"])
        values = summarise(np.array(result["shown"]), pace)
        name = "unpaced" if pace is None else f"at {pace}/s"
        print(f"  {name}, {count} steps: " + ", ".join(f"{k} {v:.1f}" for k, v in values.items()))
    print(f"  JavaScript memory after each: {', '.join(f'{m / 1e6:.1f} MB' for m in memory)}")
    page.context.close()


def main() -> None:
    """Measures both precisions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page", type=Path, help="a folder that build-page wrote")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--weights", nargs="+", default=["float32", "int8"])
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    url = serve(options.page, options.isolated)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for weights in options.weights:
            measure(browser, url, weights, options.steps)
        browser.close()


if __name__ == "__main__":
    main()
