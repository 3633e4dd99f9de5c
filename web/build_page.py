r"""Writes the page that plays a dream as a folder for any static host.

    python web/build_page.py env=MontezumaRevenge out=pong_page
    python web/build_page.py env=MontezumaRevenge world_model=montezuma_revenge \
        tokenizer=montezuma_revenge data=montezuma_revenge root=play out=dream_page

The folder needs nothing from elsewhere and no server of its own: copy it to a web host, or below a
path of one. Where the host sends the headers of cross-origin isolation, the page uses threads.
`make site` does so for the shipped weights. Needs the extra `play`.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

from pathlib import Path

from worldtokens.training.command_line import launch
from worldtokens.web.dreams import PageConfig, prepare_dream
from worldtokens.web.page_folder import build_page


def main(config: PageConfig) -> None:
    """Builds the folder and says how large it is."""
    out = Path(config.out)
    size = build_page([prepare_dream(config)], out)
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"page  {out}, {total / 1e6:.1f} MB, of which a visit loads {size / 1e6:.1f} MB")


def cli() -> None:
    """Runs the command line."""
    launch(main, PageConfig, "build_page")


if __name__ == "__main__":
    cli()
