r"""Plays a world model's dream in a browser.

    python web/play.py env=MontezumaRevenge
    python web/play.py env=Pong run=longer port=8000
    python web/play.py env=MontezumaRevenge world_model=montezuma_revenge \
        tokenizer=montezuma_revenge data=montezuma_revenge root=play

Exports the model to runs/<env>/<run>/onnx/, builds the page in runs/<env>/<run>/page/, serves it
on 127.0.0.1 and prints the address. `make play` does so for the shipped weights. Needs the extra
`play`.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import webbrowser
from dataclasses import dataclass
from pathlib import Path

from worldtokens.training.command_line import launch
from worldtokens.web.dreams import PageConfig, prepare_dream
from worldtokens.web.page_folder import build_page
from worldtokens.web.server import address, can_open_browser, make_server


@dataclass
class PlayConfig(PageConfig):
    """The keys of configs/play.yaml.

    Attributes:
        port: On 127.0.0.1; 0 takes a free one.
        browser: Whether to open the address in a browser, where there is one.
    """

    port: int
    browser: bool

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}; 0 takes a free one")


def main(config: PlayConfig) -> None:
    """Prepares the page and serves it until it is interrupted."""
    size = build_page([prepare_dream(config)], Path(config.out))
    server = make_server(Path(config.out), config.port)
    url, port = address(server), server.server_address[1]
    print(f"page    {config.out}, {size / 1e6:.1f} MB to load")
    print(f"play    {url}")
    print(f"from afar: ssh -L {port}:127.0.0.1:{port} HOST, then open the same address")
    print("control-C ends it", flush=True)
    if config.browser and can_open_browser():
        webbrowser.open(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def cli() -> None:
    """Runs the command line."""
    launch(main, PlayConfig, "play")


if __name__ == "__main__":
    cli()
