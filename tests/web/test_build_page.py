from pathlib import Path

from worldtokens.training.command_line import compose
from worldtokens.web import build_page
from worldtokens.web.dreams import PageConfig


def test_it_builds_and_says_how_large(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_page, "prepare_dream", lambda config: Path("the dream"))

    def build(dreams, folder):
        folder.mkdir()
        (folder / "index.html").write_bytes(b"x" * 3_000_000)
        assert dreams == [Path("the dream")]
        return 1_000_000

    monkeypatch.setattr(build_page, "build_page", build)
    out = tmp_path / "page"
    build_page.main(compose(PageConfig, "build_page", ["env=Pong", f"out={out}"]))
    assert f"page  {out}, 3.0 MB, of which a visit loads 1.0 MB" in capsys.readouterr().out
