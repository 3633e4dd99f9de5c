from pathlib import Path
from types import SimpleNamespace

import pytest

from worldtokens.training.command_line import compose
from worldtokens.web import play
from worldtokens.web.play import PlayConfig


class Server:
    """Is interrupted at once."""

    server_address = ("127.0.0.1", 8123)
    closed = False

    def serve_forever(self):
        raise KeyboardInterrupt

    def server_close(self):
        self.closed = True


@pytest.fixture
def parts(monkeypatch):
    """Stand-ins for what takes long; what they were called with."""
    seen = SimpleNamespace(server=Server(), opened=[])
    monkeypatch.setattr(play, "prepare_dream", lambda config: Path("dream"))
    monkeypatch.setattr(play, "build_page", lambda dreams, folder: 9_000_000)
    monkeypatch.setattr(play, "make_server", lambda folder, port: seen.server)
    monkeypatch.setattr(play.webbrowser, "open", seen.opened.append)
    return seen


def run(*overrides):
    play.main(compose(PlayConfig, "play", ["env=Pong", *overrides]))


def test_it_prints_where_to_play_and_ends_when_interrupted(parts, monkeypatch, capsys):
    monkeypatch.setattr(play, "can_open_browser", lambda: False)
    run()
    printed = capsys.readouterr().out
    assert "page    runs/Pong/world_model/page, 9.0 MB to load" in printed
    assert "play    http://127.0.0.1:8123/" in printed
    assert "ssh -L 8123:127.0.0.1:8123 HOST" in printed
    assert parts.server.closed and parts.opened == []


def test_it_opens_a_browser_where_there_is_one(parts, monkeypatch):
    monkeypatch.setattr(play, "can_open_browser", lambda: True)
    run("browser=false")
    assert parts.opened == []
    run()
    assert parts.opened == ["http://127.0.0.1:8123/"]


def test_a_wrong_port_is_told():
    with pytest.raises(ValueError, match="port: expected 0 to 65535, got 99999; 0 takes a free"):
        compose(PlayConfig, "play", ["env=Pong", "port=99999"])
